/* SPDX-License-Identifier: Apache-2.0 */
/* The two matrix products of a tile, as wgmma on the swizzled chunks that the tensor copies wrote. */
#pragma once

#include "layout.cuh"

namespace smelt
{

/* scores (64, kKeys) = Q K^T, for the 64 queries of this warpgroup. Issues and commits, does not wait. */
template <class L>
__device__ __forceinline__ void issue_scores(float (&scores)[L::kKeys / 2], uint32_t query, uint32_t key)
{
    const Descriptor<L::kRowBytes> a(query, 16), b(key, 16);
    wgmma_fence();
#pragma unroll
    for (int step = 0; step < L::kHeadDim / 16; step++) {
        const int chunk = step * 16 / L::kChunk, inside = step * 16 % L::kChunk * 2;
        Wgmma<L::kKeys, typename L::Element>::shared(scores, a.at(chunk * L::kRows * L::kRowBytes + inside),
                                                     b.at(chunk * L::kKeyChunkBytes + inside), step != 0);
    }
    wgmma_commit();
}

/* output (64, kValueDim) += P V with P from registers. V is contiguous along its columns (MN-major): the
 * leading offset goes from chunk to chunk, the stride offset from eight keys to the next eight. */
template <class L>
__device__ __forceinline__ void issue_output(float (&output)[L::kValueDim / 2],
                                             const uint32_t (&weights)[L::kKeys / 4], uint32_t value)
{
    const Descriptor<L::kRowBytes> b(value, L::kKeyChunkBytes);
    wgmma_fence();
#pragma unroll
    for (int step = 0; step < L::kKeys / 16; step++)
        Wgmma<L::kValueDim, typename L::Element>::registers(output, weights[4 * step], weights[4 * step + 1],
                                                            weights[4 * step + 2], weights[4 * step + 3],
                                                            b.at(step * 16 * L::kRowBytes));
    wgmma_commit();
}

/* Probabilities as the register operand of the second product. */
template <class L>
__device__ __forceinline__ void pack_weights(uint32_t (&weights)[L::kKeys / 4],
                                             const float (&scores)[L::kKeys / 2])
{
#pragma unroll
    for (int i = 0; i < L::kKeys / 4; i++)
        weights[i] = pack(typename L::Element(), scores[2 * i], scores[2 * i + 1]);
}

} // namespace smelt
