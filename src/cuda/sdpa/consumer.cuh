/* SPDX-License-Identifier: Apache-2.0 */
/* A consumer warpgroup: 64 queries of a tile against all keys that they see. */
#pragma once

#include "epilogue.cuh"
#include "exact_rows.cuh"
#include "producer.cuh"
#include "products.cuh"

namespace smelt
{

enum { kBarrierTurn = 1, kBarrierGroup = 5 }; /* named barriers: the first of each warpgroup's */

/* Warpgroups take turns at the tensor cores, so that one's softmax runs under the other's products. */
template <class L> __device__ __forceinline__ void wait_turn(int group)
{
    if (L::kPingPong) named_sync(kBarrierTurn + group, 256);
}

template <class L> __device__ __forceinline__ void pass_turn(int group)
{
    if (L::kPingPong) named_arrive(kBarrierTurn + (group + 1) % L::kConsumers, 256);
}

/* One arrival a warp, in every block of the cluster. */
template <class L> __device__ __forceinline__ void release(uint32_t barrier, int rank, int lane)
{
    __syncwarp();
    if (lane == 0) barrier_arrive(barrier);
    if (L::kCluster == 2 && lane == 1) barrier_arrive_remote(barrier, rank ^ 1);
}

/* Zero times NaN is NaN: value rows that no query may see are overwritten with zeros. Every warpgroup does
 * all of it for itself. */
template <class L>
__device__ __forceinline__ void clear_hidden_values(const smelt_sdpa_params &p, const Range &range, int batch,
                                                    int first_key, uint32_t value, int group, int thread)
{
    for (int row = thread; row < L::kKeys; row += 128) {
        const int key = first_key + row;
        const bool hidden = key >= range.length || (L::kGeneral && p.key_mask && !key_is_kept(p, batch, key));
        if (!hidden) continue;
        for (int i = 0; i < L::kValueChunks * L::kRowBytes / 16; i++) {
            const int chunk = i / (L::kRowBytes / 16), inside = i % (L::kRowBytes / 16);
            const uint32_t at = value + chunk * L::kKeyChunkBytes + row * L::kRowBytes + 16 * inside;
            asm volatile("st.shared.v4.b32 [%0], {%1, %1, %1, %1};" ::"r"(at), "r"(0) : "memory");
        }
    }
    shared_write_fence();
    named_sync(kBarrierGroup + group, 128);
}

/* The state of one warpgroup between tiles. */
template <class L> struct Consumer {
    const smelt_sdpa_params &p;
    const Shared<L> &shared;
    Ring<L::kStages> keys, values;
    int group, thread, lane, rank;

    float scores[L::kKeys / 2], output[L::kValueDim / 2];
    uint32_t weights[L::kKeys / 4];
    Softmax softmax;

    __device__ __forceinline__ Consumer(const smelt_sdpa_params &p, const Shared<L> &shared, int group)
        : p(p), shared(shared), group(group), thread(threadIdx.x % 128), lane(threadIdx.x % 32)
    {
    }

    __device__ __forceinline__ int first_row(const Tile &tile) const { return tile.first_row + 64 * group; }
    __device__ __forceinline__ int own_row(const Tile &tile) const
    {
        return first_row(tile) + thread / 32 * 16 + lane / 4;
    }

    /* Masks and softmax on the raw scores of key tile n. */
    __device__ __forceinline__ void weigh(const Tile &tile, const Range &range, int n)
    {
        const int column = n * L::kKeys + lane % 4 * 2;
        if (L::kGeneral) mask_general(scores, p, range, tile, own_row(tile), column);
        if (tile_is_cut(range, n, L::kKeys, first_row(tile), 64))
            mask_interval(scores, range, own_row(tile), column);
        softmax.step(scores, L::kGeneral ? 1.0f : p.scale_log2);
    }

    __device__ __forceinline__ void wait_values(const Tile &tile, const Range &range, int n)
    {
        barrier_wait(shared.value_full(values.stage), values.phase);
        const bool dirty_tail = range.length < p.k_length && (n + 1) * L::kKeys > range.length;
        if (dirty_tail || (L::kGeneral && p.key_mask))
            clear_hidden_values<L>(p, range, tile.batch, n * L::kKeys, shared.value(values.stage), group,
                                   thread);
    }

    __device__ __forceinline__ void release_values()
    {
        release<L>(shared.value_empty(values.stage), rank, lane);
        values.advance();
    }

    __device__ __forceinline__ void release_keys(bool last)
    {
        release<L>(shared.key_empty(keys.stage), rank, lane);
        keys.advance();
        if (last && lane == 0) barrier_arrive(shared.query_empty());
    }

    /* The first scores are waited for; after that the scores of the next tile are always issued before the
     * output of the current one, so that the softmax runs under the second product. */
    __device__ __forceinline__ void run_keys(const Tile &tile, const Range &range)
    {
        const uint32_t query = shared.query() + group * 64 * L::kRowBytes;
        barrier_wait(shared.key_full(keys.stage), keys.phase);
        issue_scores<L>(scores, query, shared.key(keys.stage));
        wgmma_wait<0>();
        pin(scores);
        release_keys(range.end - 1 == range.begin);
        weigh(tile, range, range.end - 1);
        pack_weights<L>(weights, scores);
        for (int n = range.end - 1; n > range.begin; n--) {
            barrier_wait(shared.key_full(keys.stage), keys.phase);
            wait_turn<L>(group);
            issue_scores<L>(scores, query, shared.key(keys.stage));
            wait_values(tile, range, n);
            issue_output<L>(output, weights, shared.value(values.stage));
            pass_turn<L>(group);
            wgmma_wait<1>();
            pin(scores);
            release_keys(n - 1 == range.begin);
            weigh(tile, range, n - 1);
            wgmma_wait<0>();
            pin(output);
            release_values();
            softmax.rescale_output(output);
            pack_weights<L>(weights, scores);
        }
        wait_values(tile, range, range.begin);
        issue_output<L>(output, weights, shared.value(values.stage));
        wgmma_wait<0>();
        pin(output);
        release_values();
    }

    __device__ __forceinline__ void finish(const Tile &tile, const Range &range)
    {
        const int row = own_row(tile);
        const float unit = L::kGeneral ? 1.0f : p.scale_log2;
        float factor[2], poison = 0;
#pragma unroll
        for (int r = 0; r < 2; r++) {
            const float sum = quad_sum(softmax.sum[r]);
            const RowEnd end = finish_row(p, tile.head, softmax.maximum[r] * unit, sum);
            factor[r] = end.factor;
            poison += sum * 0.0f;
            const int at = row + 8 * r;
            if (p.lse && lane % 4 == 0 && at < p.q_length)
                p.lse[tile.batch * p.lse_batch + tile.head * p.lse_head + at * p.lse_row] = end.lse;
        }
#pragma unroll
        for (int i = 0; i < L::kValueDim / 2; i++) poison = fmaf(output[i], 0.0f, poison);
        store_output<typename L::Element, L::kValueDim>(p, output, factor, tile, row, lane);
        /* NaN or infinity somewhere: it may have come from a hidden key, so these rows are done exactly. */
        if (__any_sync(0xFFFFFFFF, poison != poison))
            exact_rows<typename L::Element>(p, range, tile, first_row(tile) + thread / 32 * 16, 16, lane);
    }

    __device__ __forceinline__ void run()
    {
        const Worker<L> worker;
        Ring<1> queries;
        Tile tile;
        Range range;
        rank = worker.rank;
        if (group == 0) pass_turn_to_first();
        for (int pass = 0; worker.next(p, pass, &tile, &range); pass++) {
            softmax.start();
#pragma unroll
            for (int i = 0; i < L::kValueDim / 2; i++) output[i] = 0;
            if (range.begin < range.end) {
                barrier_wait(shared.query_full(), queries.phase);
                queries.advance();
                run_keys(tile, range);
            }
            finish(tile, range);
        }
    }

    __device__ __forceinline__ void pass_turn_to_first()
    {
        if (L::kPingPong) named_arrive(kBarrierTurn, 256);
    }
};

} // namespace smelt
