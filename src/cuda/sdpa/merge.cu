/* SPDX-License-Identifier: Apache-2.0 */
/* Puts the splits of few-query attention together: one block a row. */
#include "epilogue.cuh"

namespace smelt
{

template <class Element> __device__ __forceinline__ void merge(const smelt_sdpa_params &p)
{
    /* the split kernel may still run: it let this one start early */
    asm volatile("griddepcontrol.wait;" ::: "memory");
    const int row = blockIdx.x, query = row % p.q_length, lead = row / p.q_length;
    const int head = lead % p.heads_q, batch = lead / p.heads_q;
    float maximum = -INFINITY;
    for (int split = 0; split < p.splits; split++)
        maximum = fmaxf(maximum, *PartialRow(p, split, batch, head, query).maximum);
    const float offset = maximum == -INFINITY ? 0.0f : maximum;
    float sum = 0, output[2] = {0, 0};
    for (int split = 0; split < p.splits; split++) {
        const PartialRow part(p, split, batch, head, query);
        const float own = *part.maximum;
        if (own == -INFINITY && *part.sum == 0.0f) continue;
        const float weight = exp2f(own - offset);
        sum += weight * *part.sum;
#pragma unroll
        for (int i = 0; i < 2; i++) {
            const int column = threadIdx.x + 128 * i;
            if (column < p.value_dim) output[i] = fmaf(weight, part.output[column], output[i]);
        }
    }
    const RowEnd end = finish_row(p, head, maximum, sum);
    uint16_t *line = output_line(p, batch, head, query);
#pragma unroll
    for (int i = 0; i < 2; i++) {
        const int column = threadIdx.x + 128 * i;
        if (column < p.value_dim)
            line[column * p.out.column] = static_cast<uint16_t>(pack(Element(), output[i] * end.factor, 0.0f));
    }
    if (p.lse && threadIdx.x == 0)
        p.lse[batch * p.lse_batch + head * p.lse_head + query * p.lse_row] = end.lse;
}

} // namespace smelt

extern "C" __global__ __launch_bounds__(128) void
smelt_sdpa_merge_bf16(const __grid_constant__ smelt_sdpa_params p)
{
    smelt::merge<smelt::Bfloat>(p);
}

extern "C" __global__ __launch_bounds__(128) void
smelt_sdpa_merge_f16(const __grid_constant__ smelt_sdpa_params p)
{
    smelt::merge<smelt::Half>(p);
}
