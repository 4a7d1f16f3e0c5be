/* SPDX-License-Identifier: Apache-2.0 */
/* Attention of single rows by one warp, straight from memory and key by key: hidden keys are never touched.
 * Slow; taken only for rows that see a value which is NaN or infinite. */
#pragma once

#include "epilogue.cuh"

namespace smelt
{

/* One row, and the keys that its block works on. */
struct ExactRow {
    int batch, head, query, first_key, last_key;
};

/* The score of this lane's key, in units of log 2; -inf where it is hidden. */
template <class Element>
__device__ __forceinline__ float exact_score(const smelt_sdpa_params &p, const ExactRow &row, int key)
{
    if (key > row.last_key) return -INFINITY;
    const int64_t q = row.batch * p.q.batch + row.head * p.q.head + row.query * p.q.row;
    const int64_t k = row.batch * p.k.batch + row.head / p.group * p.k.head + key * p.k.row;
    float dot = 0;
    for (int i = 0; i < p.head_dim; i++)
        dot = fmaf(load_element(Element(), p.q.data, q + i * p.q.column),
                   load_element(Element(), p.k.data, k + i * p.k.column), dot);
    return mask_score(p, cap_score(p, dot), row.batch, mask_row(p, row.batch, row.head, row.query), key);
}

/* Does the row see a key whose value is not finite? */
template <class Element>
__device__ __forceinline__ bool sees_not_finite(const smelt_sdpa_params &p, const ExactRow &row, int lane)
{
    bool found = false;
    const int64_t mask = mask_row(p, row.batch, row.head, row.query);
    for (int key = row.first_key; key <= row.last_key; key++) {
        if (mask_score(p, 0.0f, row.batch, mask, key) == -INFINITY) continue;
        const int64_t v = row.batch * p.v.batch + row.head / p.group * p.v.head + key * p.v.row;
        for (int i = lane; i < p.value_dim; i += 32)
            found |= !isfinite(load_element(Element(), p.v.data, v + i * p.v.column));
    }
    return __any_sync(0xFFFFFFFF, found);
}

/* Output (unnormalised; this lane's columns are lane + 32 i), maximum and sum. */
struct ExactResult {
    float output[8], maximum, sum;
};

template <class Element>
__device__ __forceinline__ void exact_row(const smelt_sdpa_params &p, const ExactRow &row, int lane,
                                          ExactResult &result)
{
    result.maximum = -INFINITY, result.sum = 0;
#pragma unroll
    for (int i = 0; i < 8; i++) result.output[i] = 0;
    for (int start = row.first_key; start <= row.last_key; start += 32) {
        const float score = exact_score<Element>(p, row, start + lane);
        float top = score;
        for (int step = 16; step; step /= 2) top = fmaxf(top, __shfl_xor_sync(0xFFFFFFFF, top, step));
        const float next = fmaxf(result.maximum, top);
        const float offset = next == -INFINITY ? 0.0f : next;
        const float rescale = exp2f(result.maximum - offset), weight = exp2f(score - offset);
        result.maximum = next;
        result.sum *= rescale;
#pragma unroll
        for (int i = 0; i < 8; i++) result.output[i] *= rescale;
        for (unsigned rest = __ballot_sync(0xFFFFFFFF, !(score == -INFINITY)); rest; rest &= rest - 1) {
            const int other = __ffs(rest) - 1;
            const float w = __shfl_sync(0xFFFFFFFF, weight, other);
            const int64_t v =
                row.batch * p.v.batch + row.head / p.group * p.v.head + (start + other) * p.v.row;
            result.sum += w;
#pragma unroll
            for (int i = 0; i < 8; i++)
                if (lane + 32 * i < p.value_dim)
                    result.output[i] =
                        fmaf(w, load_element(Element(), p.v.data, v + (lane + 32 * i) * p.v.column),
                             result.output[i]);
        }
    }
}

/* Replaces the row's result, in its split's place or in the output. */
template <class Element>
__device__ __forceinline__ void store_exact(const smelt_sdpa_params &p, const ExactRow &row, int split,
                                            bool partial, int lane, const ExactResult &result)
{
    const PartialRow place(p, split, row.batch, row.head, row.query);
    const RowEnd end = finish_row(p, row.head, result.maximum, result.sum);
    uint16_t *line = output_line(p, row.batch, row.head, row.query);
    if (lane == 0 && partial)
        *place.maximum = result.maximum, *place.sum = result.sum;
    else if (lane == 0 && p.lse)
        p.lse[row.batch * p.lse_batch + row.head * p.lse_head + row.query * p.lse_row] = end.lse;
#pragma unroll
    for (int i = 0; i < 8; i++) {
        const int column = lane + 32 * i;
        if (column >= p.value_dim) break;
        if (partial)
            place.output[column] = result.output[i];
        else
            line[column * p.out.column] =
                static_cast<uint16_t>(pack(Element(), result.output[i] * end.factor, 0.0f));
    }
}

} // namespace smelt
