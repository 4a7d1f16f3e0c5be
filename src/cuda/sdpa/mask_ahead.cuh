/* SPDX-License-Identifier: Apache-2.0 */
/* Masks from memory at the speed of the products. Of a boolean mask a quad of threads reads 32 columns of a
 * row in pieces of 8 bytes, one tile ahead of their use, and then hands them out among its lanes; an additive
 * one comes by tensor copies. */
#pragma once

#include "mask.cuh"

namespace smelt
{

/* Eight bytes -> eight bits: which are not zero. */
__device__ __forceinline__ uint32_t nonzero_bits(uint32_t low, uint32_t high)
{
    const uint32_t a = (((low & 0x7F7F7F7Fu) + 0x7F7F7F7Fu) | low) & 0x80808080u;
    const uint32_t b = (((high & 0x7F7F7F7Fu) + 0x7F7F7F7Fu) | high) & 0x80808080u;
    /* bits 7, 15, 23, 31 become bits 24 to 27; no other term reaches them */
    constexpr uint32_t kGather = 1u << 24 | 1u << 17 | 1u << 10 | 1u << 3;
    return ((a >> 7) * kGather >> 24 & 15u) | ((b >> 7) * kGather >> 20 & 0xF0u);
}

/* Volatile, so that they stay where they are written: the registers are not free before. */
__device__ __forceinline__ void load_words(uint32_t (&words)[2], const void *from)
{
    asm volatile("ld.global.nc.v2.b32 {%0, %1}, [%2];"
                 : "=r"(words[0]), "=r"(words[1])
                 : "l"(from)
                 : "memory");
}

/* The boolean entries of this thread's two rows for one tile of kKeys keys. */
template <int kKeys> struct BooleanAhead {
    static constexpr int kPieces = (kKeys + 31) / 32;
    uint32_t words[2][kPieces][2];

    /* The host has checked that lines begin at multiples of 8 bytes and lengths are multiples of 8. */
    __device__ __forceinline__ void load(const smelt_sdpa_params &p, int batch, int head,
                                         const int (&query)[2], int tile, int lane)
    {
#pragma unroll
        for (int r = 0; r < 2; r++) {
            const unsigned char *line =
                static_cast<const unsigned char *>(p.mask.data) + mask_row(p, batch, head, query[r]);
#pragma unroll
            for (int i = 0; i < kPieces; i++) {
                const int inside = 32 * i + lane % 4 * 8, column = tile * kKeys + inside;
                if (inside >= kKeys || column >= p.k_length) continue;
                load_words(words[r][i], line + column);
            }
        }
    }

    __device__ __forceinline__ void apply(float (&scores)[kKeys / 2], int lane) const
    {
#pragma unroll
        for (int r = 0; r < 2; r++) {
            uint32_t own = 0, all[4];
#pragma unroll
            for (int i = 0; i < kPieces; i++) own |= nonzero_bits(words[r][i][0], words[r][i][1]) << 8 * i;
#pragma unroll
            for (int t = 0; t < 4; t++) all[t] = __shfl_sync(0xFFFFFFFF, own, t, 4) >> 2 * (lane % 4);
#pragma unroll
            for (int j = 0; j < kKeys / 8; j++)
#pragma unroll
                for (int e = 0; e < 2; e++)
                    if (!(all[j % 4] & 1u << (8 * (j / 4) + e))) scores[4 * j + 2 * r + e] = -INFINITY;
        }
    }
};

/* Adds the entries of a tile that tensor copies wrote at `mask` (this warpgroup's 64 rows) to raw scores.
 * `unit` is what one of the mask's is in raw scores. The swizzle moves 16-byte units of a row by its number
 * modulo 8, so that the lanes of a warp meet in no bank. */
template <class Element, int kCount>
__device__ __forceinline__ void add_mask_tile(float (&scores)[kCount], uint32_t mask, int chunk_bytes,
                                              float unit, int thread)
{
    const int lane = thread % 32, row = thread / 32 * 16 + lane / 4;
    uint32_t line = mask + row * 128 + (lane / 4 << 4) + lane % 4 * 4;
    /* opaque, or the eight addresses of a line stay in registers through the loop over keys */
    asm volatile("" : "+r"(line));
#pragma unroll
    for (int j = 0; j < kCount / 4; j++)
#pragma unroll
        for (int r = 0; r < 2; r++) {
            uint32_t word;
            asm("ld.shared.b32 %0, [%1];"
                : "=r"(word)
                : "r"((line ^ (j % 8 << 4)) + j / 8 * chunk_bytes + r * 8 * 128));
#pragma unroll
            for (int e = 0; e < 2; e++) {
                const float added = widen_bits(Element(), e ? word >> 16 : word & 0xFFFF);
                float &score = scores[4 * j + 2 * r + e];
                /* a hidden key's score may be NaN */
                score = added == -INFINITY ? -INFINITY : fmaf(added, unit, score);
            }
        }
}

} // namespace smelt
