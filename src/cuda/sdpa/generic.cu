/* SPDX-License-Identifier: Apache-2.0 */
/* Attention for everything that the Hopper kernels do not take: float32, mixed types, any head size, any
 * strides, any card from sm_80 on. Float32 arithmetic throughout, no TF32. A block does 64 queries and up to
 * 128 value columns. */
#include "generic_tile.cuh"

namespace smelt
{

struct Problem {
    int batch, head, first_query, first_column;
};

/* Masks; -inf where hidden, else units of log 2. */
__device__ __forceinline__ float finish_score(const smelt_sdpa_params &p, const Range &range,
                                              const Problem &problem, int query, int key, float score)
{
    if (query >= p.q_length || key >= range.length || key > query + range.right || key < query + range.left)
        return -INFINITY;
    return mask_score(p, cap_score(p, score), problem.batch, mask_row(p, problem.batch, problem.head, query),
                      key);
}

/* Online softmax of the block's rows; the 16 threads of a row are lanes of one half warp. */
__device__ __forceinline__ void weigh(GenericShared &shared, float (&scores)[8][4], int x, int y)
{
#pragma unroll
    for (int i = 0; i < 8; i++) {
        const int row = 8 * y + i;
        float top = fmaxf(fmaxf(scores[i][0], scores[i][1]), fmaxf(scores[i][2], scores[i][3]));
        for (int step = 8; step; step /= 2) top = fmaxf(top, __shfl_xor_sync(0xFFFFFFFF, top, step));
        const float before = shared.maximum[row], next = fmaxf(before, top);
        const float offset = next == -INFINITY ? 0.0f : next;
        float sum = 0;
#pragma unroll
        for (int j = 0; j < 4; j++) {
            const float weight = exp2f(scores[i][j] - offset);
            sum += weight;
            shared.weight[4 * x + j][row] = scores[i][j] == -INFINITY ? -0.0f : weight;
        }
        for (int step = 8; step; step /= 2) sum += __shfl_xor_sync(0xFFFFFFFF, sum, step);
        __syncwarp();
        if (x == 0) {
            shared.rescale[row] = exp2f(before - offset);
            shared.sum[row] = shared.sum[row] * shared.rescale[row] + sum;
            shared.maximum[row] = next;
        }
    }
}

__device__ __forceinline__ void store_rows(const smelt_sdpa_params &p, const GenericShared &shared,
                                           const Problem &problem, const float (&output)[8][8], int x, int y)
{
    for (int i = 0; i < 8; i++) {
        const int row = 8 * y + i, query = problem.first_query + row;
        if (query >= p.q_length) return;
        const RowEnd end = finish_row(p, problem.head, shared.maximum[row], shared.sum[row]);
        const int64_t line = problem.batch * p.out.batch + problem.head * p.out.head + query * p.out.row;
        for (int j = 0; j < 8; j++) {
            const int column = problem.first_column + j / 4 * 64 + 4 * x + j % 4;
            if (column < p.value_dim)
                store_float(p.out, p.type, line + column * p.out.column, output[i][j] * end.factor);
        }
        if (p.lse && x == 0 && problem.first_column == 0)
            p.lse[problem.batch * p.lse_batch + problem.head * p.lse_head + query * p.lse_row] = end.lse;
    }
}

__device__ __forceinline__ void attend(const smelt_sdpa_params &p, GenericShared &shared,
                                       const Problem &problem)
{
    const int x = threadIdx.x % 16, y = threadIdx.x / 16;
    if (threadIdx.x < kRows) shared.maximum[threadIdx.x] = -INFINITY, shared.sum[threadIdx.x] = 0;
    Range range = key_range(p, problem.batch);
    key_tiles(range, problem.first_query, min(problem.first_query + kRows, p.q_length) - 1, kKeys);
    const int64_t q = problem.batch * p.q.batch + problem.head * p.q.head;
    const int64_t k = problem.batch * p.k.batch + problem.head / p.group * p.k.head;
    const int64_t v = problem.batch * p.v.batch + problem.head / p.group * p.v.head;
    float output[8][8] = {};
    for (int tile = range.begin; tile < range.end; tile++) {
        float scores[8][4] = {};
        for (int start = 0; start < p.head_dim; start += kDepth) {
            __syncthreads();
            load_slice(shared.query, p.q, p.q_type, q, problem.first_query, p.q_length, start, p.head_dim);
            load_slice(shared.key, p.k, p.k_type, k, tile * kKeys, range.length, start, p.head_dim);
            __syncthreads();
            multiply_slice(scores, shared, x, y);
        }
#pragma unroll
        for (int i = 0; i < 8; i++)
#pragma unroll
            for (int j = 0; j < 4; j++)
                scores[i][j] = finish_score(p, range, problem, problem.first_query + 8 * y + i,
                                            tile * kKeys + 4 * x + j, scores[i][j]);
        weigh(shared, scores, x, y);
        const bool finite = load_values(shared, p.v, p.v_type, v, tile * kKeys, range.length,
                                        problem.first_column, p.value_dim);
#pragma unroll
        for (int i = 0; i < 8; i++)
#pragma unroll
            for (int j = 0; j < 8; j++) output[i][j] *= shared.rescale[8 * y + i];
        if (finite)
            multiply_values<true>(output, shared, x, y);
        else
            multiply_values<false>(output, shared, x, y);
    }
    __syncthreads();
    store_rows(p, shared, problem, output, x, y);
}

} // namespace smelt

extern "C" __global__
__launch_bounds__(smelt::kBlock) void smelt_sdpa_generic(const __grid_constant__ smelt_sdpa_params p)
{
    extern __shared__ __align__(16) unsigned char memory[];
    smelt::GenericShared &shared = *reinterpret_cast<smelt::GenericShared *>(memory);
    const int column_tiles = max(1, (p.value_dim + smelt::kColumns - 1) / smelt::kColumns);
    int index = blockIdx.x;
    smelt::Problem problem;
    problem.first_column = index % column_tiles * smelt::kColumns;
    index /= column_tiles;
    /* the longest rows of a causal mask first */
    problem.first_query = (p.m_tiles - 1 - index % p.m_tiles) * smelt::kRows;
    index /= p.m_tiles;
    problem.head = index % p.heads_q;
    problem.batch = index / p.heads_q;
    smelt::attend(p, shared, problem);
}
