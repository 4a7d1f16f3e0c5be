/* SPDX-License-Identifier: Apache-2.0 */
/* The norm family, gradients: rows as in forward.cu. A thread keeps the sums over its rows that the gradients
 * of weight, bias and scalar are made of, for the columns it holds; columns.cu adds those of all teams.
 * Compiled once per type, SMELT_TYPE. */
#include "row.cuh"

namespace smelt
{

/* What dout is multiplied by: weight + offset, in the residual family times the scalar. */
template <int kKind>
__device__ __forceinline__ void load_gain(const smelt_norm_params &p, int64_t at, float (&gain)[kCount])
{
#pragma unroll
    for (int i = 0; i < kCount; i++) gain[i] = 1;
    if (p.weight.data) {
        load_column(p.weight, at, gain);
#pragma unroll
        for (int i = 0; i < kCount; i++) gain[i] += p.weight_offset;
    }
    if (kKind != SMELT_NORM_RMS && kKind != SMELT_NORM_LAYER && p.scalar.data) {
        float scalar[kCount];
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

/* A row with its cotangents. */
template <int kKind, int kVectors> struct Inputs {
    Row<kKind, kVectors> row;
    uint4 dout[kVectors], dsum[kKind == SMELT_NORM_OF_SUM ? kVectors : 1];

    __device__ __forceinline__ void load(const smelt_norm_params &p, const Team &team, int vectors,
                                         int64_t number)
    {
        const bool valid = number < p.walk.rows;
        int64_t at[SMELT_ROW_SUM + 1];
        locate(p.walk, valid ? number : 0, at);
        row.load(p, team, vectors, number);
        load_row(dout, p.data[SMELT_ROW_OUT] + at[SMELT_ROW_OUT], team, vectors,
                 valid && p.data[SMELT_ROW_OUT]);
        if constexpr (kKind == SMELT_NORM_OF_SUM)
            load_row(dsum, p.data[SMELT_ROW_SUM] + at[SMELT_ROW_SUM], team, vectors,
                     valid && p.data[SMELT_ROW_SUM]);
    }
};

/* 1 / sqrt(variance or mean square + eps); the mean of h = dout * gain (layer_norm), and of h times the value
 */
struct Statistics {
    Centre centre;
    float scale, mean, product;
};

/* Layer_norm in float32 takes the mean first; else one round of sums, of 16-bit values around a pivot. */
template <int kKind, int kVectors>
__device__ __forceinline__ Statistics statistics(const Inputs<kKind, kVectors> &in,
                                                 const float (&gains)[kVectors][kCount],
                                                 const smelt_norm_params &p, const Team &team, int vectors,
                                                 Exchange (&shared)[2], int &count)
{
    constexpr bool kLayer = kKind == SMELT_NORM_LAYER;
    float f[kCount], g[kCount];
    Statistics s = {{0, 0, 0}, 0, 0, 0};
    if constexpr (kLayer) s.centre.pivot = in.row.pivot();
    if constexpr (kLayer && kWide) {
        float sum[1] = {0};
#pragma unroll
        for (int v = 0; v < kVectors; v++) {
            if (team.rank + v * team.total >= vectors) continue;
            in.row.values(v, f);
#pragma unroll
            for (int i = 0; i < kCount; i++) sum[0] += f[i] - s.centre.pivot;
        }
        team_sum(team, shared, count, sum);
        s.centre.high = sum[0] * p.inverse_dim;
    }
    float sums[kLayer ? 4 : 2]; /* squares, h d, d, h */
#pragma unroll
    for (int k = 0; k < (kLayer ? 4 : 2); k++) sums[k] = 0;
#pragma unroll
    for (int v = 0; v < kVectors; v++) {
        if (team.rank + v * team.total >= vectors) continue;
        in.row.values(v, f);
        Elements::unpack(in.dout[v], g);
        float own[4][2] = {{0, 0}, {0, 0}, {0, 0}, {0, 0}}; /* short chains */
#pragma unroll
        for (int i = 0; i < kCount; i++) {
            const float h = g[i] * gains[v][i];
            float d = f[i];
            if (kLayer) d -= s.centre.pivot;
            if (kLayer && kWide) d -= s.centre.high;
            own[0][i % 2] = fmaf(d, d, own[0][i % 2]), own[1][i % 2] = fmaf(h, d, own[1][i % 2]);
            if (kLayer) own[2][i % 2] += d, own[3][i % 2] += h;
        }
#pragma unroll
        for (int k = 0; k < (kLayer ? 4 : 2); k++) sums[k] += own[k][0] + own[k][1];
    }
    team_sum(team, shared, count, sums);
    const float rest = kLayer ? sums[kLayer ? 2 : 0] * p.inverse_dim : 0.0f;
    s.mean = kLayer ? sums[kLayer ? 3 : 0] * p.inverse_dim : 0.0f;
    s.centre.low = rest;
    if (kLayer && !kWide) s.centre.high = s.centre.pivot + rest;
    s.scale = rsqrtf(not_negative(sums[0] * p.inverse_dim - rest * rest) + p.eps);
    s.product = sums[1] * p.inverse_dim - rest * s.mean;
    return s;
}

/* One vector of the gradients of the rows, and its share of the sums. */
template <int kKind, int kVectors>
__device__ __forceinline__ void finish(const Inputs<kKind, kVectors> &in, int v, const float (&gain)[kCount],
                                       const smelt_norm_params &p, const Statistics &s, int64_t at, char *dx,
                                       char *dresidual, Sums<kKind, kVectors> &sums)
{
    float f[kCount], g[kCount], d[kCount];
    in.row.values(v, f);
    Elements::unpack(in.dout[v], g);
    const float pull = -s.scale * s.scale * s.scale * s.product, shift = -s.mean * s.scale;
#pragma unroll
    for (int i = 0; i < kCount; i++) {
        const float c = kKind == SMELT_NORM_LAYER ? s.centre.of(f[i]) : f[i];
        d[i] = fmaf(c, pull, fmaf(g[i] * gain[i], s.scale, shift));
        sums.by_norm[v][i] = fmaf(g[i], c * s.scale, sums.by_norm[v][i]);
    }
    if constexpr (kKind == SMELT_NORM_LAYER) {
#pragma unroll
        for (int i = 0; i < kCount; i++) sums.by_dout[v][i] += g[i];
    }
    if constexpr (kKind == SMELT_NORM_ADD_TO) {
        Elements::unpack(in.row.residual[v], f);
#pragma unroll
        for (int i = 0; i < kCount; i++) sums.by_dout[v][i] = fmaf(g[i], f[i], sums.by_dout[v][i]);
        if (p.scalar.data) {
            load_column(p.scalar, at, f);
#pragma unroll
            for (int i = 0; i < kCount; i++) g[i] *= f[i];
        }
        if (dresidual) store(dresidual + at, Elements::pack(g), p.streaming);
    }
    if constexpr (kKind == SMELT_NORM_OF_SUM) {
        Elements::unpack(in.dsum[v], f);
#pragma unroll
        for (int i = 0; i < kCount; i++) d[i] += f[i];
        if (dresidual) store(dresidual + at, Elements::pack(d), p.streaming);
    }
    if (dx) store(dx + at, Elements::pack(d), p.streaming);
}

template <int kKind, int kVectors> __device__ __forceinline__ void gradient(const smelt_norm_params &p)
{
    /* the next row is asked for early where the registers hold it */
    constexpr bool kAhead = kVectors == 1 || kKind == SMELT_NORM_RMS;
    __shared__ Exchange shared[2];
    const Team team(p.lanes, p.cluster);
    const int vectors = static_cast<int>(p.dim / kCount);
    int count = 0;
    Sums<kKind, kVectors> sums;
    Inputs<kKind, kVectors> in, next;
    float gains[kVectors][kCount];
    begin_kernel();
    if (kAhead) next.load(p, team, vectors, team.index);
#pragma unroll
    for (int v = 0; v < kVectors; v++) {
        const int index = team.rank + v * team.total;
        load_gain<kKind>(p, static_cast<int64_t>(index < vectors ? index : 0) * 16, gains[v]);
    }
    begin_team(team, shared);
#pragma unroll 1
    for (int64_t first = team.first(), number = team.index; first < p.walk.rows;
         first += team.teams, number += team.teams) {
        if (kAhead) {
            in = next;
            next.load(p, team, vectors, number + team.teams);
        } else {
            in.load(p, team, vectors, number);
        }
        const Statistics s = statistics(in, gains, p, team, vectors, shared, count);
        int64_t at[SMELT_WALK_TENSORS];
        locate(p.walk, number, at);
        char *dx = p.data[SMELT_ROW_DX], *dresidual = p.data[SMELT_ROW_DRESIDUAL];
        if (dx) dx += at[SMELT_ROW_DX];
        if (dresidual) dresidual += at[SMELT_ROW_DRESIDUAL];
#pragma unroll
        for (int v = 0; v < kVectors; v++) {
            const int index = team.rank + v * team.total;
            if (index < vectors && number < p.walk.rows)
                finish(in, v, gains[v], p, s, static_cast<int64_t>(index) * 16, dx, dresidual, sums);
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
