/* SPDX-License-Identifier: Apache-2.0 */
/* moe_routing: a warp a row, probabilities in registers. A lane sorts its own, four at a time; a choice is
 * then one maximum over the warp of the best of each lane. A probability is at most 1, so its bits leave room
 * for its place among the four below them. */
#include "row.cuh"

namespace smelt
{

enum { kFour = SMELT_MOE_LANE_EXPERTS };

/* Four logits as they were loaded: 16 bytes of float32, or 8 bytes of 16-bit types. */
template <int kGroups> struct Logits {
    uint4 raw[kGroups];

    /* Lane l has experts 4 l kGroups and following, so that the lowest of equals is in the lowest lane. */
    static __device__ __forceinline__ int first(int lane, int group)
    {
        return (lane * kGroups + group) * kFour;
    }

    __device__ __forceinline__ void load(const smelt_moe_params &p, int64_t row, int lane)
    {
        if (row >= p.walk.rows) return;
        int64_t at[1];
        locate(p.walk, row, at);
        const char *const line = p.data[SMELT_MOE_LOGITS] + at[0];
#pragma unroll
        for (int g = 0; g < kGroups; g++) {
            const int expert = first(lane, g);
            if (p.packed && expert < p.experts) {
                if (p.type == SMELT_CUDA_F32) {
                    raw[g] = load_once(line + expert * 4);
                } else {
                    asm volatile("ld.global.L1::no_allocate.v2.u32 {%0, %1}, [%2];"
                                 : "=r"(raw[g].x), "=r"(raw[g].y)
                                 : "l"(line + expert * 2));
                }
            } else {
                float f[kFour];
#pragma unroll
                for (int i = 0; i < kFour; i++)
                    f[i] = expert + i < p.experts && !p.packed
                               ? load_element(line + (expert + i) * p.step[SMELT_MOE_LOGITS], p.type)
                               : -INFINITY;
                raw[g] = Vector<SMELT_CUDA_F32>::pack(f);
            }
        }
    }
    __device__ __forceinline__ void unpack(const smelt_moe_params &p, int lane, int group,
                                           float (&f)[kFour]) const
    {
        if (!p.packed || p.type == SMELT_CUDA_F32 || first(lane, group) >= p.experts) {
            Vector<SMELT_CUDA_F32>::unpack(raw[group], f);
        } else if (p.type == SMELT_CUDA_BF16) {
            Vector16<SMELT_CUDA_BF16>::unpack(raw[group].x, f[0], f[1]);
            Vector16<SMELT_CUDA_BF16>::unpack(raw[group].y, f[2], f[3]);
        } else {
            Vector16<SMELT_CUDA_F16>::unpack(raw[group].x, f[0], f[1]);
            Vector16<SMELT_CUDA_F16>::unpack(raw[group].y, f[2], f[3]);
        }
    }
};

/* A key: the bits of the probability plus 1, then 3 minus the place among the four. 0: no expert, or chosen.
 */
__device__ __forceinline__ uint32_t key_of(float probability, int place)
{
    return (__float_as_uint(probability) + 1) << 2 | (3 - place);
}

__device__ __forceinline__ void order(uint32_t &a, uint32_t &b)
{
    const uint32_t larger = max(a, b);
    b = min(a, b), a = larger;
}

template <int kGroups> struct Choices {
    uint32_t keys[kGroups][kFour]; /* each group in descending order */

    __device__ __forceinline__ void sort()
    {
#pragma unroll
        for (int g = 0; g < kGroups; g++) {
            order(keys[g][0], keys[g][1]), order(keys[g][2], keys[g][3]);
            order(keys[g][0], keys[g][2]), order(keys[g][1], keys[g][3]);
            order(keys[g][1], keys[g][2]);
        }
    }
    /* The next one of the warp: its expert, and its probability. */
    __device__ __forceinline__ int take(int lane, float &probability)
    {
        uint32_t best = keys[0][0];
        int group = 0;
#pragma unroll
        for (int g = 1; g < kGroups; g++)
            if (keys[g][0] >> 2 > best >> 2) best = keys[g][0], group = g;
        const uint32_t most = __reduce_max_sync(0xFFFFFFFF, best >> 2);
        const int winner = __ffs(__ballot_sync(0xFFFFFFFF, best >> 2 == most)) - 1;
#pragma unroll
        for (int g = 0; g < kGroups; g++)
            if (lane == winner && group == g)
                keys[g][0] = keys[g][1], keys[g][1] = keys[g][2], keys[g][2] = keys[g][3], keys[g][3] = 0;
        probability = __uint_as_float(most - 1);
        const int own = group * kFour + 3 - static_cast<int>(best & 3);
        return winner * (kGroups * kFour) + __shfl_sync(0xFFFFFFFF, own, winner);
    }
};

__device__ __forceinline__ void put_id(const smelt_moe_params &p, char *line, int64_t k, int id)
{
    char *const to = line + k * p.step[SMELT_MOE_IDS];
    if (p.id_bytes == 8)
        *reinterpret_cast<int64_t *>(to) = id;
    else
        *reinterpret_cast<int32_t *>(to) = id;
}

/* Choice k is finished by lane k % 32: at once where there are no more than 32, else after the sum is known.
 */
template <class Take>
__device__ __forceinline__ void route(const smelt_moe_params &p, int64_t row, int lane, bool usual, Take take)
{
    int64_t at[SMELT_MOE_WEIGHTS + 1];
    locate(p.walk, row, at);
    char *const ids = p.data[SMELT_MOE_IDS] + at[SMELT_MOE_IDS];
    char *const weights = p.data[SMELT_MOE_WEIGHTS] + at[SMELT_MOE_WEIGHTS];
    const int chosen = static_cast<int>(p.chosen);
    const bool at_once = chosen <= 32;
    float sum = 0, own = 0;
    int id = 0;
    for (int k = 0; k < chosen; k++) {
        float probability = 0;
        const int found = usual ? take(probability) : k;
        sum += probability;
        if (lane != k % 32) continue;
        id = found, own = probability;
        if (at_once) continue;
        put_id(p, ids, k, found);
        *reinterpret_cast<float *>(weights + k * p.step[SMELT_MOE_WEIGHTS]) = probability;
    }
    const float factor = !p.renormalize ? 1.0f : sum > 0.0f ? 1.0f / sum : 0.0f;
    for (int k = lane; k < chosen; k += 32) {
        float *const to = reinterpret_cast<float *>(weights + k * p.step[SMELT_MOE_WEIGHTS]);
        if (at_once) {
            put_id(p, ids, k, id);
        } else { /* this lane wrote it */
            own = *to;
            const char *const from = ids + k * p.step[SMELT_MOE_IDS];
            id = *reinterpret_cast<const int32_t *>(from); /* the low half comes first */
        }
        *to = usual ? own * factor * scale_of(p, id) : 0.0f;
    }
}

template <int kGroups> __device__ __forceinline__ void run(const smelt_moe_params &p)
{
    const int lane = threadIdx.x % 32;
    const int64_t step = static_cast<int64_t>(gridDim.x) * (SMELT_MOE_THREADS / 32);
    int64_t row = static_cast<int64_t>(blockIdx.x) * (SMELT_MOE_THREADS / 32) + threadIdx.x / 32;
    Logits<kGroups> logits, next;
    begin_kernel();
    logits.load(p, row, lane);
    for (; row < p.walk.rows; row += step, logits = next) {
        next.load(p, row + step, lane);
        float most = -INFINITY, sum = 0, f[kFour];
#pragma unroll
        for (int g = 0; g < kGroups; g++) {
            logits.unpack(p, lane, g, f);
#pragma unroll
            for (int i = 0; i < kFour; i++) most = fmaxf(most, f[i]);
        }
        Softmax softmax;
        softmax.largest = warp_max(most);
        float e[kGroups][kFour];
#pragma unroll
        for (int g = 0; g < kGroups; g++) {
            logits.unpack(p, lane, g, f);
#pragma unroll
            for (int i = 0; i < kFour; i++) {
                e[g][i] = exponential(f[i] - softmax.largest);
                sum += e[g][i];
            }
        }
        softmax.inverse = 1.0f / warp_sum(sum);
        Choices<kGroups> choices;
#pragma unroll
        for (int g = 0; g < kGroups; g++)
#pragma unroll
            for (int i = 0; i < kFour; i++)
                choices.keys[g][i] = Logits<kGroups>::first(lane, g) + i < p.experts
                                         ? key_of(e[g][i] * softmax.inverse, i)
                                         : 0;
        choices.sort();
        route(p, row, lane, softmax.usual(),
              [&](float &probability) { return choices.take(lane, probability); });
    }
}

/* Any number of experts: each choice looks through the row for the best after the one before. */
__device__ __forceinline__ void run_generic(const smelt_moe_params &p)
{
    const int lane = threadIdx.x % 32;
    const int64_t step = static_cast<int64_t>(gridDim.x) * (SMELT_MOE_THREADS / 32);
    begin_kernel();
    for (int64_t row = static_cast<int64_t>(blockIdx.x) * (SMELT_MOE_THREADS / 32) + threadIdx.x / 32;
         row < p.walk.rows; row += step) {
        const Lines lines(p, row);
        const Softmax softmax(p, lines);
        uint64_t last = ~0ull; /* bits plus 1 of the probability above, then what is left of the index */
        route(p, row, lane, softmax.usual(), [&](float &probability) {
            uint64_t best = 0;
            for (int64_t e = lane; e < p.experts; e += 32) {
                const uint32_t bits = __float_as_uint(softmax.probability(lines.logit(p, e))) + 1;
                const uint64_t key =
                    static_cast<uint64_t>(bits) << 32 | (0xFFFFFFFFu - static_cast<uint32_t>(e));
                if (key < last && key > best) best = key;
            }
#pragma unroll
            for (int other = 16; other; other /= 2) {
                const uint64_t theirs = __shfl_xor_sync(0xFFFFFFFF, best, other);
                if (theirs > best) best = theirs;
            }
            last = best;
            probability = __uint_as_float(static_cast<uint32_t>(best >> 32) - 1);
            return static_cast<int>(0xFFFFFFFFu - static_cast<uint32_t>(best));
        });
    }
}

} // namespace smelt

#define SMELT_KERNEL(name, groups)                                                                           \
    extern "C" __global__ void __launch_bounds__(SMELT_MOE_THREADS, 1)                                          \
        name(const __grid_constant__ smelt_moe_params p)                                                     \
    {                                                                                                        \
        smelt::run<groups>(p);                                                                               \
    }
SMELT_MOE_ROWS(SMELT_KERNEL)

extern "C" __global__ void __launch_bounds__(SMELT_MOE_THREADS, 1)
    smelt_moe_routing_generic(const __grid_constant__ smelt_moe_params p)
{
    smelt::run_generic(p);
}
