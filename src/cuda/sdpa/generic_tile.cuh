/* SPDX-License-Identifier: Apache-2.0 */
/* Tiles of float32 products from any type and strides, for the generic kernels of attention and its gradient.
 *
 * A block of 128 threads does 64 rows. Thread (x, y) of 16 by 8 holds scores of rows 8 y .. 8 y + 7 and
 * columns 4 x .. 4 x + 3, and sums of the same rows and columns 4 x .. 4 x + 3 and 64 + 4 x .. 64 + 4 x + 3.
 */
#pragma once

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

/* Four entries along a row, as float32; zero outside `columns`. */
__device__ __forceinline__ float4 load_four(const smelt_sdpa_view &view, int type, int64_t line, int column,
                                            int columns)
{
    const int64_t at = line + column * view.column;
    const bool together = view.column == 1 && column + 4 <= columns;
    if (together && type == SMELT_TYPE_F32) {
        const float *from = static_cast<const float *>(view.data) + at;
        if ((reinterpret_cast<uintptr_t>(from) & 15) == 0) return *reinterpret_cast<const float4 *>(from);
    } else if (together) {
        const uint16_t *from = static_cast<const uint16_t *>(view.data) + at;
        if ((reinterpret_cast<uintptr_t>(from) & 7) == 0) {
            const uint2 words = *reinterpret_cast<const uint2 *>(from);
            const uint32_t bits[4] = {words.x & 0xFFFF, words.x >> 16, words.y & 0xFFFF, words.y >> 16};
            if (type == SMELT_TYPE_F16)
                return make_float4(widen_bits(Half(), bits[0]), widen_bits(Half(), bits[1]),
                                   widen_bits(Half(), bits[2]), widen_bits(Half(), bits[3]));
            return make_float4(widen_bits(Bfloat(), bits[0]), widen_bits(Bfloat(), bits[1]),
                               widen_bits(Bfloat(), bits[2]), widen_bits(Bfloat(), bits[3]));
        }
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

/* 64 rows by kColumns of the second product's operand; returns whether all are finite, for the whole block.
 */
__device__ __forceinline__ bool load_values(GenericShared &shared, const smelt_sdpa_view &view, int type,
                                            int64_t base, int first, int rows, int first_column, int columns)
{
    int strange = 0;
    for (int i = threadIdx.x; i < kKeys * kColumns / 4; i += kBlock) {
        const int row = i / (kColumns / 4), column = i % (kColumns / 4) * 4;
        float4 x = make_float4(0, 0, 0, 0);
        if (first + row < rows)
            x = load_four(view, type, base + (first + row) * view.row, first_column + column, columns);
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

__device__ __forceinline__ void store_float(const smelt_sdpa_view &view, int type, int64_t index, float value)
{
    void *out = const_cast<void *>(view.data);
    if (type == SMELT_TYPE_F32)
        static_cast<float *>(out)[index] = value;
    else if (type == SMELT_TYPE_F16)
        static_cast<__half *>(out)[index] = __float2half_rn(value);
    else
        static_cast<__nv_bfloat16 *>(out)[index] = __float2bfloat16_rn(value);
}

} // namespace smelt
