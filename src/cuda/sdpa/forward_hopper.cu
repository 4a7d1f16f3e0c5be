/* SPDX-License-Identifier: Apache-2.0 */
/* Entry points of the Hopper forward kernels: one row of rows.h for each, and each element type.
 * Built once for each head size, given as SMELT_ROWS (SMELT_SDPA_ROWS_64 and so on). */
#include "consumer.cuh"
#include "rows.h"

namespace smelt
{

template <class L> __device__ __forceinline__ void forward(const smelt_sdpa_params &p)
{
    extern __shared__ unsigned char memory[];
    const Shared<L> shared(memory);
    if (threadIdx.x == 0) {
        prefetch_map(&p.q_map);
        prefetch_map(&p.k_map);
        prefetch_map(&p.v_map);
        shared.start();
    }
    __syncthreads();
    if (L::kCluster > 1) cluster_sync();
    const int group = threadIdx.x / 128;
    if (group == 0) {
        registers_lower<L::kProducerRegisters>();
        if (threadIdx.x == 0) produce<L>(p, shared);
        __syncwarp();
    } else {
        registers_raise<L::kConsumerRegisters>();
        Consumer<L> consumer(p, shared, group - 1);
        consumer.run();
    }
    /* The other block may still copy into this one's memory or arrive on its barriers. */
    if (L::kCluster > 1) cluster_sync();
}

} // namespace smelt

#define SMELT_ENTRY(D, DV, WG, N, S, C, G, P, type, Element)                                                  \
    extern "C" __global__ __launch_bounds__(128 * (WG + 1), 1) void                                           \
        smelt_sdpa_sm90_d##D##_v##DV##_w##WG##_n##N##_s##S##_c##C##_g##G##_p##P##_##type(                     \
            const __grid_constant__ smelt_sdpa_params p)                                                      \
    {                                                                                                         \
        smelt::forward<smelt::Layout<D, DV, WG, N, S, C, G, P, smelt::Element>>(p);                           \
    }
#define SMELT_ROW(D, DV, WG, N, S, C, G, P)                 \
    SMELT_ENTRY(D, DV, WG, N, S, C, G, P, bf16, Bfloat)     \
    SMELT_ENTRY(D, DV, WG, N, S, C, G, P, f16, Half)
SMELT_ROWS(SMELT_ROW)
