/* SPDX-License-Identifier: Apache-2.0 */
/* What the routing kernels share: where a row lies, the softmax of it, and the scale of an expert. A warp has
 * a row. */
#pragma once

#include "../common.cuh"
#include "params.h"

namespace smelt
{

__device__ __forceinline__ float warp_sum(float x)
{
#pragma unroll
    for (int step = 16; step; step /= 2) x += __shfl_xor_sync(0xFFFFFFFF, x, step);
    return x;
}

/* NaN counts for nothing: it shows in the sum of the exponentials. */
__device__ __forceinline__ float warp_max(float x)
{
    const int bits = __float_as_int(x); /* ordered as integers */
    const int best = __reduce_max_sync(0xFFFFFFFF, bits ^ (bits >> 31 & 0x7FFFFFFF));
    return __int_as_float(best ^ (best >> 31 & 0x7FFFFFFF));
}

/* e^x, of which the product with log2 e would lose the last digits of a large x. */
__device__ __forceinline__ float exponential(float x)
{
    const float high = x * 1.44269502f, low = fmaf(x, 1.44269502f, -high);
    float power;
    asm("ex2.approx.f32 %0, %1;" : "=f"(power) : "f"(high));
    return x < -1e4f ? 0.0f : fmaf(power, fmaf(x, 1.33498e-8f, low * 0.693147182f), power);
}

/* The tensors of one row. */
struct Lines {
    char *data[SMELT_MOE_TENSORS];
    __device__ __forceinline__ Lines(const smelt_moe_params &p, int64_t row)
    {
        int64_t at[SMELT_MOE_TENSORS];
        locate(p.walk, row, at);
#pragma unroll
        for (int t = 0; t < SMELT_MOE_TENSORS; t++) data[t] = p.data[t] + at[t];
    }
    __device__ __forceinline__ float logit(const smelt_moe_params &p, int64_t expert) const
    {
        return load_element(data[SMELT_MOE_LOGITS] + expert * p.step[SMELT_MOE_LOGITS], p.type);
    }
};

__device__ __forceinline__ float scale_of(const smelt_moe_params &p, int64_t expert)
{
    return p.scale ? load_element(p.scale + expert * p.scale_step, p.scale_type) : 1.0f;
}

/* Largest logit and 1 / sum of the exponentials, which is NaN where a row has no probabilities. */
struct Softmax {
    float largest, inverse;

    __device__ __forceinline__ Softmax() {}
    __device__ __forceinline__ Softmax(const smelt_moe_params &p, const Lines &lines)
    {
        float most = -INFINITY, sum = 0;
        for (int64_t e = threadIdx.x % 32; e < p.experts; e += 32) most = fmaxf(most, lines.logit(p, e));
        largest = warp_max(most);
        for (int64_t e = threadIdx.x % 32; e < p.experts; e += 32)
            sum += exponential(lines.logit(p, e) - largest);
        inverse = 1.0f / warp_sum(sum);
    }
    __device__ __forceinline__ bool usual() const { return inverse > 0.0f; }
    __device__ __forceinline__ float probability(float logit) const
    {
        return exponential(logit - largest) * inverse;
    }
};

} // namespace smelt
