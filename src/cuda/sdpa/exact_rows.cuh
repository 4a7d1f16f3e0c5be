/* SPDX-License-Identifier: Apache-2.0 */
/* Attention of single rows by one warp, straight from memory and key by key: hidden keys are never touched.
 * Slow; taken only for rows whose fast result holds NaN or infinity. */
#pragma once

#include "epilogue.cuh"

namespace smelt
{

__device__ __forceinline__ float load_element(Bfloat, const void *data, int64_t index)
{
    return __bfloat162float(static_cast<const __nv_bfloat16 *>(data)[index]);
}

__device__ __forceinline__ float load_element(Half, const void *data, int64_t index)
{
    return __half2float(static_cast<const __half *>(data)[index]);
}

/* The score of one query with this lane's key, in units of log 2; -inf where it is hidden. */
template <class Element>
__device__ __forceinline__ float exact_score(const smelt_sdpa_params &p, const Range &range, const Tile &tile,
                                             int row, int key)
{
    if (key >= range.length || key > row + range.right || key < row + range.left) return -INFINITY;
    const int64_t q = tile.batch * p.q.batch + tile.head * p.q.head + row * p.q.row;
    const int64_t k = tile.batch * p.k.batch + tile.head / p.group * p.k.head + key * p.k.row;
    float dot = 0;
    for (int i = 0; i < p.head_dim; i++)
        dot = fmaf(load_element(Element(), p.q.data, q + i * p.q.column),
                   load_element(Element(), p.k.data, k + i * p.k.column), dot);
    return mask_score(p, cap_score(p, dot), tile, mask_row(p, tile, row), key);
}

/* Writes rows first .. first + count - 1 of the tile's head. */
template <class Element>
__device__ void exact_rows(const smelt_sdpa_params &p, const Range &range, const Tile &tile, int first,
                           int count, int lane)
{
    uint16_t *out = static_cast<uint16_t *>(const_cast<void *>(p.out.data)) + tile.batch * p.out.batch +
                    tile.head * p.out.head;
    for (int row = first; row < min(first + count, p.q_length); row++) {
        float maximum = -INFINITY, sum = 0, output[8] = {0, 0, 0, 0, 0, 0, 0, 0};
        for (int start = max(0, row + range.left); start <= min(range.length - 1, row + range.right);
             start += 32) {
            const float score = exact_score<Element>(p, range, tile, row, start + lane);
            float top = score;
            for (int step = 16; step; step /= 2) top = fmaxf(top, __shfl_xor_sync(0xFFFFFFFF, top, step));
            const float next = fmaxf(maximum, top);
            const float offset = next == -INFINITY ? 0.0f : next;
            const float rescale = exp2f(maximum - offset);
            const float weight = exp2f(score - offset);
            maximum = next;
            sum *= rescale;
#pragma unroll
            for (int i = 0; i < 8; i++) output[i] *= rescale;
            const unsigned seen = __ballot_sync(0xFFFFFFFF, !(score == -INFINITY));
            for (unsigned rest = seen; rest; rest &= rest - 1) {
                const int other = __ffs(rest) - 1;
                const float w = __shfl_sync(0xFFFFFFFF, weight, other);
                const int64_t v = tile.batch * p.v.batch + tile.head / p.group * p.v.head +
                                  (start + other) * p.v.row;
                sum += w;
#pragma unroll
                for (int i = 0; i < 8; i++)
                    if (lane + 32 * i < p.value_dim)
                        output[i] = fmaf(
                            w, load_element(Element(), p.v.data, v + (lane + 32 * i) * p.v.column), output[i]);
            }
        }
        const RowEnd end = finish_row(p, tile.head, maximum, sum);
        if (p.lse && lane == 0)
            p.lse[tile.batch * p.lse_batch + tile.head * p.lse_head + row * p.lse_row] = end.lse;
#pragma unroll
        for (int i = 0; i < 8; i++)
            if (lane + 32 * i < p.value_dim)
                out[row * p.out.row + (lane + 32 * i) * p.out.column] =
                    static_cast<uint16_t>(pack(Element(), output[i] * end.factor, 0.0f));
    }
}

} // namespace smelt
