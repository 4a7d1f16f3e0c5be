/* SPDX-License-Identifier: Apache-2.0 */
/* Masks on accumulator tiles: the visible interval of every row, and what general kernels add to it (soft
 * capping, boolean and additive masks from memory, key masks). */
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include "schedule.cuh"

namespace smelt
{

constexpr float kLog2e = 1.4426950408889634f;

__device__ __forceinline__ float load_float(const void *data, int64_t index, int type)
{
    if (type == SMELT_TYPE_F32) return static_cast<const float *>(data)[index];
    if (type == SMELT_TYPE_F16) return __half2float(static_cast<const __half *>(data)[index]);
    return __bfloat162float(static_cast<const __nv_bfloat16 *>(data)[index]);
}

/* Does some row of first_row .. first_row + rows - 1 not see the whole of key tile `tile`? */
__device__ __forceinline__ bool tile_is_cut(const Range &range, int tile, int keys, int first_row, int rows)
{
    const int first_key = tile * keys, last_key = first_key + keys - 1;
    return last_key >= range.length || last_key > first_row + range.right ||
           first_key < first_row + rows - 1 + range.left;
}

/* Scores outside [row + left, row + right] and beyond the length become -inf. `row` is this thread's first
 * row, `column` its first column. */
template <int kCount>
__device__ __forceinline__ void mask_interval(float (&scores)[kCount], const Range &range, int row, int column)
{
    int low[2], high[2];
#pragma unroll
    for (int r = 0; r < 2; r++) {
        low[r] = row + 8 * r + range.left - column;
        high[r] = min(row + 8 * r + range.right, range.length - 1) - column;
    }
#pragma unroll
    for (int i = 0; i < kCount; i++) {
        const int r = i / 2 % 2, offset = i / 4 * 8 + i % 2;
        if (offset < low[r] || offset > high[r]) scores[i] = -INFINITY;
    }
}

__device__ __forceinline__ bool key_is_kept(const smelt_sdpa_params &p, int batch, int key)
{
    const unsigned char *entry =
        p.key_mask + batch * p.key_mask_batch + static_cast<int64_t>(key) * p.key_mask_column;
    if (p.key_mask_bytes == 1) return *entry != 0;
    if (p.key_mask_bytes == 2) return *reinterpret_cast<const uint16_t *>(entry) != 0;
    if (p.key_mask_bytes == 4) return *reinterpret_cast<const uint32_t *>(entry) != 0;
    return *reinterpret_cast<const uint64_t *>(entry) != 0;
}

/* Raw score -> scaled, soft capped score in units of log 2. */
__device__ __forceinline__ float cap_score(const smelt_sdpa_params &p, float score)
{
    if (p.softcap == 0.0f) return score * p.scale_log2;
    return p.softcap * kLog2e * tanhf(score * p.softcap_inverse);
}

/* The mask tensor and the key mask on one score that lies inside the tensor. */
__device__ __forceinline__ float mask_score(const smelt_sdpa_params &p, float score, const Tile &tile,
                                            int64_t row_offset, int key)
{
    if (p.mask_type != SMELT_TYPE_NONE) {
        const int64_t index = row_offset + key * p.mask.column;
        if (p.mask_type == SMELT_TYPE_BOOL) {
            if (!static_cast<const unsigned char *>(p.mask.data)[index]) return -INFINITY;
        } else {
            const float added = load_float(p.mask.data, index, p.mask_type);
            /* not a sum: a masked NaN must vanish */
            if (added == -INFINITY) return -INFINITY;
            score += added * kLog2e;
        }
    }
    if (p.key_mask && !key_is_kept(p, tile.batch, key)) return -INFINITY;
    return score;
}

__device__ __forceinline__ int64_t mask_row(const smelt_sdpa_params &p, const Tile &tile, int row)
{
    return tile.batch * p.mask.batch + tile.head * p.mask.head +
           static_cast<int64_t>(min(row, p.q_length - 1)) * p.mask.row;
}

/* Everything on a raw accumulator tile; `scores` end in units of log 2. */
template <int kCount>
__device__ __forceinline__ void mask_general(float (&scores)[kCount], const smelt_sdpa_params &p,
                                             const Range &range, const Tile &tile, int row, int column)
{
    const int64_t rows[2] = {mask_row(p, tile, row), mask_row(p, tile, row + 8)};
#pragma unroll
    for (int i = 0; i < kCount; i++) scores[i] = cap_score(p, scores[i]);
#pragma unroll
    for (int i = 0; i < kCount; i++) {
        const int key = column + i / 4 * 8 + i % 2;
        if (key < range.length) scores[i] = mask_score(p, scores[i], tile, rows[i / 2 % 2], key);
    }
}

} // namespace smelt
