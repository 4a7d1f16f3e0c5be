/* SPDX-License-Identifier: Apache-2.0 */
/* One row of vjp_rows.h as a type: what lies where in shared memory. Two tensors stay for the whole tile
 * (`fixed`, 128 rows), two stream by in stages (kSteps rows each). */
#pragma once

#include "layout.cuh"
#include "vjp_params.h"

namespace smelt
{

enum { kVjpRows = 128, kVjpThreads = 384 };

/* kWhich: 0 gradients of queries, 1 of keys, 2 of values, 3 of both. kAhead: the scores of the next step are
 * issued before the sums of the current one, which takes more registers. */
template <int kHeadDim_, int kValueDim_, int kSteps_, int kStages_, int kWhich_, bool kAhead_, bool kGeneral_,
          class Element_>
struct VjpLayout {
    using Element = Element_;
    static constexpr int kHeadDim = kHeadDim_, kValueDim = kValueDim_, kSteps = kSteps_, kStages = kStages_;
    static constexpr bool kAhead = kAhead_, kGeneral = kGeneral_;
    static constexpr bool kQueries = kWhich_ == 0, kKeysWanted = kWhich_ & 1, kValuesWanted = kWhich_ & 2;
    /* dout times value: not for the gradient of values alone */
    static constexpr bool kSlopes = kQueries || kKeysWanted;
    static constexpr int kSums = kKeysWanted + kValuesWanted;

    static constexpr int kChunk = kHeadDim % 64 == 0 ? 64 : 32;
    static constexpr int kRowBytes = 2 * kChunk;
    static constexpr int kHeadChunks = kHeadDim / kChunk, kValueChunks = kValueDim / kChunk;
    static constexpr int kFixedChunkBytes = kVjpRows * kRowBytes, kStepChunkBytes = kSteps * kRowBytes;

    /* the pair (query or key, dout or value), twice; then logsumexp and left of every step's queries */
    static constexpr int kFixedAt[2] = {0, kHeadChunks *kFixedChunkBytes};
    static constexpr int kFixedBytes = (kHeadChunks + (kSlopes ? kValueChunks : 0)) * kFixedChunkBytes;
    static constexpr int kStepBytes = (kHeadChunks + kValueChunks) * kStepChunkBytes;
    static constexpr int kRowsAt = kFixedBytes + kStages * kStepBytes;
    static constexpr int kRowsBytes = kQueries ? 0 : 2 * 4 * kSteps;
    static constexpr int kBarriersAt = kRowsAt + kStages * kRowsBytes;
    static constexpr int kRepairAt = kBarriersAt + 8 * (2 + 2 * kStages);
    static constexpr int kSharedBytes = kRepairAt + 8 + 1024;

    static_assert(kHeadDim % kChunk == 0 && kValueDim % kChunk == 0, "whole chunks");
    static_assert(kSteps % 16 == 0, "whole steps of the second product");
    static_assert(kSharedBytes <= 232448, "shared memory of one multiprocessor");
};

template <class L> struct VjpShared {
    uint32_t base;

    __device__ __forceinline__ explicit VjpShared(const void *memory)
        : base((shared_address(memory) + 1023) & ~1023u)
    {
    }
    /* side 0: queries or keys; side 1: dout or values */
    __device__ __forceinline__ uint32_t fixed(int side) const { return base + (side ? L::kFixedAt[1] : 0); }
    __device__ __forceinline__ uint32_t step(int stage, int side) const
    {
        return base + L::kFixedBytes + stage * L::kStepBytes + side * L::kHeadChunks * L::kStepChunkBytes;
    }
    __device__ __forceinline__ uint32_t lse(int stage) const
    {
        return base + L::kRowsAt + stage * L::kRowsBytes;
    }
    __device__ __forceinline__ uint32_t left(int stage) const { return lse(stage) + 4 * L::kSteps; }
    __device__ __forceinline__ uint32_t fixed_full() const { return base + L::kBarriersAt; }
    __device__ __forceinline__ uint32_t full(int stage) const
    {
        return base + L::kBarriersAt + 8 + 8 * stage;
    }
    __device__ __forceinline__ uint32_t empty(int stage) const
    {
        return base + L::kBarriersAt + 8 + 8 * (L::kStages + stage);
    }
    __device__ __forceinline__ uint32_t finished() const
    {
        return base + L::kBarriersAt + 8 + 16 * L::kStages;
    }
    /* Is the tile to be computed again, as some result was not finite? Read after all have finished. */
    __device__ __forceinline__ void request_repair() const
    {
        asm volatile("st.shared.b32 [%0], %1;" ::"r"(base + L::kRepairAt), "r"(1) : "memory");
    }
    __device__ __forceinline__ bool to_repair() const
    {
        uint32_t word;
        barrier_wait(finished(), 0);
        asm volatile("ld.shared.b32 %0, [%1];" : "=r"(word) : "r"(base + L::kRepairAt) : "memory");
        return word;
    }

    __device__ __forceinline__ void start() const
    {
        asm volatile("st.shared.b32 [%0], %1;" ::"r"(base + L::kRepairAt), "r"(0) : "memory");
        barrier_init(fixed_full(), 1);
        barrier_init(finished(), 8);
        for (int stage = 0; stage < L::kStages; stage++) {
            barrier_init(full(stage), 1);
            barrier_init(empty(stage), 8); /* one arrival a consumer warp */
        }
        barrier_init_fence();
    }
};

} // namespace smelt
