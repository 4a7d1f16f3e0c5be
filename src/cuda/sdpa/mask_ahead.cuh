/* SPDX-License-Identifier: Apache-2.0 */
/* Masks from memory at the speed of the products: a quad of threads reads 32 columns of a row in 16-byte
 * (boolean: 8-byte) pieces, one tile ahead of their use, and then hands them out among its lanes. */
#pragma once

#include "epilogue.cuh"
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

__device__ __forceinline__ void load_words(uint32_t (&words)[4], const void *from)
{
    asm volatile("ld.global.nc.v4.b32 {%0, %1, %2, %3}, [%4];"
                 : "=r"(words[0]), "=r"(words[1]), "=r"(words[2]), "=r"(words[3])
                 : "l"(from)
                 : "memory");
}

/* The mask entries of this thread's two rows for one tile of kKeys keys. */
template <class Element, int kKeys, bool kBoolean> struct MaskAhead {
    static constexpr int kPieces = (kKeys + 31) / 32;
    uint32_t words[2][kPieces][kBoolean ? 2 : 4];

    /* The host has checked that lines begin at multiples of 16 bytes and lengths are multiples of 8. */
    __device__ __forceinline__ void load(const smelt_sdpa_params &p, int batch, int head,
                                         const int (&query)[2], int tile, int lane)
    {
        const int bytes = kBoolean ? 1 : 2;
#pragma unroll
        for (int r = 0; r < 2; r++) {
            const unsigned char *line =
                static_cast<const unsigned char *>(p.mask.data) + mask_row(p, batch, head, query[r]) * bytes;
#pragma unroll
            for (int i = 0; i < kPieces; i++) {
                const int inside = 32 * i + lane % 4 * 8, column = tile * kKeys + inside;
                if (inside >= kKeys || column >= p.k_length) continue;
                load_words(words[r][i], line + column * bytes);
            }
        }
    }

    __device__ __forceinline__ void apply_boolean(float (&scores)[kKeys / 2], int lane) const
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

    /* `unit`: what one of the mask's is in raw scores. */
    __device__ __forceinline__ void apply_additive(float (&scores)[kKeys / 2], float unit, int lane)
    {
#pragma unroll
        for (int r = 0; r < 2; r++)
#pragma unroll
            for (int i = 0; i < kPieces; i++) {
                quad_transpose(words[r][i], lane);
#pragma unroll
                for (int t = 0; t < 4; t++) {
                    const int j = 4 * i + t;
                    if (j >= kKeys / 8) continue;
#pragma unroll
                    for (int e = 0; e < 2; e++) {
                        const float added =
                            widen_bits(Element(), e ? words[r][i][t] >> 16 : words[r][i][t] & 0xFFFF);
                        float &score = scores[4 * j + 2 * r + e];
                        /* a hidden key's score may be NaN */
                        score = added == -INFINITY ? -INFINITY : fmaf(added, unit, score);
                    }
                }
            }
    }

    /* On raw scores. */
    __device__ __forceinline__ void apply(float (&scores)[kKeys / 2], const smelt_sdpa_params &p, int lane)
    {
        if constexpr (kBoolean)
            apply_boolean(scores, lane);
        else
            apply_additive(scores, p.mask_unit, lane);
    }
};

} // namespace smelt
