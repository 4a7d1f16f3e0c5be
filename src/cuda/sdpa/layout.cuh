/* SPDX-License-Identifier: Apache-2.0 */
/* One row of rows.h as a type: tile sizes, shared memory, barriers. rows.h's host side computes the same. */
#pragma once

#include "hopper.cuh"
#include "params.h"
#include "wgmma.cuh"

namespace smelt
{

template <int kHeadDim_, int kValueDim_, int kConsumers_, int kKeys_, int kStages_, int kCluster_,
          int kMasks_, bool kPingPong_, bool kPacked_, class Element_>
struct Layout {
    using Element = Element_;
    static constexpr int kHeadDim = kHeadDim_, kValueDim = kValueDim_, kConsumers = kConsumers_;
    static constexpr int kKeys = kKeys_, kStages = kStages_, kCluster = kCluster_;
    static constexpr bool kPingPong = kPingPong_;
    /* masks, soft capping, any scale; or a mask tensor alone, as mask_ahead.cuh reads it */
    static constexpr bool kGeneral = kMasks_ == 1, kBooleanAhead = kMasks_ == 2,
                          kAdditiveAhead = kMasks_ == 3;
    /* few queries: the queries of all heads of a group in one tile, keys split over blocks */
    static constexpr bool kPacked = kPacked_;

    static constexpr int kRows = 64 * kConsumers;
    static constexpr int kThreads = 128 * (kConsumers + 1);
    /* one consumer warpgroup has enough without asking */
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
    /* entries of an additive mask: chunks of 64 keys, [rows][64], swizzled over 128 bytes */
    static constexpr int kMaskChunkBytes = kRows * 128, kMaskChunks = kKeys / 64;
    static constexpr int kMaskBytes = kAdditiveAhead ? kMaskChunks * kMaskChunkBytes : 0;
    static constexpr int kMaskAt = kValueAt + kStages * kValueBytes;
    static constexpr int kBarriersAt = kMaskAt + kStages * kMaskBytes;
    static constexpr int kBarriers = 1 + 2 * kConsumers + 6 * kStages;
    static constexpr int kRepairAt = kBarriersAt + 8 * kBarriers; /* two words, see Shared::repair */
    static constexpr int kSharedBytes = kRepairAt + 8 + 1024;

    static_assert(!kPacked || (kConsumers == 1 && !kPingPong && kCluster == 1),
                  "one warpgroup a packed tile");
    static_assert(kHeadDim % kChunk == 0 && kValueDim % kChunk == 0, "whole chunks");
    static_assert(kKeys % 16 == 0 && (kKeys / kCluster) % 8 == 0, "whole swizzle atoms");
    static_assert(!kAdditiveAhead || kKeys % 64 == 0, "whole chunks of the mask");
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
    __device__ __forceinline__ uint32_t key(int stage) const
    {
        return base + L::kKeyAt + stage * L::kKeyBytes;
    }
    __device__ __forceinline__ uint32_t value(int stage) const
    {
        return base + L::kValueAt + stage * L::kValueBytes;
    }
    __device__ __forceinline__ uint32_t barrier(int index) const { return base + L::kBarriersAt + 8 * index; }
    __device__ __forceinline__ uint32_t key_full(int stage) const { return barrier(stage); }
    __device__ __forceinline__ uint32_t key_empty(int stage) const { return barrier(L::kStages + stage); }
    __device__ __forceinline__ uint32_t value_full(int stage) const
    {
        return barrier(2 * L::kStages + stage);
    }
    __device__ __forceinline__ uint32_t value_empty(int stage) const
    {
        return barrier(3 * L::kStages + stage);
    }
    __device__ __forceinline__ uint32_t mask(int stage) const
    {
        return base + L::kMaskAt + stage * L::kMaskBytes;
    }
    __device__ __forceinline__ uint32_t mask_full(int stage) const { return barrier(4 * L::kStages + stage); }
    __device__ __forceinline__ uint32_t mask_empty(int stage) const
    {
        return barrier(5 * L::kStages + stage);
    }
    /* each warpgroup has its own 64 queries */
    __device__ __forceinline__ uint32_t query_full(int group) const
    {
        return barrier(6 * L::kStages + group);
    }
    __device__ __forceinline__ uint32_t query_empty(int group) const
    {
        return barrier(6 * L::kStages + L::kConsumers + group);
    }
    __device__ __forceinline__ uint32_t finished() const { return barrier(L::kBarriers - 1); }

    /* 64 bits: passes (modulo 64) of which some output was not finite and which are to be repeated, by all
     * blocks of the cluster. */
    __device__ __forceinline__ void request_repair(int pass) const
    {
        const uint32_t word = base + L::kRepairAt + pass / 32 % 2 * 4;
        for (int rank = 0; rank < L::kCluster; rank++)
            asm volatile("{\n"
                         ".reg .b32 remote;\n"
                         "mapa.shared::cluster.u32 remote, %0, %1;\n"
                         "red.relaxed.cluster.shared::cluster.or.b32 [remote], %2;\n"
                         "}" ::"r"(word),
                         "r"(rank), "r"(1u << pass % 32)
                         : "memory");
    }
    __device__ __forceinline__ bool to_repair(int pass) const
    {
        uint32_t bits;
        asm volatile("ld.shared.b32 %0, [%1];"
                     : "=r"(bits)
                     : "r"(base + L::kRepairAt + pass / 32 % 2 * 4)
                     : "memory");
        return bits >> pass % 32 & 1;
    }
    __device__ __forceinline__ bool any_repair() const
    {
        uint32_t low, high;
        asm volatile("ld.shared.v2.b32 {%0, %1}, [%2];"
                     : "=r"(low), "=r"(high)
                     : "r"(base + L::kRepairAt)
                     : "memory");
        return low | high;
    }

    __device__ __forceinline__ void start() const
    {
        asm volatile("st.shared.v2.b32 [%0], {%1, %1};" ::"r"(base + L::kRepairAt), "r"(0) : "memory");
        barrier_init(finished(), 4 * L::kConsumers * L::kCluster);
        for (int group = 0; group < L::kConsumers; group++) {
            barrier_init(query_full(group), 1);
            barrier_init(query_empty(group), 4);
        }
        for (int stage = 0; stage < L::kStages; stage++) {
            barrier_init(key_full(stage), 1);
            barrier_init(value_full(stage), 1);
            barrier_init(mask_full(stage), 1);
            barrier_init(mask_empty(stage), 4 * L::kConsumers);
            barrier_init(key_empty(stage), 4 * L::kConsumers * L::kCluster);
            barrier_init(value_empty(stage), 4 * L::kConsumers * L::kCluster);
        }
        barrier_init_fence();
    }
};

/* Position in a ring of kStages buffers: one number where that is a power of two. */
template <int kStages, bool kPower = (kStages & (kStages - 1)) == 0> struct Ring {
    int count = 0;

    __device__ __forceinline__ int stage() const { return count % kStages; }
    __device__ __forceinline__ uint32_t phase() const { return count / kStages & 1; }
    __device__ __forceinline__ void advance() { count = (count + 1) & (2 * kStages - 1); }
};

template <int kStages> struct Ring<kStages, false> {
    int place = 0;
    uint32_t turn = 0;

    __device__ __forceinline__ int stage() const { return place; }
    __device__ __forceinline__ uint32_t phase() const { return turn; }
    __device__ __forceinline__ void advance()
    {
        if (++place == kStages) place = 0, turn ^= 1;
    }
};

} // namespace smelt
