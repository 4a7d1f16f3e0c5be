/* SPDX-License-Identifier: Apache-2.0 */
/* Masks on accumulator tiles: the visible interval of every row, and what general kernels add to it (soft
 * capping, boolean and additive masks from memory, key masks). */
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include "schedule.cuh"
#include "wgmma.cuh"

namespace smelt
{

constexpr float kLog2e = 1.4426950408889634f;

__device__ __forceinline__ float load_float(const void *data, int64_t index, int type)
{
    if (type == SMELT_TYPE_F32) return static_cast<const float *>(data)[index];
    if (type == SMELT_TYPE_F16) return __half2float(static_cast<const __half *>(data)[index]);
    return __bfloat162float(static_cast<const __nv_bfloat16 *>(data)[index]);
}

__device__ __forceinline__ float load_element(Bfloat, const void *data, int64_t index)
{
    return __bfloat162float(static_cast<const __nv_bfloat16 *>(data)[index]);
}

__device__ __forceinline__ float load_element(Half, const void *data, int64_t index)
{
    return __half2float(static_cast<const __half *>(data)[index]);
}

/* Key tiles [low, high) that queries first .. last all see in whole; every other tile has to be masked. */
struct Uncut {
    int low, high;

    __device__ __forceinline__ void set(const Range &range, int keys, int first, int last)
    {
        low = (max(0, last + range.left) + keys - 1) / keys;
        high = max(0, min(range.length, first + range.right + 1)) / keys;
    }
    __device__ __forceinline__ bool has(int tile) const { return tile >= low && tile < high; }
};

/* Scores outside [query + left, query + right] and beyond the length become -inf. A thread has two rows; its
 * first column is `column`. */
template <int kCount>
__device__ __forceinline__ void mask_interval(float (&scores)[kCount], const Range &range,
                                              const int (&query)[2], int column)
{
    int low[2], high[2];
#pragma unroll
    for (int r = 0; r < 2; r++) {
        low[r] = query[r] + range.left - column;
        high[r] = min(query[r] + range.right, range.length - 1) - column;
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
    unsigned char any = 0;
#pragma unroll 1
    for (int i = 0; i < p.key_mask_bytes; i++) any |= entry[i];
    return any != 0;
}

/* cap * tanh(score * scale / cap) in units of log 2. */
__device__ __forceinline__ float soft_cap(const smelt_sdpa_params &p, float score)
{
    const float power = exp2f(2.0f * kLog2e * score * p.softcap_inverse);
    return p.softcap * kLog2e * (1.0f - __fdividef(2.0f, power + 1.0f));
}

/* Raw score -> scaled, soft capped score in units of log 2. */
__device__ __forceinline__ float cap_score(const smelt_sdpa_params &p, float score)
{
    return p.softcap == 0.0f ? score * p.scale_log2 : soft_cap(p, score);
}

/* Raw score -> score in units of log 2, and the slope of the soft cap there. */
__device__ __forceinline__ float cap_with_slope(const smelt_sdpa_params &p, float raw, float *slope)
{
    *slope = 1.0f;
    if (p.softcap == 0.0f) return raw * p.scale_log2;
    const float power = exp2f(2.0f * kLog2e * raw * p.softcap_inverse);
    const float tangent = 1.0f - __fdividef(2.0f, power + 1.0f);
    *slope = 1.0f - tangent * tangent;
    return p.softcap * kLog2e * tangent;
}

/* An additive entry of -inf hides its key: a NaN score must vanish too. */
__device__ __forceinline__ float add_mask(float score, float added)
{
    return added == -INFINITY ? -INFINITY : fmaf(added, kLog2e, score);
}

/* The mask tensor and the key mask on one score that lies inside the tensor. */
__device__ __forceinline__ float mask_score(const smelt_sdpa_params &p, float score, int batch,
                                            int64_t row_offset, int key)
{
    if (p.key_mask && !key_is_kept(p, batch, key)) return -INFINITY;
    if (p.mask_type == SMELT_TYPE_NONE) return score;
    const int64_t index = row_offset + key * p.mask.column;
    if (p.mask_type == SMELT_TYPE_BOOL)
        return static_cast<const unsigned char *>(p.mask.data)[index] ? score : -INFINITY;
    return add_mask(score, load_float(p.mask.data, index, p.mask_type));
}

__device__ __forceinline__ int64_t mask_row(const smelt_sdpa_params &p, int batch, int head, int query)
{
    return batch * p.mask.batch + head * p.mask.head +
           static_cast<int64_t>(min(query, p.q_length - 1)) * p.mask.row;
}

/* The bits of a mask entry that has the type of the queries, as a number. */
__device__ __forceinline__ float widen_bits(Bfloat, uint32_t bits) { return __uint_as_float(bits << 16); }
__device__ __forceinline__ float widen_bits(Half, uint32_t bits)
{
    return __half2float(__ushort_as_half(static_cast<unsigned short>(bits)));
}

/* Mask entries of kBatch scores from index `first` on, as bits; entries beyond the length read as zero. */
template <int kBatch, class Word>
__device__ __forceinline__ void load_bits(uint32_t (&bits)[kBatch], const smelt_sdpa_params &p,
                                          const int64_t (&rows)[2], int first, int column, int length)
{
    const Word *mask = static_cast<const Word *>(p.mask.data);
#pragma unroll
    for (int i = 0; i < kBatch; i++) {
        const int index = first + i, key = column + index / 4 * 8 + index % 2;
        bits[i] = key < length ? mask[rows[index / 2 % 2] + key * p.mask.column] : Word(0);
    }
}

/* The mask tensor on scores in units of log 2, in batches: all loads at once would take too many registers. A
 * mask of 16 bits has the type of the queries. */
template <class Element, int kCount>
__device__ __forceinline__ void apply_mask(float (&scores)[kCount], const smelt_sdpa_params &p, int length,
                                           const int64_t (&rows)[2], int column)
{
    constexpr int kBatch = 8;
#pragma unroll
    for (int first = 0; first < kCount; first += kBatch) {
        uint32_t bits[kBatch];
        if (p.mask_type == SMELT_TYPE_BOOL)
            load_bits<kBatch, uint8_t>(bits, p, rows, first, column, length);
        else if (p.mask_type == SMELT_TYPE_F32)
            load_bits<kBatch, uint32_t>(bits, p, rows, first, column, length);
        else
            load_bits<kBatch, uint16_t>(bits, p, rows, first, column, length);
#pragma unroll
        for (int i = 0; i < kBatch; i++) {
            float added = bits[i] ? 0.0f : -INFINITY;
            if (p.mask_type != SMELT_TYPE_BOOL)
                added =
                    p.mask_type == SMELT_TYPE_F32 ? __uint_as_float(bits[i]) : widen_bits(Element(), bits[i]);
            scores[first + i] = add_mask(scores[first + i], added);
        }
        asm volatile("" ::: "memory");
    }
}

/* Everything on a raw accumulator tile; `scores` end in units of log 2. `rows` are the mask's row offsets. */
template <class Element, int kCount>
__device__ __forceinline__ void mask_general(float (&scores)[kCount], const smelt_sdpa_params &p,
                                             const Range &range, int batch, const int64_t (&rows)[2],
                                             int column)
{
    if (p.softcap == 0.0f) {
#pragma unroll
        for (int i = 0; i < kCount; i++) scores[i] *= p.scale_log2;
    } else {
#pragma unroll
        for (int i = 0; i < kCount; i++) scores[i] = soft_cap(p, scores[i]);
    }
    if (p.mask_type != SMELT_TYPE_NONE) apply_mask<Element>(scores, p, range.length, rows, column);
    if (!p.key_mask) return;
#pragma unroll
    for (int i = 0; i < kCount; i += 4)
#pragma unroll
        for (int c = 0; c < 2; c++) {
            const int key = column + i * 2 + c;
            if (key < range.length && !key_is_kept(p, batch, key))
                scores[i + c] = scores[i + 2 + c] = -INFINITY;
        }
}

} // namespace smelt
