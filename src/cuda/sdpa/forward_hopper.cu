/* SPDX-License-Identifier: Apache-2.0 */
/* Entry points of the Hopper forward kernels: one row of rows.h for each, and each element type.
 * Built once for each head size, given as SMELT_ROWS and SMELT_SPLIT_ROWS (SMELT_SDPA_ROWS_64 and so on). */
#include "consumer.cuh"
#include "rows.h"

namespace smelt
{

/* All passes, then once more those of which some result was not finite. The roles agree on these because all
 * consumers have arrived before they are read. */
template <class L, class Role>
__device__ __forceinline__ void run_twice(const Shared<L> &shared, bool consumer, int rank, Role &role)
{
#pragma unroll 1
    for (int round = 0; round < 2; round++) {
        role.run(round == 1);
        if (round == 1) return;
        if (consumer) release<L>(shared.finished(), rank, threadIdx.x % 32);
        if (L::kCluster == 1)
            barrier_wait(shared.finished(), 0);
        else
            barrier_wait_cluster(shared.finished(), 0);
        if (!shared.any_repair()) return;
    }
}

template <class L> __device__ __forceinline__ void forward(const smelt_sdpa_params &p)
{
    extern __shared__ unsigned char memory[];
    const Shared<L> shared(memory);
    if (threadIdx.x == 0) {
        prefetch_map(&p.k_map);
        prefetch_map(&p.v_map);
        shared.start();
    }
    __syncthreads();
    const int rank = L::kCluster == 1 ? 0 : static_cast<int>(cluster_rank());
    if (L::kCluster > 1) cluster_sync();
    const int group = threadIdx.x / 128;
    if (group == 0) {
        if (L::kConsumers > 1) registers_lower<L::kProducerRegisters>();
        if (threadIdx.x == 0) {
            Producer<L> producer(p, shared);
            run_twice(shared, false, rank, producer);
        }
        __syncwarp();
    } else {
        if (L::kConsumers > 1) registers_raise<L::kConsumerRegisters>();
        Consumer<L> consumer(p, shared, group - 1);
        if (L::kPingPong && group == 1) named_arrive(kBarrierTurn, 256);
        run_twice(shared, true, rank, consumer);
    }
    /* The other block may still copy into this one's memory or arrive on its barriers. */
    if (L::kCluster > 1) cluster_sync();
}

} // namespace smelt

#define SMELT_ENTRY(D, DV, WG, N, S, C, G, P, type, Element)                                                 \
    extern "C" __global__ __launch_bounds__(128 * (WG + 1), 1) void                                          \
        smelt_sdpa_sm90_d##D##_v##DV##_w##WG##_n##N##_s##S##_c##C##_g##G##_p##P##_##type(                    \
            const __grid_constant__ smelt_sdpa_params p)                                                     \
    {                                                                                                        \
        smelt::forward<smelt::Layout<D, DV, WG, N, S, C, G, P, 0, smelt::Element>>(p);                       \
    }
#define SMELT_ROW(D, DV, WG, N, S, C, G, P)                                                                  \
    SMELT_ENTRY(D, DV, WG, N, S, C, G, P, bf16, Bfloat)                                                      \
    SMELT_ENTRY(D, DV, WG, N, S, C, G, P, f16, Half)
#define SMELT_SPLIT_ENTRY(D, DV, N, S, G, type, Element)                                                     \
    extern "C" __global__ __launch_bounds__(256, 1) void                                                     \
        smelt_sdpa_sm90_split_d##D##_v##DV##_n##N##_s##S##_g##G##_##type(                                    \
            const __grid_constant__ smelt_sdpa_params p)                                                     \
    {                                                                                                        \
        smelt::forward<smelt::Layout<D, DV, 1, N, S, 1, G, 0, 1, smelt::Element>>(p);                        \
    }
#define SMELT_SPLIT_ROW(D, DV, N, S, G)                                                                      \
    SMELT_SPLIT_ENTRY(D, DV, N, S, G, bf16, Bfloat)                                                          \
    SMELT_SPLIT_ENTRY(D, DV, N, S, G, f16, Half)

SMELT_ROWS(SMELT_ROW)
SMELT_SPLIT_ROWS(SMELT_SPLIT_ROW)
