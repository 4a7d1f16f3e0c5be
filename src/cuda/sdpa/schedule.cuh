/* SPDX-License-Identifier: Apache-2.0 */
/* Which query tile a block works on next, and which keys that tile can see. */
#pragma once

#include "params.h"

namespace smelt
{

struct Tile {
    int first_row, head, batch,
        split; /* packed kernels: the head is one of keys, rows count all its queries */
};

/* The persistent grid walks tiles in a fixed order: sections of heads whose keys and values fit the L2
 * cache together, inside a section the last queries first (under a causal mask the longest), so that what is
 * left at the end is short. Every other pass runs backwards, which evens out the sums of such an order. The
 * host has checked that all tiles are fewer than 2^31 - workers. */
template <bool kPacked>
__device__ __forceinline__ bool tile_at(const smelt_sdpa_params &p, int pass, int worker, int workers,
                                        int rows, Tile *tile)
{
    const int heads_each = kPacked ? p.heads_kv : p.heads_q, heads = p.batch * heads_each;
    const int place = pass * workers + (pass & 1 ? workers - 1 - worker : worker);
    const int index = kPacked ? place / p.splits : place;
    if (index >= heads * p.m_tiles) return false;
    const int section = index / (p.section * p.m_tiles);
    const int inside = index - section * p.section * p.m_tiles;
    const int width = min(p.section, heads - section * p.section);
    const int step = inside / width;
    const int head = section * p.section + inside - step * width;
    tile->split = kPacked ? place - index * p.splits : 0;
    tile->first_row = (p.m_tiles - 1 - step) * rows;
    tile->batch = head / heads_each;
    tile->head = head - tile->batch * heads_each;
    return true;
}

/* The tile and head of a block: inside a section of heads the first tiles of all of them come first. */
__device__ __forceinline__ void tile_in_section(int index, int tiles, int heads, int section, int *tile,
                                                int *head)
{
    const int before = index / (section * tiles) * section, inside = index - before * tiles;
    const int width = min(section, heads - before);
    *tile = inside / width;
    *head = before + inside - *tile * width;
}

/* Key j is visible to query i iff i + left <= j <= i + right and j < length. */
struct Range {
    int left, right, length;
    int begin, end; /* key tiles to visit */
};

__device__ __forceinline__ int clamp_far(int64_t value)
{
    return static_cast<int>(value > SMELT_SDPA_FAR    ? SMELT_SDPA_FAR
                            : value < -SMELT_SDPA_FAR ? -SMELT_SDPA_FAR
                                                      : value);
}

__device__ __forceinline__ Range key_range(const smelt_sdpa_params &p, int batch)
{
    Range range;
    range.length = p.k_length;
    if (p.kv_lengths) range.length = max(0, min(p.k_length, p.kv_lengths[batch * p.kv_lengths_stride]));
    int64_t offset = p.lower_right ? range.length - p.q_length : p.kv_offset;
    if (p.kv_offsets) offset = p.kv_offsets[batch * p.kv_offsets_stride];
    range.left = p.left >= SMELT_SDPA_FAR ? -SMELT_SDPA_FAR : clamp_far(offset - p.left);
    range.right = p.right >= SMELT_SDPA_FAR ? SMELT_SDPA_FAR : clamp_far(offset + p.right);
    return range;
}

/* Fills begin and end for queries first_row to last_row. */
__device__ __forceinline__ void key_tiles(Range &range, int first_row, int last_row, int keys)
{
    const int last_key = min(range.length - 1, last_row + range.right);
    range.begin = max(0, first_row + range.left) / keys;
    range.end = last_key < 0 ? 0 : last_key / keys + 1;
}

/* The share of one block, when the keys are split over p.splits of them. */
__device__ __forceinline__ void split_tiles(const smelt_sdpa_params &p, Range &range, int split)
{
    const int share = (max(0, range.end - range.begin) + p.splits - 1) / p.splits;
    range.begin += split * share;
    range.end = min(range.end, range.begin + share);
}

} // namespace smelt
