/* SPDX-License-Identifier: Apache-2.0 */
/* Values that must not reach the second product: zero times NaN is NaN. */
#pragma once

#include "mask.cuh"
#include "producer.cuh"

namespace smelt
{

enum { kBarrierTurn = 1, kBarrierGroup = 5 }; /* named barriers: the first of each warpgroup's */

/* 16-bit values with all exponent bits set become zero. */
__device__ __forceinline__ uint32_t clear_not_finite(uint32_t word, uint32_t exponent)
{
    if ((word & exponent) == exponent) word &= 0xFFFF0000u;
    if ((word >> 16 & exponent) == exponent) word &= 0x0000FFFFu;
    return word;
}

/* Overwrites with zeros the value rows of a tile that no query may see and, under repair, every value that is
 * not finite. Every warpgroup does all of it for itself: the writes agree. */
template <class L>
__device__ __forceinline__ void clear_values(const smelt_sdpa_params &p, const Range &range, int batch,
                                             int first_key, uint32_t value, bool repair, int group,
                                             int thread)
{
    const uint32_t exponent = p.type == SMELT_TYPE_BF16 ? 0x7F80u : 0x7C00u;
#pragma unroll 1
    for (int row = thread; row < L::kKeys; row += 128) {
        const int key = first_key + row;
        const bool hidden = key >= range.length || (L::kGeneral && p.key_mask && !key_is_kept(p, batch, key));
        if (!hidden && !repair) continue;
#pragma unroll 1
        for (int i = 0; i < L::kValueChunks * L::kRowBytes / 16; i++) {
            const int chunk = i / (L::kRowBytes / 16), inside = i % (L::kRowBytes / 16);
            const uint32_t at = value + chunk * L::kKeyChunkBytes + row * L::kRowBytes + 16 * inside;
            uint32_t w[4] = {0, 0, 0, 0};
            if (!hidden) {
                asm volatile("ld.shared.v4.b32 {%0, %1, %2, %3}, [%4];"
                             : "=r"(w[0]), "=r"(w[1]), "=r"(w[2]), "=r"(w[3])
                             : "r"(at)
                             : "memory");
                for (int j = 0; j < 4; j++) w[j] = clear_not_finite(w[j], exponent);
            }
            asm volatile("st.shared.v4.b32 [%0], {%1, %2, %3, %4};" ::"r"(at), "r"(w[0]), "r"(w[1]),
                         "r"(w[2]), "r"(w[3])
                         : "memory");
        }
    }
    shared_write_fence();
    named_sync(kBarrierGroup + group, 128);
}

} // namespace smelt
