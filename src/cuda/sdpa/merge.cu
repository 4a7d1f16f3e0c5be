/* SPDX-License-Identifier: Apache-2.0 */
/* Puts the splits of few-query attention together: one block a row. The weights of all splits are found by
 * 128 threads at once, so that no load waits for another. */
#include "epilogue.cuh"

namespace smelt
{

enum { kMostSplits = 256 };

/* The maximum (`sum` false) or sum over the block, for all of its threads. */
__device__ __forceinline__ float reduce_block(float x, bool sum, float (&slots)[4])
{
    for (int step = 16; step; step /= 2) {
        const float other = __shfl_xor_sync(0xFFFFFFFF, x, step);
        x = sum ? x + other : fmaxf(x, other);
    }
    __syncthreads();
    if (threadIdx.x % 32 == 0) slots[threadIdx.x / 32] = x;
    __syncthreads();
    return sum ? (slots[0] + slots[1]) + (slots[2] + slots[3])
               : fmaxf(fmaxf(slots[0], slots[1]), fmaxf(slots[2], slots[3]));
}

template <class Element> __device__ __forceinline__ void merge(const smelt_sdpa_params &p)
{
    __shared__ float weights[kMostSplits], slots[4];
    const int row = blockIdx.x, query = row % p.q_length, lead = row / p.q_length;
    const int head = lead % p.heads_q, batch = lead / p.heads_q;
    const PartialRow first(p, 0, batch, head, query);
    const int64_t rows = static_cast<int64_t>(p.batch) * p.heads_q * p.q_length;
    /* the split kernel may still run: it let this one start early */
    asm volatile("griddepcontrol.wait;" ::: "memory");
    float own[2], part[2];
#pragma unroll
    for (int i = 0; i < 2; i++) {
        const int split = threadIdx.x + 128 * i;
        own[i] = split < p.splits ? first.maximum[split * rows] : -INFINITY;
        part[i] = split < p.splits ? first.sum[split * rows] : 0.0f;
    }
    const float maximum = reduce_block(fmaxf(own[0], own[1]), false, slots);
    const float offset = maximum == -INFINITY ? 0.0f : maximum;
    float share = 0;
#pragma unroll
    for (int i = 0; i < 2; i++) {
        const float weight = part[i] == 0.0f ? 0.0f : exp2f(own[i] - offset);
        weights[threadIdx.x + 128 * i] = weight;
        share += weight * part[i];
    }
    const float sum = reduce_block(share, true, slots);
    const RowEnd end = finish_row(p, head, maximum, sum);
    if (p.lse && threadIdx.x == 0)
        p.lse[batch * p.lse_batch + head * p.lse_head + query * p.lse_row] = end.lse;
    uint16_t *line = output_line(p, batch, head, query);
    for (int column = threadIdx.x; column < p.value_dim; column += 128) {
        float output = 0;
#pragma unroll 8
        for (int split = 0; split < p.splits; split++) {
            const float value = first.output[split * rows * p.value_dim + column];
            /* a split that saw no key counts nothing, whatever it left there */
            if (weights[split] != 0.0f) output = fmaf(weights[split], value, output);
        }
        line[column * p.out.column] = static_cast<uint16_t>(pack(Element(), output * end.factor, 0.0f));
    }
}

} // namespace smelt

extern "C" __global__
    __launch_bounds__(128) void smelt_sdpa_merge_bf16(const __grid_constant__ smelt_sdpa_params p)
{
    smelt::merge<smelt::Bfloat>(p);
}

extern "C" __global__
    __launch_bounds__(128) void smelt_sdpa_merge_f16(const __grid_constant__ smelt_sdpa_params p)
{
    smelt::merge<smelt::Half>(p);
}
