/* SPDX-License-Identifier: Apache-2.0 */
/* A row of the norm family in the registers of its team, and its statistics. SMELT_TYPE is the type of all
 * elements. */
#pragma once

#include "../team.cuh"
#include "params.h"

namespace smelt
{

typedef Vector<SMELT_TYPE> Elements;
enum { kCount = Elements::kCount, kWide = SMELT_TYPE == SMELT_CUDA_F32 };

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
    uint32_t first; /* layer_norm: the row's first element, or two of 16 bits */

    __device__ __forceinline__ void load(const smelt_norm_params &p, const Team &team, int vectors,
                                         int64_t row)
    {
        const bool valid = row < p.walk.rows;
        int64_t at[kOperands];
        locate(p.walk, valid ? row : 0, at);
        const char *const line = p.data[SMELT_ROW_X] + at[0];
        load_row(x, line, team, vectors, valid);
        if constexpr (kKind == SMELT_NORM_LAYER) first = *reinterpret_cast<const uint32_t *>(line);
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
    /* A value near the mean, and the value itself where all are equal: sums are of the distances from it. */
    __device__ __forceinline__ float pivot() const
    {
        if (kWide) return __uint_as_float(first);
        float low, high;
        Vector16<SMELT_TYPE>::unpack(first, low, high);
        return 0.5f * (low + high);
    }
};

/* x - mean is ((x - pivot) - high) - low in float32; for 16 bits x - high holds all the digits there are. */
struct Centre {
    float pivot, high, low;
    __device__ __forceinline__ float of(float f) const
    {
        return kWide ? ((f - pivot) - high) - low : f - high;
    }
};

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
