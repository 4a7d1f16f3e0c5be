/* SPDX-License-Identifier: Apache-2.0 */
/* A row of the norm family in the registers of its team, and its statistics. SMELT_TYPE is the type of all
 * elements. */
#pragma once

#include "../team.cuh"
#include "params.h"

namespace smelt
{

typedef Vector<SMELT_TYPE> Elements;
enum { kCount = Elements::kCount };

/* The vectors of one thread: number v of the row's, in steps of the team. */
template <int kVectors>
__device__ __forceinline__ void load_row(uint4 (&raw)[kVectors], const char *row, const Team &team,
                                         int vectors, bool valid)
{
#pragma unroll
    for (int v = 0; v < kVectors; v++) {
        const int index = team.rank + v * team.total;
        raw[v] = valid && index < vectors ? load_once(row + static_cast<int64_t>(index) * 16)
                                          : make_uint4(0, 0, 0, 0);
    }
}

template <int kKind, int kVectors> struct Row {
    enum { kOperands = kKind == SMELT_NORM_ADD_TO || kKind == SMELT_NORM_OF_SUM ? 2 : 1 };
    uint4 x[kVectors], residual[kOperands == 2 ? kVectors : 1];

    __device__ __forceinline__ void load(const smelt_norm_params &p, const Team &team, int vectors,
                                         int64_t row)
    {
        const bool valid = row < p.walk.rows;
        int64_t at[kOperands];
        locate(p.walk, valid ? row : 0, at);
        load_row(x, p.data[SMELT_ROW_X] + at[0], team, vectors, valid);
        if constexpr (kOperands == 2)
            load_row(residual, p.data[SMELT_ROW_RESIDUAL] + at[1], team, vectors,
                     valid && p.data[SMELT_ROW_RESIDUAL]);
    }
    /* What is normalised. */
    __device__ __forceinline__ void values(int v, float (&f)[kCount]) const
    {
        Elements::unpack(x[v], f);
        if constexpr (kKind == SMELT_NORM_OF_SUM) {
            float r[kCount];
            Elements::unpack(residual[v], r);
#pragma unroll
            for (int i = 0; i < kCount; i++) f[i] = r[i] + f[i];
        }
    }
};

/* Mean (high and low part) and variance of a row. */
template <class AnyRow, int kVectors>
__device__ __forceinline__ Moments moments_of(const AnyRow &row, const smelt_norm_params &p, const Team &team,
                                              int vectors, float4 *shared)
{
    float f[kCount], sum[2] = {0, 0};
    int own = 0;
#pragma unroll
    for (int v = 0; v < kVectors; v++) {
        row.values(v, f);
        own += team.rank + v * team.total < vectors ? kCount : 0;
#pragma unroll
        for (int i = 0; i < kCount; i++) sum[0] += f[i];
    }
    sum[1] = static_cast<float>(own);
    lanes_sum(team.lanes, sum);
    const float count = sum[1], mean = count > 0.0f ? __fdividef(sum[0], count) : 0.0f;
    sum[0] = sum[1] = 0;
#pragma unroll
    for (int v = 0; v < kVectors; v++) {
        row.values(v, f);
        if (team.rank + v * team.total >= vectors) continue;
#pragma unroll
        for (int i = 0; i < kCount; i++) {
            const float c = f[i] - mean;
            sum[0] += c, sum[1] = fmaf(c, c, sum[1]);
        }
    }
    lanes_sum(team.lanes, sum);
    return team_moments(team, shared, mean, sum[0], sum[1], count, p.inverse_dim);
}

/* One vector of a column at byte `at`; a column of one element fills it. */
__device__ __forceinline__ void load_column(const smelt_norm_column &column, int64_t at, float (&f)[kCount])
{
    if (column.step) {
        Elements::unpack(load_often(column.data + at), f);
        return;
    }
    const float value = load_element(column.data, SMELT_TYPE);
#pragma unroll
    for (int i = 0; i < kCount; i++) f[i] = value;
}

} // namespace smelt
