/* SPDX-License-Identifier: Apache-2.0 */
/* The norm family for any types, strides and row lengths: a block reads a row once for each sum and once for
 * the result, from the second time on out of the cache. */
#include "../team.cuh"
#include "params.h"

namespace smelt
{

enum { kPiece = 4 }; /* elements of a thread at a time */

struct Lines {
    char *data[SMELT_WALK_TENSORS]; /* of this row; NULL where absent */
    __device__ __forceinline__ Lines(const smelt_norm_params &p, int64_t row)
    {
        int64_t at[SMELT_WALK_TENSORS];
        locate(p.walk, row, at);
        for (int t = 0; t < SMELT_WALK_TENSORS; t++) data[t] = p.data[t] ? p.data[t] + at[t] : nullptr;
    }
};

/* Elements j to j + 3 of an operand, zeros where it is absent and behind the last. */
__device__ __forceinline__ void load_piece(const smelt_norm_params &p, const Lines &lines, int t, int64_t j,
                                           float (&f)[kPiece])
{
    const char *line = lines.data[t];
    if (line && p.packed[t] && p.type[t] == SMELT_CUDA_F32) {
        const float4 v = *reinterpret_cast<const float4 *>(line + j * 4);
        f[0] = v.x, f[1] = v.y, f[2] = v.z, f[3] = v.w;
    } else if (line && p.packed[t]) {
        const uint2 v = *reinterpret_cast<const uint2 *>(line + j * 2);
        if (p.type[t] == SMELT_CUDA_BF16) {
            Vector16<SMELT_CUDA_BF16>::unpack(v.x, f[0], f[1]),
                Vector16<SMELT_CUDA_BF16>::unpack(v.y, f[2], f[3]);
        } else {
            Vector16<SMELT_CUDA_F16>::unpack(v.x, f[0], f[1]),
                Vector16<SMELT_CUDA_F16>::unpack(v.y, f[2], f[3]);
        }
    } else {
#pragma unroll
        for (int i = 0; i < kPiece; i++)
            f[i] = line && j + i < p.dim ? load_element(line + (j + i) * p.step[t], p.type[t]) : 0.0f;
    }
}

__device__ __forceinline__ void store_piece(const smelt_norm_params &p, const Lines &lines, int t, int64_t j,
                                            const float (&f)[kPiece])
{
    char *line = lines.data[t];
    if (!line) return;
    if (p.packed[t] && p.type[t] == SMELT_CUDA_F32) {
        *reinterpret_cast<float4 *>(line + j * 4) = make_float4(f[0], f[1], f[2], f[3]);
    } else if (p.packed[t]) {
        uint2 v;
        if (p.type[t] == SMELT_CUDA_BF16)
            v.x = Vector16<SMELT_CUDA_BF16>::pack(f[0], f[1]),
            v.y = Vector16<SMELT_CUDA_BF16>::pack(f[2], f[3]);
        else
            v.x = Vector16<SMELT_CUDA_F16>::pack(f[0], f[1]),
            v.y = Vector16<SMELT_CUDA_F16>::pack(f[2], f[3]);
        *reinterpret_cast<uint2 *>(line + j * 2) = v;
    } else {
#pragma unroll
        for (int i = 0; i < kPiece; i++)
            if (j + i < p.dim) store_element(line + (j + i) * p.step[t], p.type[t], f[i]);
    }
}

__device__ __forceinline__ float column_at(const smelt_norm_column &column, int64_t j, float absent)
{
    return column.data ? load_element(column.data + j * column.step, column.type) : absent;
}

/* What is normalised. */
template <int kKind>
__device__ __forceinline__ void values(const smelt_norm_params &p, const Lines &lines, int64_t j,
                                       float (&f)[kPiece])
{
    load_piece(p, lines, SMELT_ROW_X, j, f);
    if (kKind == SMELT_NORM_OF_SUM) {
        float r[kPiece];
        load_piece(p, lines, SMELT_ROW_RESIDUAL, j, r);
        for (int i = 0; i < kPiece; i++) f[i] = r[i] + f[i];
    }
}

struct Block {
    Team team;
    Exchange (&shared)[2];
    int count;
    __device__ __forceinline__ Block(Exchange (&shared_)[2]) : team(blockDim.x, 1), shared(shared_), count(0)
    {
        begin_team(team, shared);
    }
    template <int kSums> __device__ __forceinline__ void sum(float (&a)[kSums])
    {
        team_sum(team, shared, count, a);
    }
};

/* x - mean is ((x - pivot) - mean) - rest, the pivot being the first element: exactly 0 where all are equal.
 */
struct Statistics {
    float pivot, mean, rest, scale;
    __device__ __forceinline__ float centred(float f) const { return ((f - pivot) - mean) - rest; }
};

template <int kKind>
__device__ __forceinline__ Statistics statistics(const smelt_norm_params &p, const Lines &lines, Block &block)
{
    const int64_t step = static_cast<int64_t>(blockDim.x) * kPiece;
    float f[kPiece], total[1] = {0}, sums[2] = {0, 0};
    Statistics s = {0, 0, 0, 0};
    if (kKind == SMELT_NORM_LAYER) {
        s.pivot = load_element(lines.data[SMELT_ROW_X], p.type[SMELT_ROW_X]);
        for (int64_t j = threadIdx.x * kPiece; j < p.dim; j += step) {
            values<kKind>(p, lines, j, f);
#pragma unroll
            for (int i = 0; i < kPiece; i++) total[0] += j + i < p.dim ? f[i] - s.pivot : 0.0f;
        }
        block.sum(total);
        s.mean = total[0] * p.inverse_dim;
    }
    for (int64_t j = threadIdx.x * kPiece; j < p.dim; j += step) {
        values<kKind>(p, lines, j, f);
#pragma unroll
        for (int i = 0; i < kPiece; i++) {
            const float c = j + i < p.dim ? s.centred(f[i]) : 0.0f;
            sums[0] += c, sums[1] = fmaf(c, c, sums[1]);
        }
    }
    block.sum(sums);
    if (kKind == SMELT_NORM_LAYER) s.rest = sums[0] * p.inverse_dim;
    s.scale = rsqrtf(not_negative(sums[1] * p.inverse_dim - s.rest * s.rest) + p.eps);
    return s;
}

template <int kKind>
__device__ __forceinline__ float finish(const smelt_norm_params &p, const Statistics &s, int64_t j, float f,
                                        float residual)
{
    constexpr bool kRounds = kKind == SMELT_NORM_RMS || kKind == SMELT_NORM_LAYER;
    const bool round = kRounds && !p.round_once;
    float y = s.centred(f) * s.scale;
    if (round) y = round_element(y, p.gain_type);
    if (p.weight.data) {
        float gain = column_at(p.weight, j, 0) + p.weight_offset;
        if (round) gain = round_element(gain, p.gain_type);
        y *= gain;
        if (kKind == SMELT_NORM_LAYER && round) y = round_element(y, p.gain_type);
    }
    if (kKind == SMELT_NORM_LAYER && p.bias.data) y += round_element(column_at(p.bias, j, 0), p.bias_type);
    if (kKind == SMELT_NORM_ADD_TO) y += residual;
    return kRounds ? y : y * column_at(p.scalar, j, 1);
}

template <int kKind> __device__ __forceinline__ void forward(const smelt_norm_params &p)
{
    __shared__ Exchange shared[2];
    Block block(shared);
    begin_kernel();
    for (int64_t row = blockIdx.x; row < p.walk.rows; row += gridDim.x) {
        const Lines lines(p, row);
        const Statistics s = statistics<kKind>(p, lines, block);
        for (int64_t j = threadIdx.x * kPiece; j < p.dim; j += static_cast<int64_t>(blockDim.x) * kPiece) {
            float f[kPiece], residual[kPiece] = {0, 0, 0, 0};
            values<kKind>(p, lines, j, f);
            if (kKind == SMELT_NORM_ADD_TO) load_piece(p, lines, SMELT_ROW_RESIDUAL, j, residual);
            if (kKind == SMELT_NORM_OF_SUM) store_piece(p, lines, SMELT_ROW_SUM, j, f);
#pragma unroll
            for (int i = 0; i < kPiece; i++)
                if (j + i < p.dim) f[i] = finish<kKind>(p, s, j + i, f[i], residual[i]);
            store_piece(p, lines, SMELT_ROW_OUT, j, f);
        }
    }
}

/* Sums over rows are kept in memory, by the thread that owns the column. */
template <int kKind> __device__ __forceinline__ void gradient(const smelt_norm_params &p)
{
    __shared__ Exchange shared[2];
    Block block(shared);
    const int64_t step = static_cast<int64_t>(blockDim.x) * kPiece, own = blockIdx.x * p.dim;
    const bool scaled = kKind == SMELT_NORM_ADD_TO || kKind == SMELT_NORM_OF_SUM;
    begin_kernel();
    for (int64_t j = threadIdx.x * kPiece; j < p.dim; j += step)
        for (int64_t i = j; i < j + kPiece && i < p.dim; i++) {
            if (p.by_norm) p.by_norm[own + i] = 0;
            if (p.by_dout) p.by_dout[own + i] = 0;
        }
    for (int64_t row = blockIdx.x; row < p.walk.rows; row += gridDim.x) {
        const Lines lines(p, row);
        const Statistics s = statistics<kKind>(p, lines, block);
        float f[kPiece], g[kPiece], other[kPiece] = {0, 0, 0, 0}, sums[2] = {0, 0};
        for (int64_t j = threadIdx.x * kPiece; j < p.dim; j += step) {
            values<kKind>(p, lines, j, f);
            load_piece(p, lines, SMELT_ROW_OUT, j, g);
#pragma unroll
            for (int i = 0; i < kPiece; i++) {
                if (j + i >= p.dim) continue;
                float h = g[i] * (p.weight.data ? column_at(p.weight, j + i, 0) + p.weight_offset : 1.0f);
                if (scaled) h *= column_at(p.scalar, j + i, 1);
                sums[0] += h, sums[1] = fmaf(h, s.centred(f[i]), sums[1]);
            }
        }
        block.sum(sums);
        const float mean = kKind == SMELT_NORM_LAYER ? sums[0] * p.inverse_dim : 0.0f;
        const float pull = s.scale * s.scale * s.scale * (sums[1] * p.inverse_dim);
        for (int64_t j = threadIdx.x * kPiece; j < p.dim; j += step) {
            float d[kPiece], dresidual[kPiece];
            values<kKind>(p, lines, j, f);
            load_piece(p, lines, SMELT_ROW_OUT, j, g);
            if (kKind == SMELT_NORM_ADD_TO) load_piece(p, lines, SMELT_ROW_RESIDUAL, j, other);
            if (kKind == SMELT_NORM_OF_SUM) load_piece(p, lines, SMELT_ROW_SUM, j, other);
#pragma unroll
            for (int i = 0; i < kPiece; i++) {
                if (j + i >= p.dim) continue;
                const float c = s.centred(f[i]), scalar = scaled ? column_at(p.scalar, j + i, 1) : 1.0f;
                const float gain = p.weight.data ? column_at(p.weight, j + i, 0) + p.weight_offset : 1.0f;
                d[i] = (g[i] * (gain * scalar) - mean) * s.scale - c * pull;
                if (kKind == SMELT_NORM_OF_SUM) d[i] += other[i];
                dresidual[i] = kKind == SMELT_NORM_ADD_TO ? g[i] * scalar : d[i];
                if (p.by_norm) p.by_norm[own + j + i] += g[i] * (c * s.scale);
                if (p.by_dout) p.by_dout[own + j + i] += kKind == SMELT_NORM_LAYER ? g[i] : g[i] * other[i];
            }
            if (kKind == SMELT_NORM_ADD_TO || kKind == SMELT_NORM_OF_SUM)
                store_piece(p, lines, SMELT_ROW_DRESIDUAL, j, dresidual);
            store_piece(p, lines, SMELT_ROW_DX, j, d);
        }
    }
}

} // namespace smelt

#define SMELT_FORWARD(name, kind)                                                                            \
    extern "C" __global__ void __launch_bounds__(SMELT_NORM_GENERIC_THREADS, 1)                              \
        name(const __grid_constant__ smelt_norm_params p)                                                    \
    {                                                                                                        \
        smelt::forward<kind>(p);                                                                             \
    }
#define SMELT_GRADIENT(name, kind)                                                                           \
    extern "C" __global__ void __launch_bounds__(SMELT_NORM_GENERIC_THREADS, 1)                              \
        name(const __grid_constant__ smelt_norm_params p)                                                    \
    {                                                                                                        \
        smelt::gradient<kind>(p);                                                                            \
    }
SMELT_NORM_GENERIC_ROWS(SMELT_FORWARD)
SMELT_NORM_GENERIC_VJP_ROWS(SMELT_GRADIENT)
