/* SPDX-License-Identifier: Apache-2.0 */
/* The norm family, forward: a team of threads holds a row in its registers, so that it is read once, and asks
 * for its next row before it waits for the sums of this one. Compiled once per type, SMELT_TYPE. */
#include "row.cuh"

namespace smelt
{

/* The gains of a thread's vectors, as they are multiplied: with the offset where the type holds the sum. */
template <int kKind> __device__ __forceinline__ bool rounds(const smelt_norm_params &p)
{
    return !kWide && (kKind == SMELT_NORM_RMS || kKind == SMELT_NORM_LAYER) && !p.round_once;
}

template <int kKind>
__device__ __forceinline__ uint4 load_gain(const smelt_norm_params &p, int index, int vectors)
{
    if (!p.weight.data || index >= vectors) return make_uint4(0, 0, 0, 0);
    const uint4 raw = load_often(p.weight.data + static_cast<int64_t>(index) * 16);
    if (p.weight_offset == 0.0f || !(kWide || rounds<kKind>(p))) return raw;
    float f[kCount];
    Elements::unpack(raw, f);
#pragma unroll
    for (int i = 0; i < kCount; i++) f[i] += p.weight_offset;
    return Elements::pack(f);
}

struct Statistics {
    Centre centre;
    float scale;
};

template <int kKind, int kVectors>
__device__ __forceinline__ Statistics statistics(const Row<kKind, kVectors> &row, const smelt_norm_params &p,
                                                 const Team &team, int vectors, Exchange (&shared)[2],
                                                 int &count)
{
    float f[kCount], sums[2] = {0, 0};
    Statistics s = {{0, 0, 0}, 0};
    if constexpr (kKind == SMELT_NORM_LAYER) s.centre.pivot = row.pivot();
    if constexpr (kKind == SMELT_NORM_LAYER && kWide) {
        float sum[1] = {0};
#pragma unroll
        for (int v = 0; v < kVectors; v++) {
            row.values(v, f);
            if (team.rank + v * team.total >= vectors) continue;
#pragma unroll
            for (int i = 0; i < kCount; i++) sum[0] += f[i] - s.centre.pivot;
        }
        team_sum(team, shared, count, sum);
        s.centre.high = sum[0] * p.inverse_dim;
    }
#pragma unroll
    for (int v = 0; v < kVectors; v++) {
        row.values(v, f);
        if (kKind == SMELT_NORM_LAYER && team.rank + v * team.total >= vectors) continue;
        float own[2][2] = {{0, 0}, {0, 0}}; /* short chains */
#pragma unroll
        for (int i = 0; i < kCount; i++) {
            float d = f[i];
            if (kKind == SMELT_NORM_LAYER) d -= s.centre.pivot;
            if (kKind == SMELT_NORM_LAYER && kWide) d -= s.centre.high;
            if (kKind == SMELT_NORM_LAYER) own[0][i % 2] += d;
            own[1][i % 2] = fmaf(d, d, own[1][i % 2]);
        }
#pragma unroll
        for (int k = 0; k < 2; k++) sums[k] += own[k][0] + own[k][1];
    }
    if constexpr (kKind == SMELT_NORM_LAYER) {
        team_sum(team, shared, count, sums);
    } else {
        float squares[1] = {sums[1]};
        team_sum(team, shared, count, squares);
        sums[1] = squares[0];
    }
    const float rest = sums[0] * p.inverse_dim;
    s.centre.low = rest;
    if (kKind == SMELT_NORM_LAYER && !kWide) s.centre.high = s.centre.pivot + rest;
    s.scale = rsqrtf(not_negative(sums[1] * p.inverse_dim - rest * rest) + p.eps);
    return s;
}

/* The normalised values of one vector. */
template <int kKind>
__device__ __forceinline__ void normalise(const float (&f)[kCount], const Statistics &s, float (&y)[kCount])
{
#pragma unroll
    for (int i = 0; i < kCount; i++)
        y[i] = (kKind == SMELT_NORM_LAYER ? s.centre.of(f[i]) : f[i]) * s.scale; /* exactly 0 at the mean */
}

/* One vector of the output. */
template <int kKind, int kVectors>
__device__ __forceinline__ void finish(const Row<kKind, kVectors> &row, int v, const smelt_norm_params &p,
                                       const Statistics &s, const uint4 &gain, int64_t at, char *out,
                                       char *sum)
{
    float f[kCount], y[kCount], other[kCount];
    row.values(v, f);
    if (kKind == SMELT_NORM_OF_SUM && sum) store(sum + at, Elements::pack(f), p.streaming);
    normalise<kKind>(f, s, y);
    if (rounds<kKind>(p)) { /* in the arithmetic of the type, which rounds after every step */
        uint4 packed = Elements::pack(y);
        if (p.weight.data) packed = Elements::multiply(packed, gain);
        if (kKind == SMELT_NORM_LAYER && p.bias.data)
            packed = Elements::add(packed, load_often(p.bias.data + at));
        store(out + at, packed, p.streaming);
        return;
    }
    if (p.weight.data) {
        Elements::unpack(gain, other);
        if (!kWide && p.weight_offset != 0.0f)
#pragma unroll
            for (int i = 0; i < kCount; i++) other[i] += p.weight_offset;
#pragma unroll
        for (int i = 0; i < kCount; i++) y[i] *= other[i];
    }
    if (kKind == SMELT_NORM_LAYER && p.bias.data) {
        load_column(p.bias, at, other);
#pragma unroll
        for (int i = 0; i < kCount; i++) y[i] += other[i];
    }
    if constexpr (kKind == SMELT_NORM_ADD_TO) {
        Elements::unpack(row.residual[v], other);
#pragma unroll
        for (int i = 0; i < kCount; i++) y[i] += other[i];
    }
    if (Row<kKind, kVectors>::kOperands == 2 && p.scalar.data) {
        load_column(p.scalar, at, other);
#pragma unroll
        for (int i = 0; i < kCount; i++) y[i] *= other[i];
    }
    store(out + at, Elements::pack(y), p.streaming);
}

template <int kKind, int kVectors> __device__ __forceinline__ void forward(const smelt_norm_params &p)
{
    constexpr bool kKept = kVectors * Row<kKind, kVectors>::kOperands <= 4; /* gains stay in registers */
    __shared__ Exchange shared[2];
    const Team team(p.lanes, p.cluster);
    const int vectors = static_cast<int>(p.dim / kCount);
    int count = 0;
    Row<kKind, kVectors> row, next;
    uint4 gains[kKept ? kVectors : 1];
    begin_kernel();
    row.load(p, team, vectors, team.index);
    if constexpr (kKept) {
#pragma unroll
        for (int v = 0; v < kVectors; v++)
            gains[v] = load_gain<kKind>(p, team.rank + v * team.total, vectors);
    }
    begin_team(team, shared);
#pragma unroll 1
    for (int64_t first = team.first(), at = team.index; first < p.walk.rows;
         first += team.teams, at += team.teams) {
        next.load(p, team, vectors, at + team.teams);
        const Statistics s = statistics(row, p, team, vectors, shared, count);
        int64_t to[SMELT_ROW_SUM + 1];
        locate(p.walk, at, to);
        char *out = p.data[SMELT_ROW_OUT] + to[SMELT_ROW_OUT], *sum = p.data[SMELT_ROW_SUM];
        if (sum) sum += to[SMELT_ROW_SUM];
#pragma unroll
        for (int v = 0; v < kVectors; v++) {
            const int index = team.rank + v * team.total;
            if (index >= vectors || at >= p.walk.rows) continue;
            uint4 gain = kKept ? gains[kKept ? v : 0] : load_gain<kKind>(p, index, vectors);
            recompute(gain);
            finish(row, v, p, s, gain, static_cast<int64_t>(index) * 16, out, sum);
        }
        row = next;
    }
}

} // namespace smelt

#define SMELT_KERNEL(name, kind, vectors)                                                                    \
    extern "C" __global__ void __launch_bounds__(SMELT_NORM_THREADS, 1)                                      \
        name(const __grid_constant__ smelt_norm_params p)                                                    \
    {                                                                                                        \
        smelt::forward<kind, vectors>(p);                                                                    \
    }
SMELT_NORM_FORWARD_ROWS(SMELT_KERNEL)
