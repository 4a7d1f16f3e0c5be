/* SPDX-License-Identifier: Apache-2.0 */
/* Probes of the two matrix products with the library's own code: one tile written out raw, and products
 * alone in a loop, which is the ceiling of a tile. */
#include "../../src/cuda/sdpa/products.cuh"
#include "../../src/cuda/sdpa/rows.h"

namespace smelt
{

/* Copies one tile of each tensor; thread 0 only. */
template <class L> __device__ __forceinline__ void fetch(const smelt_sdpa_params &p, const Shared<L> &shared)
{
    barrier_expect(shared.query_full(0), L::kQueryBytes + L::kKeyBytes + L::kValueBytes);
    for (int chunk = 0; chunk < L::kKeyChunks; chunk++) {
        for (int group = 0; group < L::kConsumers; group++)
            copy_box(shared.query() + (chunk * L::kRows + 64 * group) * L::kRowBytes, &p.q_map,
                     shared.query_full(0), chunk * L::kChunk, 64 * group, 0, 0);
        for (int half = 0; half < L::kCluster; half++)
            copy_box(
                shared.key(0) + chunk * L::kKeyChunkBytes + half * (L::kKeys / L::kCluster) * L::kRowBytes,
                &p.k_map, shared.query_full(0), chunk * L::kChunk, half * (L::kKeys / L::kCluster), 0, 0);
    }
    for (int chunk = 0; chunk < L::kValueChunks; chunk++)
        for (int half = 0; half < L::kCluster; half++)
            copy_box(
                shared.value(0) + chunk * L::kKeyChunkBytes + half * (L::kKeys / L::kCluster) * L::kRowBytes,
                &p.v_map, shared.query_full(0), chunk * L::kChunk, half * (L::kKeys / L::kCluster), 0, 0);
}

/* repeats == 0: scores (rows, keys) and scores-as-weights times V (rows, values) to `partial`.
 * Otherwise that many pairs of products, on whatever lies in memory. */
template <class L> __device__ __forceinline__ void probe(const smelt_sdpa_params &p)
{
    extern __shared__ unsigned char memory[];
    const Shared<L> shared(memory);
    const int repeats = p.splits, group = threadIdx.x / 128 - 1, lane = threadIdx.x % 32;
    if (threadIdx.x == 0) shared.start();
    __syncthreads();
    if (group < 0) {
        registers_lower<L::kProducerRegisters>();
        if (threadIdx.x == 0) fetch(p, shared);
        return;
    }
    registers_raise<L::kConsumerRegisters>();
    float scores[L::kKeys / 2], output[L::kValueDim / 2] = {};
    uint32_t weights[L::kKeys / 4];
    barrier_wait(shared.query_full(0), 0);
    const uint32_t query = shared.query() + group * 64 * L::kRowBytes;
    issue_scores<L>(scores, query, shared.key(0));
    wgmma_wait<0>();
    pin(scores);
    pack_weights<L>(weights, scores);
    for (int i = 0; i < repeats; i++) {
        issue_scores<L>(scores, query, shared.key(0));
        issue_output<L>(output, weights, shared.value(0));
        wgmma_wait<1>();
        pin(scores);
        wgmma_wait<0>();
        pin(output);
    }
    if (repeats == 0) {
        issue_output<L>(output, weights, shared.value(0));
        wgmma_wait<0>();
        pin(output);
    }
    const int row = group * 64 + threadIdx.x % 128 / 32 * 16 + lane / 4;
    for (int i = 0; i < L::kKeys / 2; i++)
        if (repeats == 0 || scores[i] == 12345.0f)
            p.partial[(row + i / 2 % 2 * 8) * L::kKeys + i / 4 * 8 + lane % 4 * 2 + i % 2] = scores[i];
    for (int i = 0; i < L::kValueDim / 2; i++)
        if (repeats == 0 || output[i] == 12345.0f)
            p.partial[L::kRows * L::kKeys + (row + i / 2 % 2 * 8) * L::kValueDim + i / 4 * 8 + lane % 4 * 2 +
                      i % 2] = output[i];
}

} // namespace smelt

#define SMELT_ROW(D, DV, WG, N, S, C, G, P)                                                                  \
    extern "C" __global__ __launch_bounds__(128 * (WG + 1), 1) void                                          \
        probe_d##D##_v##DV##_w##WG##_n##N##_s##S##_c##C##_g##G##_p##P(                                       \
            const __grid_constant__ smelt_sdpa_params p)                                                     \
    {                                                                                                        \
        smelt::probe<smelt::Layout<D, DV, WG, N, S, C, G, P, 0, smelt::Bfloat>>(p);                          \
    }
SMELT_SDPA_ROWS(SMELT_ROW)
