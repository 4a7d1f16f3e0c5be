/* SPDX-License-Identifier: Apache-2.0 */
/* What both gradient kernels do with a tile of scores: products, probabilities, slopes, stores. */
#pragma once

#include "epilogue.cuh"
#include "values.cuh"
#include "vjp_layout.cuh"

namespace smelt
{

/* tile (64, kColumns) = A B^T over kDepth, both in shared memory as chunks. Issues and commits. */
template <class L, int kColumns, int kDepth>
__device__ __forceinline__ void issue_tile(float (&tile)[kColumns / 2], uint32_t a, uint32_t b)
{
    const Descriptor<L::kRowBytes> left(a, 16), right(b, 16);
    wgmma_fence();
#pragma unroll
    for (int step = 0; step < kDepth / 16; step++) {
        const int chunk = step * 16 / L::kChunk, inside = step * 16 % L::kChunk * 2;
        Wgmma<kColumns, typename L::Element>::shared(tile, left.at(chunk * L::kFixedChunkBytes + inside),
                                                     right.at(chunk * L::kStepChunkBytes + inside),
                                                     step != 0);
    }
    wgmma_commit();
}

/* sum (64, kColumns) += weights (64, kSteps) times a tensor of the stage. Issues and commits. */
template <class L, int kColumns>
__device__ __forceinline__ void issue_sum(float (&sum)[kColumns / 2],
                                          const uint32_t (&weights)[L::kSteps / 4], uint32_t b)
{
    const Descriptor<L::kRowBytes> right(b, L::kStepChunkBytes);
    wgmma_fence();
#pragma unroll
    for (int step = 0; step < L::kSteps / 16; step++)
        Wgmma<kColumns, typename L::Element>::registers(sum, weights[4 * step], weights[4 * step + 1],
                                                        weights[4 * step + 2], weights[4 * step + 3],
                                                        right.at(step * 16 * L::kRowBytes));
    wgmma_commit();
}

/* The columns of this thread's two rows that are visible: offsets from its first column. */
struct Interval {
    int low[2], high[2];

    __device__ __forceinline__ bool hides(int i) const
    {
        const int r = i / 2 % 2, offset = i / 4 * 8 + i % 2;
        return offset < low[r] || offset > high[r];
    }
};

/* Where an element of a tile lies: rows are queries and columns keys, or the other way round. */
template <bool kKeyRows> struct Place {
    int batch, head, rows[2], column, length;
    Interval interval;

    __device__ __forceinline__ int key(int i) const
    {
        return kKeyRows ? rows[i / 2 % 2] : column + i / 4 * 8 + i % 2;
    }
    __device__ __forceinline__ int query(int i) const
    {
        return kKeyRows ? column + i / 4 * 8 + i % 2 : rows[i / 2 % 2];
    }
    /* Queries beyond the last see nothing: what no other sees may be NaN. */
    __device__ __forceinline__ void set_interval(const Range &range, int q_length)
    {
#pragma unroll
        for (int r = 0; r < 2; r++) {
            if (kKeyRows) {
                interval.low[r] = rows[r] - range.right - column;
                interval.high[r] =
                    rows[r] < range.length ? min(rows[r] - range.left, q_length - 1) - column : -1;
            } else {
                interval.low[r] = rows[r] + range.left - column;
                interval.high[r] = min(rows[r] + range.right, range.length - 1) - column;
            }
        }
    }
};

/* Bits of the mask tensor for kBatch elements from `first` on; elements outside the tensor read as zero. */
template <int kBatch, class Word, bool kKeyRows>
__device__ __forceinline__ void load_mask_bits(uint32_t (&bits)[kBatch], const smelt_sdpa_params &p,
                                               const Place<kKeyRows> &place, int first)
{
    const Word *mask =
        static_cast<const Word *>(p.mask.data) + place.batch * p.mask.batch + place.head * p.mask.head;
#pragma unroll
    for (int i = 0; i < kBatch; i++) {
        const int query = place.query(first + i), key = place.key(first + i);
        const bool inside = query < p.q_length && key < place.length;
        bits[i] = inside ? mask[query * p.mask.row + key * p.mask.column] : Word(0);
    }
}

/* What the mask tensor adds to kBatch scores; -inf hides. */
template <class Element, int kBatch, bool kKeyRows>
__device__ __forceinline__ void load_mask(float (&added)[kBatch], const smelt_sdpa_params &p,
                                          const Place<kKeyRows> &place, int first)
{
    uint32_t bits[kBatch];
    if (p.mask_type == SMELT_TYPE_BOOL)
        load_mask_bits<kBatch, uint8_t>(bits, p, place, first);
    else if (p.mask_type == SMELT_TYPE_F32)
        load_mask_bits<kBatch, uint32_t>(bits, p, place, first);
    else
        load_mask_bits<kBatch, uint16_t>(bits, p, place, first);
#pragma unroll
    for (int i = 0; i < kBatch; i++) {
        added[i] = bits[i] ? 0.0f : -INFINITY;
        if (p.mask_type != SMELT_TYPE_BOOL)
            added[i] =
                p.mask_type == SMELT_TYPE_F32 ? __uint_as_float(bits[i]) : widen_bits(Element(), bits[i]);
    }
}

/* Raw scores -> probabilities, in `weights` in pairs where kPack, and times the soft cap's slope in `scores`:
 * everything that a general kernel knows. `lse(i)` is that of element i. */
template <class Element, bool kPack, bool kKeyRows, int kCount, class Lse>
__device__ __forceinline__ void weigh_general(float (&scores)[kCount], uint32_t (&weights)[kCount / 2],
                                              const smelt_sdpa_params &p, const Place<kKeyRows> &place,
                                              Lse lse)
{
    constexpr int kBatch = 8;
#pragma unroll
    for (int first = 0; first < kCount; first += kBatch) {
        float added[kBatch], weight[kBatch];
        if (p.mask_type != SMELT_TYPE_NONE) {
            load_mask<Element>(added, p, place, first);
        } else {
#pragma unroll
            for (int i = 0; i < kBatch; i++) added[i] = 0.0f;
        }
#pragma unroll
        for (int i = 0; i < kBatch; i++) {
            const int key = place.key(first + i);
            if (p.key_mask && key < place.length && !key_is_kept(p, place.batch, key)) added[i] = -INFINITY;
            if (place.interval.hides(first + i)) added[i] = -INFINITY;
            float slope;
            const float score = add_mask(cap_with_slope(p, scores[first + i], &slope), added[i]);
            weight[i] = exp2_fast(score - lse(first + i));
            scores[first + i] = weight[i] == 0.0f ? 0.0f : weight[i] * slope;
        }
        if (kPack)
#pragma unroll
            for (int i = 0; i < kBatch; i += 2)
                weights[(first + i) / 2] = pack(Element(), weight[i], weight[i + 1]);
        asm volatile("" ::: "memory");
    }
}

template <int kCount> __device__ __forceinline__ bool all_finite(const float (&values)[kCount])
{
    float poison = 0;
#pragma unroll
    for (int i = 0; i < kCount; i++) poison = fmaf(values[i], 0.0f, poison);
    return poison == poison;
}

/* Writes this thread's two rows of a gradient. */
template <class Element, int kColumns>
__device__ __forceinline__ void store_gradient(const smelt_sdpa_view &view, const float (&sum)[kColumns / 2],
                                               float factor, int64_t base, const int (&rows)[2], int length,
                                               int columns, int lane)
{
    if (!view.data) return;
    uint16_t *lines[2];
#pragma unroll
    for (int r = 0; r < 2; r++)
        lines[r] = rows[r] < length
                       ? static_cast<uint16_t *>(const_cast<void *>(view.data)) + base + rows[r] * view.row
                       : nullptr;
    const float factors[2] = {factor, factor};
    store_output<Element, kColumns>(sum, factors, lines, columns, view.column, lane);
}

/* Values of `bytes` of shared memory that are not finite become zero. Every warpgroup does all of it for
 * itself: the writes agree. */
__device__ __forceinline__ void clear_stage(uint32_t at, int bytes, uint32_t exponent)
{
#pragma unroll 1
    for (int i = threadIdx.x % 128 * 16; i < bytes; i += 128 * 16) {
        uint32_t w[4];
        asm volatile("ld.shared.v4.b32 {%0, %1, %2, %3}, [%4];"
                     : "=r"(w[0]), "=r"(w[1]), "=r"(w[2]), "=r"(w[3])
                     : "r"(at + i)
                     : "memory");
        for (int j = 0; j < 4; j++) w[j] = clear_not_finite(w[j], exponent);
        asm volatile("st.shared.v4.b32 [%0], {%1, %2, %3, %4};" ::"r"(at + i), "r"(w[0]), "r"(w[1]),
                     "r"(w[2]), "r"(w[3])
                     : "memory");
    }
}

__device__ __forceinline__ uint32_t exponent_bits(int type)
{
    return type == SMELT_TYPE_BF16 ? 0x7F80u : 0x7C00u;
}

} // namespace smelt
