/* SPDX-License-Identifier: Apache-2.0 */
/* Gradient of the queries: a block has 128 queries of one head and goes through all keys that they see. The
 * scores are computed a second time, which needs no sums over blocks: every result has one fixed order. */
#pragma once

#include "vjp_tile.cuh"

namespace smelt
{

struct QueryTile {
    int batch, head, first_query;
    Range range; /* begin and end count steps of keys */

    template <class L> __device__ __forceinline__ void set(const smelt_sdpa_vjp_params &g, int index)
    {
        const smelt_sdpa_params &p = g.forward;
        int lead;
        /* under a causal mask the last queries see most: they come first */
        tile_in_section(index, g.query_blocks, p.batch * p.heads_q, g.query_section, &first_query, &lead);
        first_query = (g.query_blocks - 1 - first_query) * kVjpRows;
        batch = lead / p.heads_q, head = lead % p.heads_q;
        range = key_range(p, batch);
        key_tiles(range, first_query, min(first_query + kVjpRows, p.q_length) - 1, L::kSteps);
    }
};

template <class L>
__device__ __forceinline__ void produce_fixed_queries(const smelt_sdpa_vjp_params &g,
                                                      const VjpShared<L> &shared, const QueryTile &tile)
{
    const smelt_sdpa_params &p = g.forward;
    barrier_expect(shared.fixed_full(), L::kFixedBytes);
#pragma unroll 1
    for (int chunk = 0; chunk < L::kHeadChunks; chunk++)
        copy_box(shared.fixed(0) + chunk * L::kFixedChunkBytes, &p.q_map, shared.fixed_full(),
                 chunk * L::kChunk, tile.first_query, tile.head * p.q_head_step, tile.batch * p.q_batch_step);
#pragma unroll 1
    for (int chunk = 0; chunk < L::kValueChunks; chunk++)
        copy_box(shared.fixed(1) + chunk * L::kFixedChunkBytes, &g.dout_map, shared.fixed_full(),
                 chunk * L::kChunk, tile.first_query, tile.head * g.dout_head_step,
                 tile.batch * g.dout_batch_step);
}

template <class L>
__device__ __forceinline__ void produce_keys(const smelt_sdpa_vjp_params &g, const VjpShared<L> &shared,
                                             const QueryTile &tile, Ring<L::kStages> &ring)
{
    const smelt_sdpa_params &p = g.forward;
    const int head = tile.head / p.group;
#pragma unroll 1
    for (int n = tile.range.begin; n < tile.range.end; n++) {
        const int stage = ring.stage();
        const uint32_t full = shared.full(stage);
        barrier_wait(shared.empty(stage), ring.phase() ^ 1);
        barrier_expect(full, L::kStepBytes);
#pragma unroll
        for (int chunk = 0; chunk < L::kHeadChunks; chunk++)
            copy_box(shared.step(stage, 0) + chunk * L::kStepChunkBytes, &p.k_map, full, chunk * L::kChunk,
                     n * L::kSteps, head * p.k_head_step, tile.batch * p.k_batch_step);
#pragma unroll
        for (int chunk = 0; chunk < L::kValueChunks; chunk++)
            copy_box(shared.step(stage, 1) + chunk * L::kStepChunkBytes, &p.v_map, full, chunk * L::kChunk,
                     n * L::kSteps, head * p.v_head_step, tile.batch * p.v_batch_step);
        ring.advance();
    }
}

template <class L> struct QueryConsumer {
    const smelt_sdpa_vjp_params &g;
    const VjpShared<L> &shared;
    const QueryTile &tile;
    int group;
    bool repair = false;
    Ring<L::kStages> ring;
    Uncut uncut;

    float queries[L::kHeadDim / 2], scores[L::kSteps / 2], slopes[L::kSteps / 2];
    uint32_t changes[L::kSteps / 4];
    float lse[2], left[2];

    __device__ __forceinline__ QueryConsumer(const smelt_sdpa_vjp_params &g, const VjpShared<L> &shared,
                                             const QueryTile &tile, int group)
        : g(g), shared(shared), tile(tile), group(group)
    {
        const int64_t line = (static_cast<int64_t>(tile.batch) * g.forward.heads_q + tile.head) * g.q_padded;
        const int first = tile.first_query + 64 * group;
        uncut.set(tile.range, L::kSteps, first, first + 63);
        for (int r = 0; r < 2; r++) lse[r] = g.lse[line + row(r)], left[r] = g.left[line + row(r)];
    }

    static __device__ __forceinline__ int lane() { return threadIdx.x % 32; }
    __device__ __forceinline__ int row(int r) const
    {
        return tile.first_query + 64 * group + threadIdx.x % 128 / 32 * 16 + lane() / 4 + 8 * r;
    }

    /* Raw scores -> probabilities. */
    __device__ __forceinline__ void weigh(int n)
    {
        const smelt_sdpa_params &p = g.forward;
        Place<false> place = {tile.batch,        tile.head, {row(0), row(1)}, n * L::kSteps + lane() % 4 * 2,
                              tile.range.length, {}};
        if (L::kGeneral || !uncut.has(n)) place.set_interval(tile.range, g.forward.q_length);
        if (L::kGeneral) {
            uint32_t unused[L::kSteps / 4];
            weigh_general<typename L::Element, false>(scores, unused, p, place,
                                                      [this](int i) { return lse[i / 2 % 2]; });
            return;
        }
        if (!uncut.has(n))
#pragma unroll
            for (int i = 0; i < L::kSteps / 2; i++)
                if (place.interval.hides(i)) scores[i] = -INFINITY;
#pragma unroll
        for (int i = 0; i < L::kSteps / 2; i++)
            scores[i] = exp2_fast(fmaf(scores[i], p.scale_log2, -lse[i / 2 % 2]));
    }

    /* Key rows that no query may see are overwritten with zeros, and under repair all that is not finite:
     * keys are an operand of the second product. */
    __device__ __forceinline__ void clear_keys(int n, uint32_t keys)
    {
        const smelt_sdpa_params &p = g.forward;
        const bool masked = L::kGeneral && p.key_mask;
        const bool tail = tile.range.length < p.k_length && (n + 1) * L::kSteps > tile.range.length;
        if (!tail && !masked && !repair) return;
        if (repair) clear_stage(keys, L::kHeadChunks * L::kStepChunkBytes, exponent_bits(p.type));
#pragma unroll 1
        for (int row = threadIdx.x % 128; row < L::kSteps; row += 128) {
            const int key = n * L::kSteps + row;
            if (key < tile.range.length && !(masked && !key_is_kept(p, tile.batch, key))) continue;
#pragma unroll 1
            for (int i = 0; i < L::kHeadChunks * L::kRowBytes / 16; i++) {
                const int chunk = i / (L::kRowBytes / 16), inside = i % (L::kRowBytes / 16);
                asm volatile("st.shared.v4.b32 [%0], {%1, %1, %1, %1};" ::"r"(
                                 keys + chunk * L::kStepChunkBytes + row * L::kRowBytes + 16 * inside),
                             "r"(0)
                             : "memory");
            }
        }
        shared_write_fence();
        named_sync(kBarrierGroup + group, 128);
    }

    __device__ __forceinline__ void issue_scores(int n)
    {
        const int stage = ring.stage();
        const uint32_t own = group * 64 * L::kRowBytes;
        barrier_wait(shared.full(stage), ring.phase());
        clear_keys(n, shared.step(stage, 0));
        issue_tile<L, L::kSteps, L::kHeadDim>(scores, shared.fixed(0) + own, shared.step(stage, 0));
        issue_tile<L, L::kSteps, L::kValueDim>(slopes, shared.fixed(1) + own, shared.step(stage, 1));
    }

    /* The scores of step n, with kPending products issued after them, and their changes. */
    template <int kPending> __device__ __forceinline__ void turn(int n)
    {
        wgmma_wait<kPending + 1>();
        pin(scores);
        weigh(n);
        pin(scores);
        wgmma_wait<kPending>();
        pin(slopes);
#pragma unroll
        for (int i = 0; i < L::kSteps / 2; i++) slopes[i] = scores[i] * (slopes[i] + left[i / 2 % 2]);
        /* behind what is hidden there may be NaN */
        if (L::kGeneral || !uncut.has(n))
#pragma unroll
            for (int i = 0; i < L::kSteps / 2; i++)
                if (scores[i] == 0.0f) slopes[i] = 0.0f;
        pin(slopes);
    }

    __device__ __forceinline__ void settle()
    {
#pragma unroll
        for (int i = 0; i < L::kSteps / 4; i++)
            changes[i] = pack(typename L::Element(), slopes[2 * i], slopes[2 * i + 1]);
        ring.advance();
    }

    __device__ __forceinline__ void wait_sum(int stage)
    {
        wgmma_wait<0>();
        pin(queries);
        __syncwarp();
        if (lane() == 0) barrier_arrive(shared.empty(stage));
    }

    /* The scores of the next step are issued before the sum of the current one. */
    __device__ __forceinline__ void run_ahead()
    {
        issue_scores(tile.range.begin);
        turn<0>(tile.range.begin);
        settle();
#pragma unroll 1
        for (int n = tile.range.begin + 1; n < tile.range.end; n++) {
            const int before = (ring.stage() + L::kStages - 1) % L::kStages;
            issue_scores(n);
            issue_sum<L, L::kHeadDim>(queries, changes, shared.step(before, 0));
            turn<1>(n);
            wait_sum(before);
            settle();
        }
        const int last = (ring.stage() + L::kStages - 1) % L::kStages;
        issue_sum<L, L::kHeadDim>(queries, changes, shared.step(last, 0));
        wait_sum(last);
    }

    /* One step after the other, where only two stages fit. */
    __device__ __forceinline__ void run_in_step()
    {
#pragma unroll 1
        for (int n = tile.range.begin; n < tile.range.end; n++) {
            const int stage = ring.stage();
            issue_scores(n);
            turn<0>(n);
            settle();
            issue_sum<L, L::kHeadDim>(queries, changes, shared.step(stage, 0));
            wait_sum(stage);
        }
    }

    __device__ __forceinline__ void store()
    {
        const smelt_sdpa_params &p = g.forward;
        const int rows[2] = {row(0), row(1)};
        store_gradient<typename L::Element, L::kHeadDim>(g.dq, queries, g.scale,
                                                         tile.batch * g.dq.batch + tile.head * g.dq.head,
                                                         rows, p.q_length, p.head_dim, lane());
    }

    /* Twice where some sum is not finite: that may have come from a key that the query does not see. The
     * second round takes such values as zero, and the generic kernel then looks after queries that do see
     * them. */
    __device__ __forceinline__ void run()
    {
#pragma unroll 1
        for (int round = 0; round < 2; round++) {
            repair = round == 1;
#pragma unroll
            for (float &x : queries) x = 0;
            if (tile.range.begin < tile.range.end) {
                barrier_wait(shared.fixed_full(), 0);
                if constexpr (L::kAhead)
                    run_ahead();
                else
                    run_in_step();
            }
            store();
            if (repair) return;
            if (!all_finite(queries)) shared.request_repair();
            __syncwarp();
            if (lane() == 0) barrier_arrive(shared.finished());
            if (!shared.to_repair()) return;
            if (threadIdx.x == 128)
                g.query_flags[(static_cast<int64_t>(tile.batch) * g.forward.heads_q + tile.head) *
                                  g.query_blocks +
                              tile.first_query / kVjpRows] = 1;
        }
    }
};

template <class L> __device__ __forceinline__ void query_gradients(const smelt_sdpa_vjp_params &g)
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
    QueryTile tile = {};
    tile.template set<L>(g, blockIdx.x);
    if (threadIdx.x < 128) {
        registers_lower<24>();
        if (threadIdx.x != 0) return;
        Ring<L::kStages> ring;
        if (tile.range.begin < tile.range.end) produce_fixed_queries<L>(g, shared, tile);
        produce_keys<L>(g, shared, tile, ring);
        if (shared.to_repair()) produce_keys<L>(g, shared, tile, ring);
        wait_for_kernel_before();
    } else {
        registers_raise<240>();
        QueryConsumer<L> consumer(g, shared, tile, threadIdx.x / 128 - 1);
        consumer.run();
    }
}

} // namespace smelt
