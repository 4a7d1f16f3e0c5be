/* SPDX-License-Identifier: Apache-2.0 */
/* Attention for everything that the Hopper kernels do not take: float32, mixed types, any head size, any
 * strides, any card from sm_80 on. Float32 arithmetic throughout, no TF32.
 *
 * A block of 128 threads does 64 queries and up to 128 value columns. Thread (x, y) of 16 by 8 holds scores
 * of rows 8 y .. 8 y + 7 and keys 4 x .. 4 x + 3, and outputs of the same rows and columns 8 x .. 8 x + 7. */
#include "row_end.cuh"

namespace smelt
{

enum { kRows = 64, kKeys = 64, kDepth = 32, kColumns = 128, kBlock = 128, kPitch = 68 };

struct GenericShared {
    float query[kDepth][kPitch]; /* a slice of the head, transposed */
    float key[kDepth][kPitch];
    float weight[kKeys][kPitch]; /* transposed; hidden keys are -0 */
    float value[kKeys][kColumns];
    float maximum[kRows], sum[kRows], rescale[kRows];
};

struct Problem {
    int batch, head, first_query, first_column;
};

/* Four entries along a row, as float32; zero outside `columns`. */
__device__ __forceinline__ float4 load_four(const smelt_sdpa_view &view, int type, int64_t line, int column,
                                            int columns)
{
    const int64_t at = line + column * view.column;
    if (view.column == 1 && column + 4 <= columns && type == SMELT_TYPE_F32) {
        const float *from = static_cast<const float *>(view.data) + at;
        if ((reinterpret_cast<uintptr_t>(from) & 15) == 0) return *reinterpret_cast<const float4 *>(from);
    }
    float x[4];
#pragma unroll
    for (int i = 0; i < 4; i++)
        x[i] = column + i < columns ? load_float(view.data, at + i * view.column, type) : 0.0f;
    return make_float4(x[0], x[1], x[2], x[3]);
}

/* 64 rows by kDepth columns from column `start` on, transposed. */
__device__ __forceinline__ void load_slice(float (&slice)[kDepth][kPitch], const smelt_sdpa_view &view,
                                           int type, int64_t base, int first, int rows, int start,
                                           int columns)
{
    for (int i = threadIdx.x; i < 64 * kDepth / 4; i += kBlock) {
        const int row = i / (kDepth / 4), column = i % (kDepth / 4) * 4;
        float4 x = make_float4(0, 0, 0, 0);
        if (first + row < rows)
            x = load_four(view, type, base + (first + row) * view.row, start + column, columns);
        slice[column][row] = x.x, slice[column + 1][row] = x.y;
        slice[column + 2][row] = x.z, slice[column + 3][row] = x.w;
    }
}

/* Values of one key tile; returns whether all are finite, for the whole block. */
__device__ __forceinline__ bool load_values(GenericShared &shared, const smelt_sdpa_params &p,
                                            const Problem &problem, int first_key, int length)
{
    const int64_t base = problem.batch * p.v.batch + problem.head / p.group * p.v.head;
    int strange = 0;
    for (int i = threadIdx.x; i < kKeys * kColumns / 4; i += kBlock) {
        const int row = i / (kColumns / 4), column = i % (kColumns / 4) * 4;
        float4 x = make_float4(0, 0, 0, 0);
        if (first_key + row < length)
            x = load_four(p.v, p.v_type, base + (first_key + row) * p.v.row, problem.first_column + column,
                          p.value_dim);
        strange |= !(isfinite(x.x) && isfinite(x.y) && isfinite(x.z) && isfinite(x.w));
        *reinterpret_cast<float4 *>(&shared.value[row][column]) = x;
    }
    return !__syncthreads_or(strange);
}

__device__ __forceinline__ void multiply_slice(float (&scores)[8][4], const GenericShared &shared, int x,
                                               int y)
{
#pragma unroll 4
    for (int d = 0; d < kDepth; d++) {
        const float4 q0 = *reinterpret_cast<const float4 *>(&shared.query[d][8 * y]);
        const float4 q1 = *reinterpret_cast<const float4 *>(&shared.query[d][8 * y + 4]);
        const float4 k = *reinterpret_cast<const float4 *>(&shared.key[d][4 * x]);
        const float q[8] = {q0.x, q0.y, q0.z, q0.w, q1.x, q1.y, q1.z, q1.w};
#pragma unroll
        for (int i = 0; i < 8; i++) {
            scores[i][0] = fmaf(q[i], k.x, scores[i][0]);
            scores[i][1] = fmaf(q[i], k.y, scores[i][1]);
            scores[i][2] = fmaf(q[i], k.z, scores[i][2]);
            scores[i][3] = fmaf(q[i], k.w, scores[i][3]);
        }
    }
}

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

template <bool kFinite>
__device__ __forceinline__ void multiply_values(float (&output)[8][8], const GenericShared &shared, int x,
                                                int y)
{
#pragma unroll 2
    for (int key = 0; key < kKeys; key++) {
        const float4 w0 = *reinterpret_cast<const float4 *>(&shared.weight[key][8 * y]);
        const float4 w1 = *reinterpret_cast<const float4 *>(&shared.weight[key][8 * y + 4]);
        const float4 v0 = *reinterpret_cast<const float4 *>(&shared.value[key][4 * x]);
        const float4 v1 = *reinterpret_cast<const float4 *>(&shared.value[key][64 + 4 * x]);
        const float w[8] = {w0.x, w0.y, w0.z, w0.w, w1.x, w1.y, w1.z, w1.w};
        const float v[8] = {v0.x, v0.y, v0.z, v0.w, v1.x, v1.y, v1.z, v1.w};
#pragma unroll
        for (int i = 0; i < 8; i++) {
            /* a hidden key's weight is -0: its value, perhaps NaN, is left out */
            if (!kFinite && __float_as_uint(w[i]) == 0x80000000u) continue;
#pragma unroll
            for (int j = 0; j < 8; j++) output[i][j] = fmaf(w[i], v[j], output[i][j]);
        }
    }
}

__device__ __forceinline__ void store_float(const smelt_sdpa_params &p, int64_t index, float value)
{
    void *out = const_cast<void *>(p.out.data);
    if (p.type == SMELT_TYPE_F32)
        static_cast<float *>(out)[index] = value;
    else if (p.type == SMELT_TYPE_F16)
        static_cast<__half *>(out)[index] = __float2half_rn(value);
    else
        static_cast<__nv_bfloat16 *>(out)[index] = __float2bfloat16_rn(value);
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
            if (column < p.value_dim) store_float(p, line + column * p.out.column, output[i][j] * end.factor);
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
        const bool finite = load_values(shared, p, problem, tile * kKeys, range.length);
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
