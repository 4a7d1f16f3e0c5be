/* SPDX-License-Identifier: Apache-2.0 */
/* moe_routing: some lanes of a warp have a row, its probabilities in registers. A lane sorts its own, four at
 * a time; a choice is then one maximum over the lanes of the best of each. A probability is at most 1, so its
 * bits leave room for its place among the four below them. */
#include "row.cuh"

namespace smelt
{

enum { kFour = SMELT_MOE_LANE_EXPERTS };

/* Groups of four logits as they were loaded: 16 bytes of float32, or 8 bytes of 16-bit types. Group g of lane
 * l has the experts 4 (g lanes + l) and following. */
template <int kGroups, int kLanes> struct Logits {
    uint4 raw[kGroups];

    static __device__ __forceinline__ int first(int lane, int group)
    {
        return (group * kLanes + lane) * kFour;
    }

    __device__ __forceinline__ void load(const smelt_moe_params &p, int64_t row, int lane)
    {
        const bool valid = row < p.walk.rows;
        int64_t at[1];
        locate(p.walk, valid ? row : 0, at);
        const char *const line = p.data[SMELT_MOE_LOGITS] + at[0];
#pragma unroll
        for (int g = 0; g < kGroups; g++) {
            const int expert = first(lane, g);
            raw[g] = make_uint4(0xFF800000u, 0xFF800000u, 0xFF800000u, 0xFF800000u); /* -infinity */
            if (!valid || expert >= p.experts) continue;
            if (p.packed && p.type == SMELT_CUDA_F32) {
                raw[g] = load_once(line + expert * 4);
            } else if (p.packed) {
                asm volatile("ld.global.L1::no_allocate.v2.u32 {%0, %1}, [%2];"
                             : "=r"(raw[g].x), "=r"(raw[g].y)
                             : "l"(line + expert * 2));
            } else {
                float f[kFour];
#pragma unroll
                for (int i = 0; i < kFour; i++)
                    f[i] = expert + i < p.experts
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

/* Over the lanes of a row. */
template <int kLanes> __device__ __forceinline__ uint32_t lanes_max(uint32_t x)
{
    if constexpr (kLanes == 32) {
        return __reduce_max_sync(0xFFFFFFFF, x);
    } else {
#pragma unroll
        for (int step = kLanes / 2; step; step /= 2) x = max(x, __shfl_xor_sync(0xFFFFFFFF, x, step));
        return x;
    }
}

template <int kLanes> __device__ __forceinline__ float lanes_add(float x)
{
#pragma unroll
    for (int step = kLanes / 2; step; step /= 2) x += __shfl_xor_sync(0xFFFFFFFF, x, step);
    return x;
}

/* The keys of a row, each group of four in descending order. At most 4 groups: which one is in the lowest
 * bits of what lanes compare, so that of equals the one of the lowest group and lane comes first. */
template <int kGroups, int kLanes> struct Choices {
    uint32_t keys[kGroups][kFour];
    bool usual; /* the row has probabilities */

    __device__ __forceinline__ Choices(const smelt_moe_params &p, const Logits<kGroups, kLanes> &logits,
                                       int lane)
    {
        float f[kFour], e[kGroups][kFour], most = -INFINITY, sum = 0;
#pragma unroll
        for (int g = 0; g < kGroups; g++) {
            logits.unpack(p, lane, g, f);
            most = fmaxf(most, fmaxf(fmaxf(f[0], f[1]), fmaxf(f[2], f[3])));
        }
#pragma unroll
        for (int step = kLanes / 2; step; step /= 2)
            most = fmaxf(most, __shfl_xor_sync(0xFFFFFFFF, most, step));
#pragma unroll
        for (int g = 0; g < kGroups; g++) {
            logits.unpack(p, lane, g, f);
#pragma unroll
            for (int i = 0; i < kFour; i++) e[g][i] = exponential(f[i] - most);
            sum += (e[g][0] + e[g][1]) + (e[g][2] + e[g][3]);
        }
        const float inverse = __fdividef(1.0f, lanes_add<kLanes>(sum)); /* NaN where there are none */
        usual = inverse > 0.0f;
#pragma unroll
        for (int g = 0; g < kGroups; g++) {
            const int expert = Logits<kGroups, kLanes>::first(lane, g);
#pragma unroll
            for (int i = 0; i < kFour; i++)
                keys[g][i] = expert + i < p.experts ? key_of(e[g][i] * inverse, i) : 0;
            order(keys[g][0], keys[g][1]), order(keys[g][2], keys[g][3]);
            order(keys[g][0], keys[g][2]), order(keys[g][1], keys[g][3]);
            order(keys[g][1], keys[g][2]);
        }
    }
    /* The next one of the row: its expert, and its probability. */
    __device__ __forceinline__ int take(float &probability)
    {
        const int warp_lane = threadIdx.x % 32, first = warp_lane / kLanes * kLanes;
        uint32_t best = 0, taken = 0;
#pragma unroll
        for (int g = 0; g < kGroups; g++) best = max(best, (keys[g][0] & ~3u) | (3 - g));
        const uint32_t most = lanes_max<kLanes>(best);
        uint32_t equal = __ballot_sync(0xFFFFFFFF, best == most);
        if (kLanes < 32) equal &= (kLanes == 32 ? 0xFFFFFFFFu : (1u << (kLanes % 32)) - 1) << first;
        const int winner = __ffs(equal) - 1, group = 3 - static_cast<int>(most & 3);
#pragma unroll
        for (int g = 0; g < kGroups; g++)
            if (warp_lane == winner && group == g) {
                taken = keys[g][0];
                keys[g][0] = keys[g][1], keys[g][1] = keys[g][2], keys[g][2] = keys[g][3], keys[g][3] = 0;
            }
        probability = __uint_as_float((most >> 2) - 1);
        const int place = 3 - static_cast<int>(__shfl_sync(0xFFFFFFFF, taken, winner) & 3);
        return (group * kLanes + winner - first) * kFour + place;
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
        if (lane == k % 32) {
            id = found, own = probability;
            if (!at_once) {
                put_id(p, ids, k, found);
                *reinterpret_cast<float *>(weights + k * p.step[SMELT_MOE_WEIGHTS]) = probability;
            }
        }
        __syncwarp();
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

/* Up to 16 experts a lane, and no more choices than lanes: choice k is finished by lane k. */
template <int kLanes> __device__ __forceinline__ void run(const smelt_moe_params &p)
{
    const int lane = threadIdx.x % kLanes, chosen = static_cast<int>(p.chosen);
    const int64_t step = static_cast<int64_t>(gridDim.x) * (SMELT_MOE_THREADS / kLanes);
    int64_t row = (static_cast<int64_t>(blockIdx.x) * SMELT_MOE_THREADS + threadIdx.x) / kLanes;
    Logits<4, kLanes> logits, next;
    begin_kernel();
    logits.load(p, row, lane);
    /* a warp goes on as long as one of its rows is there */
    for (; row - threadIdx.x % 32 / kLanes < p.walk.rows; row += step, logits = next) {
        next.load(p, row + step, lane);
        Choices<4, kLanes> choices(p, logits, lane);
        float sum = 0, own = 0;
        int id = 0;
        for (int k = 0; k < chosen; k++) {
            float probability;
            const int found = choices.take(probability);
            sum += probability;
            if (lane == k) id = found, own = probability;
        }
        if (row >= p.walk.rows || lane >= chosen) continue;
        int64_t at[SMELT_MOE_WEIGHTS + 1];
        locate(p.walk, row, at);
        if (!choices.usual) id = lane;
        float weight = 0;
        if (choices.usual) weight = (p.renormalize ? (sum > 0.0f ? own / sum : 0.0f) : own) * scale_of(p, id);
        put_id(p, p.data[SMELT_MOE_IDS] + at[SMELT_MOE_IDS], lane, id);
        *reinterpret_cast<float *>(p.data[SMELT_MOE_WEIGHTS] + at[SMELT_MOE_WEIGHTS] +
                                   lane * p.step[SMELT_MOE_WEIGHTS]) = weight;
    }
}

/* A warp a row, any number of choices. */
__device__ __forceinline__ void run_warp(const smelt_moe_params &p)
{
    const int lane = threadIdx.x % 32;
    const int64_t step = static_cast<int64_t>(gridDim.x) * (SMELT_MOE_THREADS / 32);
    begin_kernel();
    for (int64_t row = (static_cast<int64_t>(blockIdx.x) * SMELT_MOE_THREADS + threadIdx.x) / 32;
         row < p.walk.rows; row += step) {
        Logits<4, 32> logits;
        logits.load(p, row, lane);
        Choices<4, 32> choices(p, logits, lane);
        route(p, row, lane, choices.usual, [&](float &probability) { return choices.take(probability); });
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

#define SMELT_KERNEL(name, body)                                                                             \
    extern "C" __global__ void __launch_bounds__(SMELT_MOE_THREADS, 1)                                       \
        name(const __grid_constant__ smelt_moe_params p)                                                     \
    {                                                                                                        \
        smelt::body(p);                                                                                      \
    }
SMELT_KERNEL(smelt_moe_routing_8, run<8>)
SMELT_KERNEL(smelt_moe_routing_16, run<16>)
SMELT_KERNEL(smelt_moe_routing_32, run<32>)
SMELT_KERNEL(smelt_moe_routing_warp, run_warp)
SMELT_KERNEL(smelt_moe_routing_generic, run_generic)
