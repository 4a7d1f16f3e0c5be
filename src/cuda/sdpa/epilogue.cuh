/* SPDX-License-Identifier: Apache-2.0 */
/* From unnormalised outputs to memory: sinks, division, logsumexp, stores of 16 bytes a thread. */
#pragma once

#include "mask.cuh"
#include "row_end.cuh"
#include "softmax.cuh"
#include "wgmma.cuh"

namespace smelt
{

/* Four lanes hold, of four groups of eight columns, one word each (two columns); afterwards lane t of the
 * quad holds the four words of group t, in order. */
__device__ __forceinline__ void quad_transpose(uint32_t (&words)[4], int lane)
{
    const bool odd = lane & 1, upper = lane & 2;
    uint32_t a = odd ? words[0] : words[1], b = odd ? words[2] : words[3];
    a = __shfl_xor_sync(0xFFFFFFFF, a, 1);
    b = __shfl_xor_sync(0xFFFFFFFF, b, 1);
    if (odd)
        words[0] = a, words[2] = b;
    else
        words[1] = a, words[3] = b;
    a = upper ? words[0] : words[2];
    b = upper ? words[1] : words[3];
    a = __shfl_xor_sync(0xFFFFFFFF, a, 2);
    b = __shfl_xor_sync(0xFFFFFFFF, b, 2);
    if (upper)
        words[0] = a, words[1] = b;
    else
        words[2] = a, words[3] = b;
}

__device__ __forceinline__ void store_words(uint16_t *destination, const uint32_t (&words)[4], int columns,
                                            int64_t stride)
{
    if (stride == 1 && columns >= 8 && (reinterpret_cast<uintptr_t>(destination) & 15) == 0) {
        *reinterpret_cast<uint4 *>(destination) = make_uint4(words[0], words[1], words[2], words[3]);
        return;
    }
#pragma unroll
    for (int i = 0; i < 8; i++)
        if (i < columns) destination[i * stride] = static_cast<uint16_t>(words[i / 2] >> (i % 2 * 16));
}

/* Writes this thread's two rows of a tile of kColumns columns to `lines` (NULL: no such row), of which the
 * tensor has `columns`, `stride` elements apart. */
template <class Element, int kColumns>
__device__ __forceinline__ void store_output(const float (&output)[kColumns / 2], const float (&factor)[2],
                                             uint16_t *const (&lines)[2], int columns, int64_t stride,
                                             int lane)
{
#pragma unroll
    for (int r = 0; r < 2; r++) {
#pragma unroll
        for (int block = 0; block < kColumns / 32; block++) {
            uint32_t words[4];
#pragma unroll
            for (int i = 0; i < 4; i++) {
                const int index = 4 * (4 * block + i) + 2 * r;
                words[i] = pack(Element(), output[index] * factor[r], output[index + 1] * factor[r]);
            }
            quad_transpose(words, lane);
            const int column = 32 * block + 8 * (lane % 4);
            if (lines[r] && column < columns)
                store_words(lines[r] + column * stride, words, columns - column, stride);
        }
    }
}

__device__ __forceinline__ uint16_t *output_line(const smelt_sdpa_params &p, int batch, int head, int query)
{
    return static_cast<uint16_t *>(const_cast<void *>(p.out.data)) + batch * p.out.batch + head * p.out.head +
           query * p.out.row;
}

/* Where one row of one split keeps its unnormalised output, and its maximum (in units of log 2) and sum. */
struct PartialRow {
    float *output, *maximum, *sum;

    __device__ __forceinline__ PartialRow(const smelt_sdpa_params &p, int split, int batch, int head,
                                          int query)
    {
        const int64_t rows = static_cast<int64_t>(p.batch) * p.heads_q * p.q_length;
        const int64_t row = (static_cast<int64_t>(batch) * p.heads_q + head) * p.q_length + query;
        output = p.partial + (split * rows + row) * p.value_dim;
        maximum = p.partial + p.splits * rows * p.value_dim + split * rows + row;
        sum = maximum + p.splits * rows;
    }
};

} // namespace smelt
