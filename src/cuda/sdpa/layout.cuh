/* SPDX-License-Identifier: Apache-2.0 */
/* One row of rows.h as a type: tile sizes, shared memory, barriers. rows.h's host side computes the same. */
#pragma once

#include "hopper.cuh"
#include "params.h"
#include "wgmma.cuh"

namespace smelt
{

template <int kHeadDim_, int kValueDim_, int kConsumers_, int kKeys_, int kStages_, int kCluster_,
          bool kGeneral_, bool kPingPong_, class Element_>
struct Layout {
    using Element = Element_;
    static constexpr int kHeadDim = kHeadDim_, kValueDim = kValueDim_, kConsumers = kConsumers_;
    static constexpr int kKeys = kKeys_, kStages = kStages_, kCluster = kCluster_;
    static constexpr bool kGeneral = kGeneral_, kPingPong = kPingPong_;

    static constexpr int kRows = 64 * kConsumers;
    static constexpr int kThreads = 128 * (kConsumers + 1);
    static constexpr int kConsumerRegisters = kConsumers == 3 ? 160 : 232;
    static constexpr int kProducerRegisters = kConsumers == 3 ? 32 : 40;

    /* A tile lies in shared memory as chunks of kChunk columns, each [rows][kChunk], swizzled. */
    static constexpr int kChunk = kHeadDim % 64 == 0 ? 64 : 32;
    static constexpr int kRowBytes = 2 * kChunk;
    static constexpr int kKeyChunks = kHeadDim / kChunk, kValueChunks = kValueDim / kChunk;
    static constexpr int kQueryBytes = kRows * kHeadDim * 2;
    static constexpr int kKeyBytes = kKeys * kHeadDim * 2, kValueBytes = kKeys * kValueDim * 2;
    static constexpr int kKeyChunkBytes = kKeys * kRowBytes;

    static constexpr int kQueryAt = 0;
    static constexpr int kKeyAt = kQueryBytes;
    static constexpr int kValueAt = kKeyAt + kStages * kKeyBytes;
    static constexpr int kBarriersAt = kValueAt + kStages * kValueBytes;
    static constexpr int kSharedBytes = kBarriersAt + 8 * (2 + 4 * kStages) + 1024;

    static_assert(kHeadDim % kChunk == 0 && kValueDim % kChunk == 0, "whole chunks");
    static_assert(kKeys % 16 == 0 && (kKeys / kCluster) % 8 == 0, "whole swizzle atoms");
    static_assert(kSharedBytes <= 232448, "shared memory of one multiprocessor");
};

/* Shared-memory addresses of the tiles and barriers. */
template <class L> struct Shared {
    uint32_t base;

    __device__ __forceinline__ explicit Shared(const void *memory)
        : base((shared_address(memory) + 1023) & ~1023u)
    {
    }
    __device__ __forceinline__ uint32_t query() const { return base + L::kQueryAt; }
    __device__ __forceinline__ uint32_t key(int stage) const { return base + L::kKeyAt + stage * L::kKeyBytes; }
    __device__ __forceinline__ uint32_t value(int stage) const
    {
        return base + L::kValueAt + stage * L::kValueBytes;
    }
    __device__ __forceinline__ uint32_t barrier(int index) const { return base + L::kBarriersAt + 8 * index; }
    __device__ __forceinline__ uint32_t query_full() const { return barrier(0); }
    __device__ __forceinline__ uint32_t query_empty() const { return barrier(1); }
    __device__ __forceinline__ uint32_t key_full(int stage) const { return barrier(2 + stage); }
    __device__ __forceinline__ uint32_t key_empty(int stage) const { return barrier(2 + L::kStages + stage); }
    __device__ __forceinline__ uint32_t value_full(int stage) const
    {
        return barrier(2 + 2 * L::kStages + stage);
    }
    __device__ __forceinline__ uint32_t value_empty(int stage) const
    {
        return barrier(2 + 3 * L::kStages + stage);
    }

    __device__ __forceinline__ void start() const
    {
        barrier_init(query_full(), 1);
        barrier_init(query_empty(), 4 * L::kConsumers);
        for (int stage = 0; stage < L::kStages; stage++) {
            barrier_init(key_full(stage), 1);
            barrier_init(value_full(stage), 1);
            barrier_init(key_empty(stage), 4 * L::kConsumers * L::kCluster);
            barrier_init(value_empty(stage), 4 * L::kConsumers * L::kCluster);
        }
        barrier_init_fence();
    }
};

/* Position in a ring of kStages buffers. */
template <int kStages> struct Ring {
    int stage = 0;
    uint32_t phase = 0;

    __device__ __forceinline__ void advance()
    {
        if (++stage == kStages) stage = 0, phase ^= 1;
    }
};

} // namespace smelt
