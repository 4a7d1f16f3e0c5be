/* SPDX-License-Identifier: Apache-2.0 */
/* Gradients of keys and values: a block has 128 keys and goes through all queries that see them, of all heads
 * of the group. Scores are transposed (rows are keys), so that probabilities and their changes are register
 * operands of the products with dout and with the queries. */
#pragma once

#include "vjp_tile.cuh"

namespace smelt
{

/* 128 keys of one head of keys, and the steps of queries that see some of them. */
struct KeyTile {
    int batch, head, first_key;
    Range range; /* begin and end count steps of queries */

    template <class L> __device__ __forceinline__ void set(const smelt_sdpa_vjp_params &g, int index)
    {
        const smelt_sdpa_params &p = g.forward;
        int lead;
        /* under a causal mask the first keys are seen by most: they come first */
        tile_in_section(index, g.key_blocks, p.batch * p.heads_kv, g.key_section, &first_key, &lead);
        first_key *= kVjpRows;
        batch = lead / p.heads_kv, head = lead % p.heads_kv;
        range = key_range(p, batch);
        const int last_key = min(first_key + kVjpRows, range.length) - 1;
        const int last_query = min(p.q_length - 1, last_key - range.left);
        range.begin = max(0, first_key - range.right) / L::kSteps;
        range.end = last_key < first_key || last_query < 0 ? 0 : last_query / L::kSteps + 1;
    }
};

template <class L>
__device__ __forceinline__ void produce_fixed_keys(const smelt_sdpa_vjp_params &g, const VjpShared<L> &shared,
                                                   const KeyTile &tile)
{
    const smelt_sdpa_params &p = g.forward;
    barrier_expect(shared.fixed_full(), L::kFixedBytes);
#pragma unroll 1
    for (int chunk = 0; chunk < L::kHeadChunks; chunk++)
        copy_box(shared.fixed(0) + chunk * L::kFixedChunkBytes, &p.k_map, shared.fixed_full(),
                 chunk * L::kChunk, tile.first_key, tile.head * p.k_head_step, tile.batch * p.k_batch_step);
#pragma unroll 1
    for (int chunk = 0; L::kSlopes && chunk < L::kValueChunks; chunk++)
        copy_box(shared.fixed(1) + chunk * L::kFixedChunkBytes, &p.v_map, shared.fixed_full(),
                 chunk * L::kChunk, tile.first_key, tile.head * p.v_head_step, tile.batch * p.v_batch_step);
}

template <class L>
__device__ __forceinline__ void produce_queries(const smelt_sdpa_vjp_params &g, const VjpShared<L> &shared,
                                                const KeyTile &tile, Ring<L::kStages> &ring)
{
    const smelt_sdpa_params &p = g.forward;
#pragma unroll 1
    for (int head = tile.head * p.group; head < (tile.head + 1) * p.group; head++)
#pragma unroll 1
        for (int m = tile.range.begin; m < tile.range.end; m++) {
            const int stage = ring.stage();
            const uint32_t full = shared.full(stage);
            const int64_t row =
                (static_cast<int64_t>(tile.batch) * p.heads_q + head) * g.q_padded + m * L::kSteps;
            barrier_wait(shared.empty(stage), ring.phase() ^ 1);
            barrier_expect(full, L::kStepBytes + L::kRowsBytes);
#pragma unroll
            for (int chunk = 0; chunk < L::kHeadChunks; chunk++)
                copy_box(shared.step(stage, 0) + chunk * L::kStepChunkBytes, &p.q_map, full,
                         chunk * L::kChunk, m * L::kSteps, head * p.q_head_step, tile.batch * p.q_batch_step);
#pragma unroll
            for (int chunk = 0; chunk < L::kValueChunks; chunk++)
                copy_box(shared.step(stage, 1) + chunk * L::kStepChunkBytes, &g.dout_map, full,
                         chunk * L::kChunk, m * L::kSteps, head * g.dout_head_step,
                         tile.batch * g.dout_batch_step);
            copy_bytes(shared.lse(stage), g.lse + row, L::kRowsBytes / 2, full);
            copy_bytes(shared.left(stage), g.left + row, L::kRowsBytes / 2, full);
            ring.advance();
        }
}

template <class L> struct KeyConsumer {
    const smelt_sdpa_vjp_params &g;
    const VjpShared<L> &shared;
    const KeyTile &tile;
    int group;
    Ring<L::kStages> ring;
    int head, query; /* what the ring's place holds: queries from this one on */
    bool repair = false;

    float keys[L::kKeysWanted ? L::kHeadDim / 2 : 1], values[L::kValuesWanted ? L::kValueDim / 2 : 1];
    float scores[L::kSteps / 2], slopes[L::kSteps / 2];
    uint32_t weights[L::kSteps / 4], changes[L::kSteps / 4];

    __device__ __forceinline__ KeyConsumer(const smelt_sdpa_vjp_params &g, const VjpShared<L> &shared,
                                           const KeyTile &tile, int group)
        : g(g), shared(shared), tile(tile), group(group)
    {
    }

    static __device__ __forceinline__ int lane() { return threadIdx.x % 32; }
    __device__ __forceinline__ int row(int r) const
    {
        return tile.first_key + 64 * group + threadIdx.x % 128 / 32 * 16 + lane() / 4 + 8 * r;
    }
    /* Are all keys of this warpgroup seen by all queries of the step? */
    __device__ __forceinline__ bool uncut() const
    {
        const int first = tile.first_key + 64 * group, last = first + 63;
        return query + L::kSteps - 1 + tile.range.left <= first && last <= query + tile.range.right &&
               last < tile.range.length;
    }
    __device__ __forceinline__ Place<true> place() const
    {
        Place<true> place = {tile.batch,        head, {row(0), row(1)}, query + lane() % 4 * 2,
                             tile.range.length, {}};
        place.set_interval(tile.range);
        return place;
    }

    /* Raw scores -> probabilities. In general kernels a soft cap's slope is then in them, and `weights` has
     * them without it. */
    __device__ __forceinline__ void weigh(bool cut, uint32_t lse)
    {
        const smelt_sdpa_params &p = g.forward;
        if (L::kGeneral) {
            weigh_general<typename L::Element, L::kValuesWanted>(scores, weights, p, place(), [lse](int i) {
                return shared_float(lse + 4 * (i / 4 * 8 + i % 2));
            });
            return;
        }
        if (cut) {
            const Interval interval = place().interval;
#pragma unroll
            for (int i = 0; i < L::kSteps / 2; i++)
                if (interval.hides(i)) scores[i] = -INFINITY;
        }
#pragma unroll
        for (int i = 0; i < L::kSteps / 2; i += 4) {
            const float2 own = shared_pair(lse + 8 * i);
#pragma unroll
            for (int e = 0; e < 4; e++)
                scores[i + e] = exp2_fast(fmaf(scores[i + e], p.scale_log2, e % 2 ? -own.y : -own.x));
        }
    }

    /* Probabilities and the products of dout and values -> changes of the scores. */
    __device__ __forceinline__ void change(bool cut, uint32_t left)
    {
#pragma unroll
        for (int i = 0; i < L::kSteps / 2; i += 4) {
            const float2 own = shared_pair(left + 8 * i);
#pragma unroll
            for (int e = 0; e < 4; e++)
                slopes[i + e] = scores[i + e] * (slopes[i + e] + (e % 2 ? own.y : own.x));
        }
        /* behind what is hidden there may be NaN */
        if (L::kGeneral || cut)
#pragma unroll
            for (int i = 0; i < L::kSteps / 2; i++)
                if (scores[i] == 0.0f) slopes[i] = 0.0f;
    }

    /* Queries and dout as zero where they are not finite. A query whose logsumexp is not a number meets no
     * key in this round; where only its `left` is not finite, the gradient of values still needs it. */
    __device__ __forceinline__ void clear()
    {
        const int stage = ring.stage();
        clear_stage(shared.step(stage, 0), L::kStepBytes, exponent_bits(g.forward.type));
        for (int i = threadIdx.x % 128; i < L::kSteps; i += 128) {
            const uint32_t lse = shared.lse(stage) + 4 * i, left = shared.left(stage) + 4 * i;
            if (isnan(shared_float(lse))) store_shared(lse, INFINITY);
            if (!isfinite(shared_float(left))) store_shared(left, 0.0f);
        }
        shared_write_fence();
        named_sync(kBarrierGroup + group, 128);
    }

    __device__ __forceinline__ void issue_scores()
    {
        const int stage = ring.stage();
        const uint32_t own = group * 64 * L::kRowBytes;
        barrier_wait(shared.full(stage), ring.phase());
        if (repair) clear();
        issue_tile<L, L::kSteps, L::kHeadDim>(scores, shared.fixed(0) + own, shared.step(stage, 0));
        if (L::kSlopes)
            issue_tile<L, L::kSteps, L::kValueDim>(slopes, shared.fixed(1) + own, shared.step(stage, 1));
    }

    __device__ __forceinline__ void issue_sums(int stage)
    {
        if constexpr (L::kValuesWanted) issue_sum<L, L::kValueDim>(values, weights, shared.step(stage, 1));
        if constexpr (L::kKeysWanted) issue_sum<L, L::kHeadDim>(keys, changes, shared.step(stage, 0));
    }

    __device__ __forceinline__ void wait_sums(int stage)
    {
        wgmma_wait<0>();
        pin(keys);
        pin(values);
        __syncwarp();
        if (lane() == 0) barrier_arrive(shared.empty(stage));
    }

    /* The scores of the stage at the ring's place, with kPending products issued after them. */
    template <int kPending> __device__ __forceinline__ void turn()
    {
        const int stage = ring.stage();
        const bool cut = !uncut();
        wgmma_wait<kPending + L::kSlopes>();
        pin(scores);
        weigh(cut, shared.lse(stage) + 8 * (lane() % 4));
        pin(scores);
        if (!L::kSlopes) return;
        wgmma_wait<kPending>();
        pin(slopes);
        change(cut, shared.left(stage) + 8 * (lane() % 4));
        pin(slopes);
    }

    static __device__ __forceinline__ void pack_tile(uint32_t (&words)[L::kSteps / 4],
                                                     const float (&tile)[L::kSteps / 2])
    {
#pragma unroll
        for (int i = 0; i < L::kSteps / 4; i++)
            words[i] = pack(typename L::Element(), tile[2 * i], tile[2 * i + 1]);
    }

    /* Into the operands of the sums, which must not be in use. */
    __device__ __forceinline__ void settle()
    {
        if (L::kValuesWanted) pack_tile(weights, scores);
        if (L::kSlopes) pack_tile(changes, slopes);
        ring.advance();
    }

    __device__ __forceinline__ void advance()
    {
        query += L::kSteps;
        if (query < tile.range.end * L::kSteps) return;
        query = tile.range.begin * L::kSteps;
        head++;
    }

    /* The scores of the next step are issued before the sums of the current one, so that the arithmetic
     * between the products runs under them. */
    __device__ __forceinline__ void run_ahead(int steps)
    {
        static_assert(!L::kAhead || !L::kGeneral, "weights are in use while the next are found");
        issue_scores();
        turn<0>();
        settle();
#pragma unroll 1
        while (--steps) {
            const int before = (ring.stage() + L::kStages - 1) % L::kStages;
            advance();
            issue_scores();
            issue_sums(before);
            turn<L::kSums>();
            wait_sums(before);
            settle();
        }
        const int last = (ring.stage() + L::kStages - 1) % L::kStages;
        issue_sums(last);
        wait_sums(last);
    }

    /* One step after the other: only the other warpgroup fills the gaps, and the tile may be larger. */
    __device__ __forceinline__ void run_in_step(int steps)
    {
#pragma unroll 1
        for (; steps; steps--) {
            const int stage = ring.stage();
            const bool cut = !uncut();
            issue_scores();
            wgmma_wait<L::kSlopes>();
            pin(scores);
            weigh(cut, shared.lse(stage) + 8 * (lane() % 4));
            if constexpr (L::kValuesWanted) {
                if (!L::kGeneral) pack_tile(weights, scores);
                issue_sum<L, L::kValueDim>(values, weights, shared.step(stage, 1));
            }
            if constexpr (L::kKeysWanted) {
                wgmma_wait<L::kValuesWanted>();
                pin(slopes);
                change(cut, shared.left(stage) + 8 * (lane() % 4));
                pack_tile(changes, slopes);
                issue_sum<L, L::kHeadDim>(keys, changes, shared.step(stage, 0));
            }
            wait_sums(stage);
            ring.advance();
            advance();
        }
    }

    __device__ __forceinline__ void run_steps()
    {
        const int steps = (tile.range.end - tile.range.begin) * g.forward.group;
        head = tile.head * g.forward.group, query = tile.range.begin * L::kSteps;
#pragma unroll
        for (float &x : keys) x = 0;
#pragma unroll
        for (float &x : values) x = 0;
        if (steps <= 0) return;
        barrier_wait(shared.fixed_full(), 0);
        if constexpr (L::kAhead)
            run_ahead(steps);
        else
            run_in_step(steps);
    }

    __device__ __forceinline__ void store()
    {
        const smelt_sdpa_params &p = g.forward;
        const int rows[2] = {row(0), row(1)};
        if constexpr (L::kKeysWanted)
            store_gradient<typename L::Element, L::kHeadDim>(g.dk, keys, g.scale,
                                                             tile.batch * g.dk.batch + tile.head * g.dk.head,
                                                             rows, p.k_length, p.head_dim, lane());
        if constexpr (L::kValuesWanted)
            store_gradient<typename L::Element, L::kValueDim>(g.dv, values, 1.0f,
                                                              tile.batch * g.dv.batch + tile.head * g.dv.head,
                                                              rows, p.k_length, p.value_dim, lane());
    }

    /* Twice where some sum is not finite: that may have come from a query that does not see the key. The
     * second round takes such values as zero, and the generic kernel then looks after keys that do see them.
     */
    __device__ __forceinline__ void run()
    {
#pragma unroll 1
        for (int round = 0; round < 2; round++) {
            repair = round == 1;
            run_steps();
            store();
            if (repair) return;
            if (!all_finite(keys) || !all_finite(values)) shared.request_repair();
            __syncwarp();
            if (lane() == 0) barrier_arrive(shared.finished());
            if (!shared.to_repair()) return;
            if (threadIdx.x == 128)
                g.key_flags[(static_cast<int64_t>(tile.batch) * g.forward.heads_kv + tile.head) *
                                g.key_blocks +
                            tile.first_key / kVjpRows] = 1;
        }
    }
};

template <class L> __device__ __forceinline__ void key_gradients(const smelt_sdpa_vjp_params &g)
{
    extern __shared__ unsigned char memory[];
    const VjpShared<L> shared(memory);
    if (threadIdx.x == 0) {
        const void *const maps[] = {&g.forward.q_map, &g.forward.k_map, &g.forward.v_map, &g.dout_map};
        for (const void *map : maps) prefetch_map(map);
        shared.start();
    }
    __syncthreads();
    launch_dependents();
    KeyTile tile = {};
    tile.template set<L>(g, blockIdx.x);
    if (threadIdx.x < 128) {
        registers_lower<24>();
        if (threadIdx.x != 0) return;
        Ring<L::kStages> ring;
        if (tile.range.begin < tile.range.end) produce_fixed_keys<L>(g, shared, tile);
        produce_queries<L>(g, shared, tile, ring);
        if (shared.to_repair()) produce_queries<L>(g, shared, tile, ring);
        wait_for_kernel_before();
    } else {
        registers_raise<240>();
        KeyConsumer<L> consumer(g, shared, tile, threadIdx.x / 128 - 1);
        consumer.run();
    }
}

} // namespace smelt
