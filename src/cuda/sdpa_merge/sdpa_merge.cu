/* SPDX-License-Identifier: Apache-2.0 */
/* sdpa_merge: some lanes of a warp have a row of the output, 16 bytes of each chunk at a time. Compiled once
 * per type, SMELT_TYPE. */
#include "../team.cuh"
#include "params.h"

namespace smelt
{

typedef Vector<SMELT_TYPE> Elements;
enum { kCount = Elements::kCount, kAhead = 4 /* chunks */ };

/* The larger one; NaN where either is. */
__device__ __forceinline__ float larger(float a, float b) { return a != a || a > b ? a : b; }

/* The weights of the chunks of one row: exp(lse - largest), which is 0 where nothing was seen. */
struct Weights {
    const char *lses;
    float largest, total;

    __device__ __forceinline__ float lse(const smelt_merge_params &p, int64_t chunk) const
    {
        return *reinterpret_cast<const float *>(lses + chunk * p.lses_chunk);
    }
    __device__ __forceinline__ float of(const smelt_merge_params &p, int64_t chunk) const
    {
        return expf(lse(p, chunk) - largest);
    }
    __device__ __forceinline__ Weights(const smelt_merge_params &p, const char *lses_, int lane) : lses(lses_)
    {
        float sum[1] = {0};
        largest = -INFINITY;
        for (int64_t c = lane; c < p.chunks; c += p.lanes) largest = larger(lse(p, c), largest);
        for (int step = p.lanes / 2; step; step /= 2)
            largest = larger(__shfl_xor_sync(0xFFFFFFFF, largest, step), largest);
        for (int64_t c = lane; largest != -INFINITY && c < p.chunks; c += p.lanes) sum[0] += of(p, c);
        lanes_sum(p.lanes, sum);
        total = sum[0];
    }
};

template <bool kVectors> __device__ __forceinline__ void run(const smelt_merge_params &p)
{
    const int lane = threadIdx.x % p.lanes, rows = SMELT_MERGE_THREADS / p.lanes;
    const int64_t number = static_cast<int64_t>(blockIdx.x) * rows + threadIdx.x / p.lanes;
    const bool valid = number < p.walk.rows;
    int64_t at[SMELT_MERGE_TENSORS];
    begin_kernel();
    locate(p.walk, valid ? number : p.walk.rows - 1, at); /* the last warp stays whole */
    const Weights weights(p, p.data[SMELT_MERGE_LSES] + at[SMELT_MERGE_LSES], lane);
    if (!valid) return;
    const bool seen = weights.largest != -INFINITY;
    const float inverse = seen ? 1.0f / weights.total : 0.0f;
    const char *const outs = p.data[SMELT_MERGE_OUTS] + at[SMELT_MERGE_OUTS];
    char *const out = p.data[SMELT_MERGE_OUT] + at[SMELT_MERGE_OUT];
    if (p.data[SMELT_MERGE_LSE] && lane == 0)
        *reinterpret_cast<float *>(p.data[SMELT_MERGE_LSE] + at[SMELT_MERGE_LSE]) =
            seen ? weights.largest + logf(weights.total) : -INFINITY;
    for (int64_t j = lane; j < (kVectors ? p.dim / kCount : p.dim); j += p.lanes) {
        float sum[kVectors ? kCount : 1], f[kCount];
        for (int i = 0; i < (kVectors ? kCount : 1); i++) sum[i] = 0;
        for (int64_t first = 0; first < (seen ? p.chunks : 0); first += kAhead) {
            float weight[kAhead], value[kAhead];
            uint4 raw[kAhead];
            /* all loads are on their way before the first is used; what has no weight may hold anything */
#pragma unroll
            for (int c = 0; c < kAhead; c++) {
                weight[c] = first + c < p.chunks ? weights.of(p, first + c) : 0.0f;
                raw[c] = make_uint4(0, 0, 0, 0), value[c] = 0;
                if (weight[c] == 0.0f) continue;
                const char *const chunk = outs + (first + c) * p.outs_chunk;
                if constexpr (kVectors)
                    raw[c] = load_once(chunk + j * 16);
                else
                    value[c] = load_element(chunk + j * p.outs_step, SMELT_TYPE);
            }
#pragma unroll
            for (int c = 0; c < kAhead; c++) {
                if constexpr (kVectors)
                    Elements::unpack(raw[c], f);
                else
                    f[0] = value[c];
#pragma unroll
                for (int i = 0; i < (kVectors ? kCount : 1); i++) sum[i] = fmaf(weight[c], f[i], sum[i]);
            }
        }
#pragma unroll
        for (int i = 0; i < (kVectors ? kCount : 1); i++) sum[i] *= inverse;
        if constexpr (kVectors)
            store(out + j * 16, Elements::pack(sum), p.streaming);
        else
            store_element(out + j * p.out_step, SMELT_TYPE, sum[0]);
    }
}

} // namespace smelt

extern "C" __global__ void __launch_bounds__(SMELT_MERGE_THREADS)
    smelt_merge_vectors(const __grid_constant__ smelt_merge_params p)
{
    smelt::run<true>(p);
}

extern "C" __global__ void __launch_bounds__(SMELT_MERGE_THREADS)
    smelt_merge_elements(const __grid_constant__ smelt_merge_params p)
{
    smelt::run<false>(p);
}
