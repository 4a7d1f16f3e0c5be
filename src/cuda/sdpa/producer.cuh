/* SPDX-License-Identifier: Apache-2.0 */
/* The producer: one thread that keeps queries, keys and values flowing into shared memory. */
#pragma once

#include "layout.cuh"
#include "schedule.cuh"

namespace smelt
{

/* Where this block stands in the persistent grid. In a cluster, neighbouring query tiles of one head. */
template <class L> struct Worker {
    int worker, workers, rank;

    __device__ __forceinline__ Worker()
    {
        rank = L::kCluster == 1 ? 0 : static_cast<int>(cluster_rank());
        worker = blockIdx.x / L::kCluster;
        workers = gridDim.x / L::kCluster;
    }
    /* The tile, and the keys that the queries of the whole cluster can see; false after the last one. */
    __device__ __forceinline__ bool next(const smelt_sdpa_params &p, int pass, Tile *tile, Range *range) const
    {
        constexpr int kRows = L::kRows * L::kCluster;
        if (!tile_at<L::kPacked>(p, pass, worker, workers, kRows, tile)) return false;
        const int group = L::kPacked ? p.group : 1;
        const int end = min(tile->first_row + kRows, p.q_length * group);
        *range = key_range(p, tile->batch);
        key_tiles(*range, tile->first_row / group, (end - 1) / group, L::kKeys);
        if (L::kPacked) split_tiles(p, *range, tile->split);
        tile->first_row += rank * L::kRows;
        return true;
    }
};

/* One tile of keys or values; a cluster's blocks each fetch their share of rows for both. */
template <class L, int kChunks>
__device__ __forceinline__ void load_tile(const smelt_tensor_map &map, uint32_t destination, uint32_t full,
                                          uint32_t empty, uint32_t phase, int rank, int row, int head,
                                          int batch)
{
    constexpr int kShare = L::kKeys / L::kCluster;
    if (L::kCluster == 1)
        barrier_wait(empty, phase ^ 1);
    else
        barrier_wait_cluster(empty, phase ^ 1);
    barrier_expect(full, kChunks * L::kKeyChunkBytes);
#pragma unroll
    for (int chunk = 0; chunk < kChunks; chunk++) {
        const uint32_t at = destination + chunk * L::kKeyChunkBytes + rank * kShare * L::kRowBytes;
        if (L::kCluster == 1)
            copy_box(at, &map, full, chunk * L::kChunk, row, head, batch);
        else
            copy_box_multicast(at, &map, full, (1 << L::kCluster) - 1, chunk * L::kChunk, row + rank * kShare,
                               head, batch);
    }
}

template <class L> struct Producer {
    const smelt_sdpa_params &p;
    const Shared<L> &shared;
    const Worker<L> worker;
    Ring<L::kStages> keys, values, masks;
    Ring<1> queries;

    __device__ __forceinline__ Producer(const smelt_sdpa_params &p, const Shared<L> &shared)
        : p(p), shared(shared)
    {
    }

    __device__ __forceinline__ void load_queries(const Tile &tile)
    {
#pragma unroll 1
        for (int group = 0; group < L::kConsumers; group++) {
            const uint32_t full = shared.query_full(group), at = shared.query() + group * 64 * L::kRowBytes;
            barrier_wait(shared.query_empty(group), queries.phase() ^ 1);
            barrier_expect(full, L::kQueryBytes / L::kConsumers);
#pragma unroll
            for (int chunk = 0; chunk < L::kKeyChunks; chunk++)
                copy_box(at + chunk * L::kRows * L::kRowBytes, &p.q_map, full, chunk * L::kChunk,
                         tile.first_row + 64 * group, tile.head * p.q_head_step, tile.batch * p.q_batch_step);
        }
        queries.advance();
    }

    __device__ __forceinline__ void load_key(int n, int head, int batch)
    {
        load_tile<L, L::kKeyChunks>(p.k_map, shared.key(keys.stage()), shared.key_full(keys.stage()),
                                    shared.key_empty(keys.stage()), keys.phase(), worker.rank, n * L::kKeys,
                                    head * p.k_head_step, batch * p.k_batch_step);
        keys.advance();
    }

    __device__ __forceinline__ void load_value(int n, int head, int batch)
    {
        load_tile<L, L::kValueChunks>(p.v_map, shared.value(values.stage()),
                                      shared.value_full(values.stage()), shared.value_empty(values.stage()),
                                      values.phase(), worker.rank, n * L::kKeys, head * p.v_head_step,
                                      batch * p.v_batch_step);
        values.advance();
    }

    __device__ __forceinline__ void load_mask(int n, const Tile &tile)
    {
        if constexpr (L::kAdditiveAhead) {
            const uint32_t full = shared.mask_full(masks.stage());
            barrier_wait(shared.mask_empty(masks.stage()), masks.phase() ^ 1);
            barrier_expect(full, L::kMaskBytes);
#pragma unroll
            for (int chunk = 0; chunk < L::kMaskChunks; chunk++)
                copy_box(shared.mask(masks.stage()) + chunk * L::kMaskChunkBytes, &p.mask_map, full,
                         n * L::kKeys + 64 * chunk, tile.first_row, tile.head * p.mask_head_step,
                         tile.batch * p.mask_batch_step);
            masks.advance();
        }
    }

    /* All passes, or those to be repaired. */
    __device__ __forceinline__ void run(bool repair)
    {
        Tile tile;
        Range range;
#pragma unroll 1
        for (int pass = 0; worker.next(p, pass, &tile, &range); pass++) {
            if (range.begin >= range.end || (repair && !shared.to_repair(pass))) continue;
            const int head = L::kPacked ? tile.head : tile.head / p.group;
            load_key(range.end - 1, head, tile.batch);
            if (!L::kPacked) load_queries(tile);
            load_mask(range.end - 1, tile);
#pragma unroll 1
            for (int n = range.end - 1; n > range.begin; n--) {
                load_key(n - 1, head, tile.batch);
                load_mask(n - 1, tile);
                load_value(n, head, tile.batch);
            }
            load_value(range.begin, head, tile.batch);
        }
    }
};

} // namespace smelt
