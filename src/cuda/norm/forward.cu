/* SPDX-License-Identifier: Apache-2.0 */
/* The norm family, forward: a team of threads holds a row in its registers, so that it is read once, and asks
 * for its next row before it waits for the sums of this one. Compiled once per type, SMELT_TYPE. */
#include "row.cuh"

namespace smelt
{

/* mean, its correction, and 1 / sqrt(mean square + eps), of the values or of their distance from the mean */
template <int kKind, int kVectors>
__device__ __forceinline__ float3 statistics(const Row<kKind, kVectors> &row, const smelt_norm_params &p,
                                             const Team &team, int vectors, float4 *shared)
{
    if constexpr (kKind == SMELT_NORM_LAYER) {
        const Moments m = moments_of<Row<kKind, kVectors>, kVectors>(row, p, team, vectors, shared);
        return make_float3(m.high, m.low, rsqrtf(m.variance + p.eps));
    }
    float f[kCount], squares[1] = {0};
#pragma unroll
    for (int v = 0; v < kVectors; v++) {
        row.values(v, f);
#pragma unroll
        for (int i = 0; i < kCount; i++) squares[0] = fmaf(f[i], f[i], squares[0]);
    }
    team_sum(team, shared, squares);
    return make_float3(0, 0, rsqrtf(squares[0] * p.inverse_dim + p.eps));
}

/* One vector of the output. */
template <int kKind, int kVectors>
__device__ __forceinline__ void finish(const Row<kKind, kVectors> &row, int v, const smelt_norm_params &p,
                                       const float3 &s, const uint4 &weight, int64_t at, char *out, char *sum)
{
    constexpr bool kRounds = kKind == SMELT_NORM_RMS || kKind == SMELT_NORM_LAYER;
    const bool round = kRounds && !p.round_once;
    float f[kCount], y[kCount], other[kCount];
    row.values(v, f);
    if (kKind == SMELT_NORM_OF_SUM && sum) store(sum + at, Elements::pack(f), p.streaming);
#pragma unroll
    for (int i = 0; i < kCount; i++) y[i] = (kKind == SMELT_NORM_LAYER ? (f[i] - s.x) - s.y : f[i]) * s.z;
    if (round) Elements::round(y);
    if (p.weight.data) {
        Elements::unpack(weight, other);
#pragma unroll
        for (int i = 0; i < kCount; i++) other[i] += p.weight_offset;
        if (round) Elements::round(other);
#pragma unroll
        for (int i = 0; i < kCount; i++) y[i] *= other[i];
        if (kKind == SMELT_NORM_LAYER && round) Elements::round(y);
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
    if (!kRounds && p.scalar.data) {
        load_column(p.scalar, at, other);
#pragma unroll
        for (int i = 0; i < kCount; i++) y[i] *= other[i];
    }
    store(out + at, Elements::pack(y), p.streaming);
}

template <int kKind, int kVectors> __device__ __forceinline__ void forward(const smelt_norm_params &p)
{
    __shared__ float4 shared[2][kMostWarps];
    const Team team(p.lanes, p.cluster);
    const int vectors = static_cast<int>(p.dim / kCount);
    int parity = 0;
    Row<kKind, kVectors> row, next;
    begin_kernel();
    row.load(p, team, vectors, team.index);
#pragma unroll 1
    for (int64_t first = team.first(), at = team.index; first < p.walk.rows;
         first += team.teams, at += team.teams, parity ^= 1) {
        uint4 weight[kVectors];
        if (p.weight.data) {
#pragma unroll
            for (int v = 0; v < kVectors; v++) {
                const int index = team.rank + v * team.total;
                weight[v] = index < vectors ? load_often(p.weight.data + static_cast<int64_t>(index) * 16)
                                            : make_uint4(0, 0, 0, 0);
            }
        }
        next.load(p, team, vectors, at + team.teams);
        const float3 s = statistics(row, p, team, vectors, shared[parity]);
        int64_t to[SMELT_ROW_SUM + 1];
        locate(p.walk, at, to);
        char *out = p.data[SMELT_ROW_OUT] + to[SMELT_ROW_OUT], *sum = p.data[SMELT_ROW_SUM];
        if (sum) sum += to[SMELT_ROW_SUM];
#pragma unroll
        for (int v = 0; v < kVectors; v++) {
            const int index = team.rank + v * team.total;
            if (index < vectors && at < p.walk.rows)
                finish(row, v, p, s, weight[v], static_cast<int64_t>(index) * 16, out, sum);
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
