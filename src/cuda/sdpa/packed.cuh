/* SPDX-License-Identifier: Apache-2.0 */
/* Queries of a packed tile: row r of a key head holds query r / group of its query head r % group. */
#pragma once

#include "values.cuh"

namespace smelt
{

/* Eight columns of one row as stored, zeros beyond head_dim. */
__device__ __forceinline__ uint4 load_columns(const smelt_sdpa_params &p, const uint16_t *line, int column)
{
    if (p.q.column == 1 && column + 8 <= p.head_dim && (reinterpret_cast<uintptr_t>(line + column) & 15) == 0)
        return *reinterpret_cast<const uint4 *>(line + column);
    uint32_t words[4] = {0, 0, 0, 0};
#pragma unroll
    for (int i = 0; i < 8; i++)
        if (column + i < p.head_dim)
            words[i / 2] |= static_cast<uint32_t>(line[(column + i) * p.q.column]) << i % 2 * 16;
    return make_uint4(words[0], words[1], words[2], words[3]);
}

/* Written by ordinary stores, in the swizzle that a tensor copy would have used. */
template <class L>
__device__ __forceinline__ void load_packed_queries(const smelt_sdpa_params &p, const Shared<L> &shared,
                                                    const Tile &tile, int thread)
{
    constexpr int kPieces = L::kHeadDim / 8, kChunkPieces = L::kRowBytes / 16;
    named_sync(kBarrierGroup, 128);
#pragma unroll 4
    for (int i = thread; i < L::kRows * kPieces; i += 128) {
        const int row = i / kPieces, piece = i % kPieces, packed = tile.first_row + row;
        uint4 words = make_uint4(0, 0, 0, 0);
        if (packed < p.q_length * p.group) {
            const int query = packed / p.group, head = tile.head * p.group + packed - query * p.group;
            words = load_columns(p,
                                 static_cast<const uint16_t *>(p.q.data) + tile.batch * p.q.batch +
                                     head * p.q.head + query * p.q.row,
                                 8 * piece);
        }
        const int inside = kChunkPieces == 8 ? piece % 8 ^ row % 8 : piece % 4 ^ row / 2 % 4;
        const uint32_t at = shared.query() + piece / kChunkPieces * L::kRows * L::kRowBytes +
                            row * L::kRowBytes + 16 * inside;
        asm volatile("st.shared.v4.b32 [%0], {%1, %2, %3, %4};" ::"r"(at), "r"(words.x), "r"(words.y),
                     "r"(words.z), "r"(words.w)
                     : "memory");
    }
    shared_write_fence();
    named_sync(kBarrierGroup, 128);
}

} // namespace smelt
