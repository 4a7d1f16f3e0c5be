/* SPDX-License-Identifier: Apache-2.0 */
/* A consumer warpgroup: 64 queries of a tile against all keys that they see. */
#pragma once

#include "epilogue.cuh"
#include "exact_rows.cuh"
#include "mask_ahead.cuh"
#include "packed.cuh"
#include "products.cuh"
#include "values.cuh"

namespace smelt
{

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

/* What a warpgroup works on: as little as possible, as it stays in registers through the loop over keys. */
struct Work {
    Tile tile;
    int begin, end; /* key tiles */
    Uncut uncut;
    int pass;
    bool repair;
};

template <class L> struct Consumer {
    const smelt_sdpa_params &p;
    const Shared<L> &shared;
    Ring<L::kStages> keys, values;
    Ring<1> queries;
    int group;

    float scores[L::kKeys / 2], output[L::kValueDim / 2];
    uint32_t weights[L::kKeys / 4];
    Softmax softmax;
    BooleanAhead<L::kBooleanAhead ? L::kKeys : 16> ahead;

    __device__ __forceinline__ Consumer(const smelt_sdpa_params &p, const Shared<L> &shared, int group)
        : p(p), shared(shared), group(group)
    {
    }

    /* read anew where they are needed, which is cheaper than keeping them */
    static __device__ __forceinline__ int thread() { return threadIdx.x % 128; }
    static __device__ __forceinline__ int lane() { return threadIdx.x % 32; }
    static __device__ __forceinline__ int rank()
    {
        return L::kCluster == 1 ? 0 : static_cast<int>(cluster_rank());
    }

    __device__ __forceinline__ int query_of(int row) const { return L::kPacked ? row / p.group : row; }
    __device__ __forceinline__ int head_of(const Tile &tile, int row) const
    {
        return L::kPacked ? tile.head * p.group + row % p.group : tile.head;
    }
    /* This thread()'s row r (0 or 1) of the tile. */
    __device__ __forceinline__ int own_row(const Tile &tile, int r) const
    {
        return tile.first_row + 64 * group + thread() / 32 * 16 + lane() / 4 + 8 * r;
    }

    __device__ __forceinline__ void mask(const Work &work, int n)
    {
        const bool cut = !work.uncut.has(n);
        if (!L::kGeneral && !L::kBooleanAhead && !L::kAdditiveAhead && !cut) return;
        const int column = n * L::kKeys + lane() % 4 * 2, batch = work.tile.batch;
        const Range range = key_range(p, batch);
        int query[2];
        for (int r = 0; r < 2; r++) query[r] = query_of(own_row(work.tile, r));
        if constexpr (L::kBooleanAhead) {
            ahead.apply(scores, lane());
            if (n > work.begin) load_mask(work, n - 1);
        }
        if constexpr (L::kAdditiveAhead) {
            /* its ring is one place behind that of the keys, which have been released */
            Ring<L::kStages> masks;
            masks.count = (keys.count + 2 * L::kStages - 1) & (2 * L::kStages - 1);
            barrier_wait(shared.mask_full(masks.stage()), masks.phase());
            add_mask_tile<typename L::Element>(scores, shared.mask(masks.stage()) + group * 64 * 128,
                                               L::kMaskChunkBytes, p.mask_unit, thread());
            release<L>(shared.mask_empty(masks.stage()), rank(), lane());
        }
        if (L::kGeneral) {
            int64_t rows[2];
            for (int r = 0; r < 2; r++)
                rows[r] = mask_row(p, batch, head_of(work.tile, own_row(work.tile, r)), query[r]);
            mask_general<typename L::Element>(scores, p, range, batch, rows, column);
        }
        if (cut) mask_interval(scores, range, query, column);
    }

    __device__ __forceinline__ void load_mask(const Work &work, int n)
    {
        const int query[2] = {own_row(work.tile, 0), own_row(work.tile, 1)};
        ahead.load(p, work.tile.batch, work.tile.head, query, n, lane());
    }

    /* What a score is in units of log 2, after masks. */
    __device__ __forceinline__ float unit() const { return L::kGeneral ? 1.0f : p.scale_log2; }

    /* Masks and softmax on the raw scores of key tile n. */
    __device__ __forceinline__ void weigh(const Work &work, int n)
    {
        mask(work, n);
        softmax.step(scores, unit());
    }

    __device__ __forceinline__ void wait_values(const Work &work, int n)
    {
        barrier_wait(shared.value_full(values.stage()), values.phase());
        const bool masked_keys = L::kGeneral && p.key_mask;
        if (work.uncut.has(n) && !work.repair && !masked_keys) return;
        const Range range = key_range(p, work.tile.batch);
        const bool tail = range.length < p.k_length && (n + 1) * L::kKeys > range.length;
        if (tail || work.repair || masked_keys)
            clear_values<L>(p, range, work.tile.batch, n * L::kKeys, shared.value(values.stage()),
                            work.repair, group, thread());
    }

    __device__ __forceinline__ void release_values()
    {
        release<L>(shared.value_empty(values.stage()), rank(), lane());
        values.advance();
    }

    __device__ __forceinline__ void release_keys(bool last)
    {
        release<L>(shared.key_empty(keys.stage()), rank(), lane());
        keys.advance();
        if (!L::kPacked && last && lane() == 0) barrier_arrive(shared.query_empty(group));
    }

    /* The first scores are waited for; after that the scores of the next tile are always issued before the
     * output of the current one, so that the softmax runs under the second product. */
    __device__ __forceinline__ void run_keys(const Work &work)
    {
        if constexpr (L::kBooleanAhead) load_mask(work, work.end - 1);
        const uint32_t query = shared.query() + group * 64 * L::kRowBytes;
        barrier_wait(shared.key_full(keys.stage()), keys.phase());
        issue_scores<L>(scores, query, shared.key(keys.stage()));
        wgmma_wait<0>();
        pin(scores);
        release_keys(work.end - 1 == work.begin);
        weigh(work, work.end - 1);
        pack_weights<L>(weights, scores);
#pragma unroll 1
        for (int n = work.end - 1; n > work.begin; n--) {
            barrier_wait(shared.key_full(keys.stage()), keys.phase());
            wait_turn<L>(group);
            issue_scores<L>(scores, query, shared.key(keys.stage()));
            wait_values(work, n);
            issue_output<L>(output, weights, shared.value(values.stage()));
            pass_turn<L>(group);
            wgmma_wait<1>();
            pin(scores);
            release_keys(n - 1 == work.begin);
            weigh(work, n - 1);
            pin(scores); /* all of the softmax under the product */
            wgmma_wait<0>();
            pin(output);
            release_values();
            softmax.rescale_output(output);
            pack_weights<L>(weights, scores);
        }
        wait_values(work, work.begin);
        issue_output<L>(output, weights, shared.value(values.stage()));
        wgmma_wait<0>();
        pin(output);
        release_values();
    }

    __device__ __forceinline__ bool partial() const { return L::kPacked && p.splits > 1; }

    /* Rows that see a value which is not finite, after a pass in which those were taken as zero. */
    __device__ __forceinline__ void finish_exactly(const Work &work)
    {
        const Range range = key_range(p, work.tile.batch);
        for (int i = 0; i < 16; i++) {
            const int row = work.tile.first_row + 64 * group + thread() / 32 * 16 + i;
            ExactRow exact = {work.tile.batch, head_of(work.tile, row), query_of(row), 0, 0};
            if (exact.query >= p.q_length) break;
            exact.first_key = max(work.begin * L::kKeys, exact.query + range.left);
            exact.last_key = min(min(work.end * L::kKeys, range.length) - 1, exact.query + range.right);
            if (!sees_not_finite<typename L::Element>(p, exact, lane())) continue;
            ExactResult result;
            exact_row<typename L::Element>(p, exact, lane(), result);
            store_exact<typename L::Element>(p, exact, work.tile.split, partial(), lane(), result);
        }
    }

    __device__ __forceinline__ void store_partial(const Work &work, const float (&sum)[2], float unit)
    {
#pragma unroll
        for (int r = 0; r < 2; r++) {
            const int own = own_row(work.tile, r), query = query_of(own);
            if (query >= p.q_length) continue;
            const PartialRow row(p, work.tile.split, work.tile.batch, head_of(work.tile, own), query);
            if (lane() % 4 == 0) *row.maximum = softmax.maximum[r] * unit, *row.sum = sum[r];
#pragma unroll
            for (int i = 0; i < L::kValueDim / 8; i++) {
                const int column = 8 * i + lane() % 4 * 2;
                if (column < p.value_dim) row.output[column] = output[4 * i + 2 * r];
                if (column + 1 < p.value_dim) row.output[column + 1] = output[4 * i + 2 * r + 1];
            }
        }
    }

    __device__ __forceinline__ void store(const Work &work, const float (&sum)[2], float unit)
    {
        float factor[2];
        uint16_t *lines[2];
#pragma unroll
        for (int r = 0; r < 2; r++) {
            const int own = own_row(work.tile, r), query = query_of(own), batch = work.tile.batch;
            const bool exists = query < p.q_length;
            const int head = exists ? head_of(work.tile, own) : 0;
            const RowEnd end = finish_row(p, head, softmax.maximum[r] * unit, sum[r]);
            factor[r] = end.factor;
            lines[r] = exists ? output_line(p, batch, head, query) : nullptr;
            if (p.lse && lane() % 4 == 0 && exists)
                p.lse[batch * p.lse_batch + head * p.lse_head + query * p.lse_row] = end.lse;
        }
        store_output<typename L::Element, L::kValueDim>(output, factor, lines, p.value_dim, p.out.column,
                                                        lane());
    }

    __device__ __forceinline__ void finish(const Work &work)
    {
        float sum[2], poison = 0;
#pragma unroll
        for (int r = 0; r < 2; r++) sum[r] = quad_sum(softmax.sum[r]);
#pragma unroll
        for (int i = 0; i < L::kValueDim / 2; i++) poison = fmaf(output[i], 0.0f, poison);
        /* all that the merge waits for is under way; it may be launched */
        if (L::kPacked) asm volatile("griddepcontrol.launch_dependents;" ::: "memory");
        if (partial())
            store_partial(work, sum, unit());
        else
            store(work, sum, unit());
        /* NaN or infinity may have come from a hidden key: do the tile again with such values as zero */
        if (work.repair)
            finish_exactly(work);
        else if (poison != poison)
            shared.request_repair(work.pass);
    }

    __device__ __forceinline__ void run(bool repair)
    {
        const Worker<L> worker;
        Work work;
        Range range;
        work.repair = repair;
#pragma unroll 1
        for (work.pass = 0; worker.next(p, work.pass, &work.tile, &range); work.pass++) {
            if (repair && !shared.to_repair(work.pass)) continue;
            const int first = work.tile.first_row + 64 * group;
            work.begin = range.begin, work.end = range.end;
            work.uncut.set(range, L::kKeys, query_of(first), query_of(first + 63));
            softmax.start();
#pragma unroll
            for (int i = 0; i < L::kValueDim / 2; i++) output[i] = 0;
            if (work.begin < work.end) {
                if (L::kPacked) {
                    load_packed_queries<L>(p, shared, work.tile, thread());
                } else {
                    barrier_wait(shared.query_full(group), queries.phase());
                    queries.advance();
                }
                run_keys(work);
            }
            finish(work);
        }
    }
};

} // namespace smelt
