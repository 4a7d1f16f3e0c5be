/* SPDX-License-Identifier: Apache-2.0 */
/* The threads that share a row: some lanes of a warp, a block, or a cluster of blocks; sums over them, in an
 * order that depends on nothing but the shape of the team. */
#pragma once

#include "common.cuh"

namespace smelt
{

enum { kMostWarps = 128, kMostSums = 4 }; /* of a team: 8 blocks of 16 */

/* The sums of the warps, in shared memory. Calls of team_sum() alternate between two, so that one barrier
 * each is enough. In a cluster `barrier` counts the bytes that all its blocks send: a cluster's own barrier
 * would wait for their stores to memory, too. */
struct __align__(16) Exchange
{
    float of[kMostSums][kMostWarps];
    uint64_t barrier;
};

struct Team {
    int lanes;   /* up to 32: so many of a warp; else the block */
    int cluster; /* blocks */
    int total;   /* threads */
    int rank;    /* of this thread among them */
    int64_t index, teams;

    __device__ __forceinline__ Team(int lanes_, int cluster_) : lanes(lanes_), cluster(cluster_)
    {
        const int per_block = lanes > 32 ? 1 : blockDim.x / lanes;
        const int block = cluster == 1 ? blockIdx.x : blockIdx.x / cluster;
        total = lanes * cluster;
        rank = lanes > 32 ? threadIdx.x : threadIdx.x % lanes;
        if (cluster > 1) rank += (blockIdx.x % cluster) * lanes;
        index = static_cast<int64_t>(block) * per_block + (lanes > 32 ? 0 : threadIdx.x / lanes);
        teams = static_cast<int64_t>(cluster == 1 ? gridDim.x : gridDim.x / cluster) * per_block;
    }
    __device__ __forceinline__ bool in_warp() const { return lanes <= 32; }
    /* The first row of the block's first team: loops over rows run equally often in a block. */
    __device__ __forceinline__ int64_t first() const
    {
        return in_warp() ? index - threadIdx.x / lanes : index;
    }
    __device__ __forceinline__ int warps() const { return lanes / 32 * cluster; }
};

template <int kCount> __device__ __forceinline__ void lanes_sum(int lanes, float (&a)[kCount])
{
    if (lanes >= 32) {
#pragma unroll
        for (int step = 16; step; step /= 2)
#pragma unroll
            for (int k = 0; k < kCount; k++) a[k] += __shfl_xor_sync(0xFFFFFFFF, a[k], step);
        return;
    }
#pragma unroll 1
    for (int step = lanes / 2; step; step /= 2)
#pragma unroll
        for (int k = 0; k < kCount; k++) a[k] += __shfl_xor_sync(0xFFFFFFFF, a[k], step);
}

__device__ __forceinline__ uint32_t shared_address(const void *p)
{
    return static_cast<uint32_t>(__cvta_generic_to_shared(p));
}

/* Before the first team_sum(): zeros behind the warps of a block; in a cluster, barriers that all blocks
 * know. */
__device__ __forceinline__ void begin_team(const Team &team, Exchange (&shared)[2])
{
    if (team.in_warp()) return;
#if __CUDA_ARCH__ >= 900
    if (team.cluster > 1) {
        if (threadIdx.x == 0) {
            for (int i = 0; i < 2; i++)
                asm volatile(
                    "mbarrier.init.shared::cta.b64 [%0], 1;" ::"r"(shared_address(&shared[i].barrier))
                    : "memory");
            asm volatile("fence.mbarrier_init.release.cluster;" ::: "memory");
        }
        asm volatile("barrier.cluster.arrive.release.aligned;\n\tbarrier.cluster.wait.acquire.aligned;" ::
                         : "memory");
        return;
    }
#endif
    const int warps = team.lanes / 32, index = threadIdx.x;
    if (index < warps || index >= (warps + 3) / 4 * 4) return;
    for (int i = 0; i < 2; i++)
        for (int k = 0; k < kMostSums; k++) shared[i].of[k][index] = 0;
}

/* The sums of each warp to every block of the cluster; returns when those of all have come here. */
template <int kCount>
__device__ __forceinline__ void send(const Team &team, Exchange &shared, int phase, const float (&a)[kCount])
{
#if __CUDA_ARCH__ >= 900
    const int lane = threadIdx.x % 32, warps = team.lanes / 32;
    const uint32_t barrier = shared_address(&shared.barrier);
    if (threadIdx.x == 0)
        asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(barrier),
                     "r"(team.warps() * kCount * 4)
                     : "memory");
    if (lane < team.cluster) {
        uint32_t there, barrier_there;
        asm volatile(
            "mapa.shared::cluster.u32 %0, %1, %2;"
            : "=r"(there)
            : "r"(shared_address(&shared.of[0][blockIdx.x % team.cluster * warps + threadIdx.x / 32])),
              "r"(lane));
        asm volatile("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(barrier_there) : "r"(barrier), "r"(lane));
#    pragma unroll
        for (int k = 0; k < kCount; k++)
            asm volatile(
                "st.async.weak.shared::cluster.mbarrier::complete_tx::bytes.f32 [%0], %1, [%2];" ::"r"(
                    there + k * kMostWarps * 4),
                "f"(a[k]), "r"(barrier_there)
                : "memory");
    }
    uint32_t done = 0;
    while (!done)
        asm volatile("{\n\t.reg .pred p;\n\t"
                     "mbarrier.try_wait.parity.acquire.cluster.shared::cta.b64 p, [%1], %2;\n\t"
                     "selp.u32 %0, 1, 0, p;\n\t}"
                     : "=r"(done)
                     : "r"(barrier), "r"(phase)
                     : "memory");
    __syncwarp();
#endif
}

/* Sums over the team, for all of its threads; `count` counts the calls. */
template <int kCount>
__device__ __forceinline__ void team_sum(const Team &team, Exchange (&both)[2], int &count,
                                         float (&a)[kCount])
{
    Exchange &shared = both[count & 1];
    const int phase = count >> 1 & 1;
    count++;
    lanes_sum(team.lanes, a);
    if (team.in_warp()) return;
    if (team.cluster == 1) {
        if (threadIdx.x % 32 == 0)
#pragma unroll
            for (int k = 0; k < kCount; k++) shared.of[k][threadIdx.x / 32] = a[k];
        __syncthreads();
#pragma unroll
        for (int k = 0; k < kCount; k++) {
            const float4 *const sums = reinterpret_cast<const float4 *>(shared.of[k]);
            float4 sum = sums[0];
#pragma unroll 1
            for (int w = 1; 4 * w < team.lanes / 32; w++)
                sum.x += sums[w].x, sum.y += sums[w].y, sum.z += sums[w].z, sum.w += sums[w].w;
            a[k] = (sum.x + sum.y) + (sum.z + sum.w);
        }
        return;
    }
    send(team, shared, phase, a);
    const int warps = team.warps();
#pragma unroll
    for (int k = 0; k < kCount; k++) {
        a[k] = 0;
        for (int w = threadIdx.x % 32; w < warps; w += 32) a[k] += shared.of[k][w];
    }
    lanes_sum(32, a);
}

/* Rounding may take a variance below 0; NaN stays. */
__device__ __forceinline__ float not_negative(float x) { return x < 0.0f ? 0.0f : x; }

} // namespace smelt
