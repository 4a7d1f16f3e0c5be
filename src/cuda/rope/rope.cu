/* SPDX-License-Identifier: Apache-2.0 */
/* rope: a thread rotates the same pairs of several heads of one token, whose angles it computes while their
 * loads are on their way. Compiled once per type, SMELT_TYPE. */
#include "angle.cuh"

namespace smelt
{

typedef Vector<SMELT_TYPE> Elements;
enum { kCount = Elements::kCount, kItem = 16 / kCount, kHeads = SMELT_ROPE_HEADS };

struct Place {
    int64_t slot, token, chunk, batch;

    /* Number `i` as slot, token and chunk (or chunk and token), batch. */
    __device__ __forceinline__ Place(const smelt_rope_params &p, int64_t i)
    {
        slot = take(p, i, p.slots);
        if (p.tokens_first) {
            token = take(p, i, p.tokens), chunk = take(p, i, p.chunks);
        } else {
            chunk = take(p, i, p.chunks), token = take(p, i, p.tokens);
        }
        batch = i;
    }
    static __device__ __forceinline__ int64_t take(const smelt_rope_params &p, int64_t &i, int64_t size)
    {
        const int64_t rest = p.narrow ? static_cast<uint32_t>(i) / static_cast<uint32_t>(size) : i / size;
        const int64_t taken = i - rest * size;
        i = rest;
        return taken;
    }
    /* Bytes from the first element of a tensor to that of head 0 of this token. */
    __device__ __forceinline__ int64_t at(const smelt_rope_params &p, int tensor) const
    {
        return batch * p.batch_stride[tensor] + token * p.token_stride[tensor];
    }
};

__device__ __forceinline__ void rotate(float &x1, float &x2, float sine, float cosine)
{
    const float y1 = x1 * cosine - x2 * sine, y2 = x1 * sine + x2 * cosine;
    x1 = y1, x2 = y2;
}

/* What is behind dims, of all heads of the chunk. */
__device__ __forceinline__ void copy_rest(const smelt_rope_params &p, const Place &place, const char *x,
                                          char *out)
{
    const int64_t rest = (p.size - p.dims) / kCount, first = p.dims * kItem;
    for (int k = 0; k < kHeads; k++) {
        const int64_t head = place.chunk * kHeads + k;
        if (head >= p.heads.rows) break;
        int64_t at[SMELT_ROPE_TENSORS];
        locate(p.heads, head, at);
        for (int64_t i = place.slot; i < rest; i += p.slots)
            store(out + at[SMELT_ROPE_OUT] + first + i * 16, load_once(x + at[SMELT_ROPE_X] + first + i * 16),
                  p.streaming);
    }
}

/* Two vectors of a head: the pairs of split halves, or one vector of neighbours (the second stays unused). */
template <bool kTraditional> __device__ __forceinline__ void run(const smelt_rope_params &p)
{
    enum { kPairs = kTraditional ? kCount / 2 : kCount };
    const int64_t number = static_cast<int64_t>(blockIdx.x) * SMELT_ROPE_THREADS + threadIdx.x;
    begin_kernel();
    const Place place(p, number);
    if (place.batch >= p.batch) return;
    const char *const x = p.data[SMELT_ROPE_X] + place.at(p, SMELT_ROPE_X);
    char *const out = p.data[SMELT_ROPE_OUT] + place.at(p, SMELT_ROPE_OUT);
    const int64_t second = p.half * kItem;
    int64_t at[kHeads][SMELT_ROPE_TENSORS];
    uint4 raw[kHeads][kTraditional ? 1 : 2];
#pragma unroll
    for (int k = 0; k < kHeads; k++) {
        const int64_t head = place.chunk * kHeads + k;
        if (head >= p.heads.rows) continue;
        locate(p.heads, head, at[k]);
        const char *const from = x + at[k][SMELT_ROPE_X] + place.slot * 16;
        raw[k][0] = load_once(from);
        if (!kTraditional) raw[k][kTraditional ? 0 : 1] = load_once(from + second);
    }
    const float position = position_of(p, place.batch, place.token);
    float sine[kPairs], cosine[kPairs];
#pragma unroll
    for (int i = 0; i < kPairs; i++) angle_of(p, position, place.slot * kPairs + i, sine[i], cosine[i]);
#pragma unroll
    for (int k = 0; k < kHeads; k++) {
        if (place.chunk * kHeads + k >= p.heads.rows) continue;
        char *const to = out + at[k][SMELT_ROPE_OUT] + place.slot * 16;
        float a[kCount], b[kCount];
        Elements::unpack(raw[k][0], a);
        if constexpr (kTraditional) {
#pragma unroll
            for (int i = 0; i < kPairs; i++) rotate(a[2 * i], a[2 * i + 1], sine[i], cosine[i]);
        } else {
            Elements::unpack(raw[k][1], b);
#pragma unroll
            for (int i = 0; i < kPairs; i++) rotate(a[i], b[i], sine[i], cosine[i]);
            store(to + second, Elements::pack(b), p.streaming);
        }
        store(to, Elements::pack(a), p.streaming);
    }
    if (p.copies) copy_rest(p, place, x, out);
}

/* Any strides: a pair of one head a thread, or an element behind dims. Here a chunk is one head. */
__device__ __forceinline__ void run_generic(const smelt_rope_params &p, bool traditional)
{
    const int64_t all = p.batch * p.tokens * p.chunks * p.slots,
                  step = static_cast<int64_t>(gridDim.x) * SMELT_ROPE_THREADS;
    begin_kernel();
    for (int64_t i = static_cast<int64_t>(blockIdx.x) * SMELT_ROPE_THREADS + threadIdx.x; i < all;
         i += step) {
        const Place place(p, i);
        int64_t at[SMELT_ROPE_TENSORS];
        locate(p.heads, place.chunk, at);
        const char *const x = p.data[SMELT_ROPE_X] + place.at(p, SMELT_ROPE_X) + at[SMELT_ROPE_X];
        char *const out = p.data[SMELT_ROPE_OUT] + place.at(p, SMELT_ROPE_OUT) + at[SMELT_ROPE_OUT];
        if (place.slot >= p.half) {
            const int64_t element = place.slot + p.half;
            store_element(out + element * p.step[SMELT_ROPE_OUT], SMELT_TYPE,
                          load_element(x + element * p.step[SMELT_ROPE_X], SMELT_TYPE));
            continue;
        }
        const int64_t first = traditional ? 2 * place.slot : place.slot,
                      second = first + (traditional ? 1 : p.half);
        float a = load_element(x + first * p.step[SMELT_ROPE_X], SMELT_TYPE);
        float b = load_element(x + second * p.step[SMELT_ROPE_X], SMELT_TYPE), sine, cosine;
        angle_of(p, position_of(p, place.batch, place.token), place.slot, sine, cosine);
        rotate(a, b, sine, cosine);
        store_element(out + first * p.step[SMELT_ROPE_OUT], SMELT_TYPE, a);
        store_element(out + second * p.step[SMELT_ROPE_OUT], SMELT_TYPE, b);
    }
}

} // namespace smelt

#define SMELT_KERNEL(name, body)                                                                             \
    extern "C" __global__ void __launch_bounds__(SMELT_ROPE_THREADS)                                         \
        name(const __grid_constant__ smelt_rope_params p)                                                    \
    {                                                                                                        \
        smelt::body;                                                                                         \
    }
SMELT_KERNEL(smelt_rope_split, run<false>(p))
SMELT_KERNEL(smelt_rope_traditional, run<true>(p))
SMELT_KERNEL(smelt_rope_split_generic, run_generic(p, false))
SMELT_KERNEL(smelt_rope_traditional_generic, run_generic(p, true))
