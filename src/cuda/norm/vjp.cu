/* SPDX-License-Identifier: Apache-2.0 */
/* The norm family, gradients: rows as in forward.cu. A thread keeps the sums over its rows that the gradients
 * of weight, bias and scalar are made of, for the columns it holds; columns.cu adds those of all teams.
 * Compiled once per type, SMELT_TYPE. */
#include "row.cuh"

namespace smelt
{

/* The cotangent and what it is multiplied by: weight + offset, in the residual family times the scalar. */
template <int kKind>
__device__ __forceinline__ void gains(const smelt_norm_params &p, int64_t at, float (&gain)[kCount],
                                      float (&scalar)[kCount])
{
#pragma unroll
    for (int i = 0; i < kCount; i++) gain[i] = scalar[i] = 1;
    if (p.weight.data) {
        load_column(p.weight, at, gain);
#pragma unroll
        for (int i = 0; i < kCount; i++) gain[i] += p.weight_offset;
    }
    if (kKind != SMELT_NORM_RMS && kKind != SMELT_NORM_LAYER && p.scalar.data) {
        load_column(p.scalar, at, scalar);
#pragma unroll
        for (int i = 0; i < kCount; i++) gain[i] *= scalar[i];
    }
}

template <int kKind, int kVectors> struct Sums {
    enum { kByDout = kKind == SMELT_NORM_LAYER || kKind == SMELT_NORM_ADD_TO };
    float by_norm[kVectors][kCount], by_dout[kByDout ? kVectors : 1][kCount];

    __device__ __forceinline__ Sums()
    {
#pragma unroll
        for (int v = 0; v < kVectors; v++)
#pragma unroll
            for (int i = 0; i < kCount; i++) by_norm[v][i] = by_dout[kByDout ? v : 0][i] = 0;
    }
    static __device__ __forceinline__ void put(float *to, const float (&f)[kCount])
    {
#pragma unroll
        for (int i = 0; i < kCount; i += 4)
            *reinterpret_cast<float4 *>(to + i) = make_float4(f[i], f[i + 1], f[i + 2], f[i + 3]);
    }
    __device__ __forceinline__ void write(const smelt_norm_params &p, const Team &team, int vectors) const
    {
#pragma unroll
        for (int v = 0; v < kVectors; v++) {
            const int index = team.rank + v * team.total;
            const int64_t at = team.index * p.dim + static_cast<int64_t>(index) * kCount;
            if (index >= vectors) continue;
            if (p.by_norm) put(p.by_norm + at, by_norm[v]);
            if (kByDout && p.by_dout) put(p.by_dout + at, by_dout[kByDout ? v : 0]);
        }
    }
};

/* mean (high, low) and scale of the row; mean of h = dout * gain (layer_norm), and of h times the value */
struct Statistics {
    float high, low, scale, mean, product;
};

template <int kKind, int kVectors>
__device__ __forceinline__ Statistics statistics(const Row<kKind, kVectors> &row,
                                                 const uint4 (&dout)[kVectors], const smelt_norm_params &p,
                                                 const Team &team, int vectors,
                                                 float4 (&shared)[2][kMostWarps], int &parity)
{
    float f[kCount], g[kCount], gain[kCount], scalar[kCount], sum[2] = {0, 0};
    Statistics s = {0, 0, 0, 0, 0};
    if constexpr (kKind == SMELT_NORM_LAYER) {
        const Moments m = moments_of<Row<kKind, kVectors>, kVectors>(row, p, team, vectors, shared[parity]);
        s.high = m.high, s.low = m.low, s.scale = rsqrtf(m.variance + p.eps);
        parity ^= 1;
    }
#pragma unroll
    for (int v = 0; v < kVectors; v++) {
        const int index = team.rank + v * team.total;
        if (index >= vectors) continue;
        row.values(v, f);
        Elements::unpack(dout[v], g);
        gains<kKind>(p, static_cast<int64_t>(index) * 16, gain, scalar);
#pragma unroll
        for (int i = 0; i < kCount; i++) {
            const float h = g[i] * gain[i];
            if (kKind == SMELT_NORM_LAYER)
                sum[0] += h, sum[1] = fmaf(h, (f[i] - s.high) - s.low, sum[1]);
            else
                sum[0] = fmaf(f[i], f[i], sum[0]), sum[1] = fmaf(h, f[i], sum[1]);
        }
    }
    team_sum(team, shared[parity], sum);
    parity ^= 1;
    if (kKind == SMELT_NORM_LAYER)
        s.mean = sum[0] * p.inverse_dim;
    else
        s.scale = rsqrtf(sum[0] * p.inverse_dim + p.eps);
    s.product = sum[1] * p.inverse_dim;
    return s;
}

/* One vector of the gradients of the rows, and its share of the sums. */
template <int kKind, int kVectors>
__device__ __forceinline__ void finish(const Row<kKind, kVectors> &row, int v, const uint4 &dout,
                                       const uint4 &dsum, const smelt_norm_params &p, const Statistics &s,
                                       int64_t at, char *dx, char *dresidual, Sums<kKind, kVectors> &sums)
{
    float f[kCount], g[kCount], gain[kCount], scalar[kCount], d[kCount];
    row.values(v, f);
    Elements::unpack(dout, g);
    gains<kKind>(p, at, gain, scalar);
    const float pull = s.scale * s.scale * s.scale * s.product;
#pragma unroll
    for (int i = 0; i < kCount; i++) {
        const float c = kKind == SMELT_NORM_LAYER ? (f[i] - s.high) - s.low : f[i];
        d[i] = (g[i] * gain[i] - s.mean) * s.scale - c * pull;
        sums.by_norm[v][i] = fmaf(g[i], c * s.scale, sums.by_norm[v][i]);
    }
    if constexpr (kKind == SMELT_NORM_LAYER) {
#pragma unroll
        for (int i = 0; i < kCount; i++) sums.by_dout[v][i] += g[i];
    }
    if constexpr (kKind == SMELT_NORM_ADD_TO) {
        Elements::unpack(row.residual[v], f);
#pragma unroll
        for (int i = 0; i < kCount; i++) sums.by_dout[v][i] = fmaf(g[i], f[i], sums.by_dout[v][i]);
#pragma unroll
        for (int i = 0; i < kCount; i++) f[i] = g[i] * scalar[i];
        if (dresidual) store(dresidual + at, Elements::pack(f), p.streaming);
    }
    if constexpr (kKind == SMELT_NORM_OF_SUM) {
        Elements::unpack(dsum, f);
#pragma unroll
        for (int i = 0; i < kCount; i++) d[i] += f[i];
        if (dresidual) store(dresidual + at, Elements::pack(d), p.streaming);
    }
    if (dx) store(dx + at, Elements::pack(d), p.streaming);
}

template <int kKind, int kVectors> __device__ __forceinline__ void gradient(const smelt_norm_params &p)
{
    __shared__ float4 shared[2][kMostWarps];
    const Team team(p.lanes, p.cluster);
    const int vectors = static_cast<int>(p.dim / kCount);
    int parity = 0;
    Sums<kKind, kVectors> sums;
    begin_kernel();
#pragma unroll 1
    for (int64_t first = team.first(), number = team.index; first < p.walk.rows;
         first += team.teams, number += team.teams) {
        const bool valid = number < p.walk.rows;
        int64_t at[SMELT_WALK_TENSORS];
        locate(p.walk, valid ? number : 0, at);
        Row<kKind, kVectors> row;
        uint4 dout[kVectors], dsum[kKind == SMELT_NORM_OF_SUM ? kVectors : 1];
        row.load(p, team, vectors, number);
        load_row(dout, p.data[SMELT_ROW_OUT] + at[SMELT_ROW_OUT], team, vectors,
                 valid && p.data[SMELT_ROW_OUT]);
        if constexpr (kKind == SMELT_NORM_OF_SUM)
            load_row(dsum, p.data[SMELT_ROW_SUM] + at[SMELT_ROW_SUM], team, vectors,
                     valid && p.data[SMELT_ROW_SUM]);
        const Statistics s = statistics(row, dout, p, team, vectors, shared, parity);
        char *dx = p.data[SMELT_ROW_DX], *dresidual = p.data[SMELT_ROW_DRESIDUAL];
        if (dx) dx += at[SMELT_ROW_DX];
        if (dresidual) dresidual += at[SMELT_ROW_DRESIDUAL];
#pragma unroll
        for (int v = 0; v < kVectors; v++) {
            const int index = team.rank + v * team.total;
            if (index < vectors && valid)
                finish(row, v, dout[v], dsum[kKind == SMELT_NORM_OF_SUM ? v : 0], p, s,
                       static_cast<int64_t>(index) * 16, dx, dresidual, sums);
        }
    }
    sums.write(p, team, vectors);
}

} // namespace smelt

#define SMELT_KERNEL(name, kind, vectors)                                                                    \
    extern "C" __global__ void __launch_bounds__(SMELT_NORM_THREADS, 1)                                      \
        name(const __grid_constant__ smelt_norm_params p)                                                    \
    {                                                                                                        \
        smelt::gradient<kind, vectors>(p);                                                                   \
    }
SMELT_NORM_VJP_ROWS(SMELT_KERNEL)
