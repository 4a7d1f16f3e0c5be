/* SPDX-License-Identifier: Apache-2.0 */
/* What the gradient needs of every query before anything else, and the gradient of the sinks, which needs no
 * more than that. */
#pragma once

#include "generic_tile.cuh"
#include "vjp_params.h"

namespace smelt
{

enum { kPrepareThreads = 256, kSinkThreads = 256 };

__device__ __forceinline__ float warp_sum(float x)
{
    for (int step = 16; step; step /= 2) x += __shfl_xor_sync(0xFFFFFFFF, x, step);
    return x;
}

/* One warp a row: sum of dout times out, the logsumexp in units of log 2. Clears the flags on the way. */
__device__ __forceinline__ void prepare(const smelt_sdpa_vjp_params &g)
{
    const smelt_sdpa_params &p = g.forward;
    const int64_t thread = blockIdx.x * static_cast<int64_t>(kPrepareThreads) + threadIdx.x,
                  row = thread / 32;
    if (thread < static_cast<int64_t>(p.batch) * p.heads_q * g.query_blocks) g.query_flags[thread] = 0;
    if (thread < static_cast<int64_t>(p.batch) * p.heads_kv * g.key_blocks) g.key_flags[thread] = 0;
    if (row >= static_cast<int64_t>(p.batch) * p.heads_q * g.q_padded) return;
    const int64_t lead = row / g.q_padded;
    const int query = static_cast<int>(row - lead * g.q_padded), lane = threadIdx.x % 32;
    const int batch = static_cast<int>(lead / p.heads_q), head = static_cast<int>(lead - batch * p.heads_q);
    float lse = INFINITY, left = 0;
    if (query < p.q_length) {
        const float own = p.lse[batch * p.lse_batch + head * p.lse_head + query * p.lse_row];
        const int64_t out = batch * p.out.batch + head * p.out.head + query * p.out.row;
        const int64_t dout = batch * g.dout.batch + head * g.dout.head + query * g.dout.row;
        float sum = 0;
        for (int column = 4 * lane; g.dout.data && column < p.value_dim; column += 128) {
            const float4 a = load_four(p.out, p.type, out, column, p.value_dim);
            const float4 b = load_four(g.dout, p.type, dout, column, p.value_dim);
            sum = fmaf(a.x, b.x, fmaf(a.y, b.y, fmaf(a.z, b.z, fmaf(a.w, b.w, sum))));
        }
        sum = warp_sum(sum);
        /* a row that sees nothing depends on nothing */
        if (own != -INFINITY) {
            lse = own * kLog2e;
            left = (g.dlse ? g.dlse[batch * g.dlse_batch + head * g.dlse_head + query * g.dlse_row] : 0.0f) -
                   sum;
        }
    }
    if (lane == 0) g.lse[row] = lse, g.left[row] = left;
}

/* One block a head: sum of exp(sink - lse) left, in one fixed order. */
__device__ __forceinline__ void sink_gradient(const smelt_sdpa_vjp_params &g)
{
    __shared__ float parts[kSinkThreads / 32];
    const smelt_sdpa_params &p = g.forward;
    const int head = blockIdx.x;
    const float sink = load_float(p.sinks, head * p.sinks_stride, p.sinks_type) * kLog2e;
    float sum = 0;
    for (int batch = 0; batch < p.batch; batch++) {
        const int64_t line = (static_cast<int64_t>(batch) * p.heads_q + head) * g.q_padded;
        for (int query = threadIdx.x; query < p.q_length; query += kSinkThreads) {
            const float weight = exp2f(sink - g.lse[line + query]);
            if (g.lse[line + query] != INFINITY) sum = fmaf(weight, g.left[line + query], sum);
        }
    }
    sum = warp_sum(sum);
    if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = sum;
    __syncthreads();
    if (threadIdx.x != 0) return;
    for (int i = 1; i < kSinkThreads / 32; i++) sum += parts[i];
    const smelt_sdpa_view view = {g.dsinks, 0, 0, 0, 1};
    store_float(view, p.sinks_type, head * g.dsinks_stride, sum);
}

} // namespace smelt
