/* SPDX-License-Identifier: Apache-2.0 */
/* The threads that share a row: some lanes of a warp, a block, or a cluster of blocks; sums over them, in an
 * order that depends on nothing but the shape of the team. */
#pragma once

#include "common.cuh"

namespace smelt
{

enum { kMostWarps = 256 }; /* of a team: 8 blocks of 32 */

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
    __device__ __forceinline__ int warps() const { return (lanes + 31) / 32 * cluster; }
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

/* One value of every warp to every warp of the team. `shared` alternates between two halves, so that one
 * barrier a row is enough. */
__device__ __forceinline__ void exchange(const Team &team, float4 *shared, const float4 &value)
{
    const int lane = threadIdx.x % 32, warp = threadIdx.x / 32;
#if __CUDA_ARCH__ >= 900
    if (team.cluster > 1) {
        const int warps = team.lanes / 32, block = blockIdx.x % team.cluster;
        if (lane < team.cluster) {
            uint32_t own = static_cast<uint32_t>(__cvta_generic_to_shared(shared + block * warps + warp)),
                     there;
            asm volatile("mapa.shared::cluster.u32 %0, %1, %2;" : "=r"(there) : "r"(own), "r"(lane));
            asm volatile("st.shared::cluster.v4.f32 [%0], {%1, %2, %3, %4};" ::"r"(there), "f"(value.x),
                         "f"(value.y), "f"(value.z), "f"(value.w)
                         : "memory");
        }
        asm volatile("barrier.cluster.arrive.release.aligned;\n\tbarrier.cluster.wait.acquire.aligned;" ::
                         : "memory");
        return;
    }
#endif
    if (lane == 0) shared[warp] = value;
    __syncthreads();
}

/* Sums of up to 4 values over the team, for all of its threads. */
template <int kCount>
__device__ __forceinline__ void team_sum(const Team &team, float4 *shared, float (&a)[kCount])
{
    lanes_sum(team.lanes, a);
    if (team.in_warp()) return;
    float4 value = make_float4(a[0], kCount > 1 ? a[kCount > 1 ? 1 : 0] : 0.0f,
                               kCount > 2 ? a[kCount > 2 ? 2 : 0] : 0.0f, 0.0f);
    exchange(team, shared, value);
#pragma unroll
    for (int k = 0; k < kCount; k++) a[k] = 0;
    const int warps = team.warps();
    for (int w = threadIdx.x % 32; w < warps; w += 32) {
        value = shared[w];
        a[0] += value.x;
        if (kCount > 1) a[kCount > 1 ? 1 : 0] += value.y;
        if (kCount > 2) a[kCount > 2 ? 2 : 0] += value.z;
    }
    lanes_sum(32, a);
}

/* Mean as high + low, which keeps the digits of x - mean where the mean is large, and the variance. */
struct Moments {
    float high, low, variance;
};

/* Rounding may take a variance below 0; NaN stays. */
__device__ __forceinline__ float not_negative(float x) { return x < 0.0f ? 0.0f : x; }

/* From the mean, the sum and sum of squares of the differences from it, and the count of each warp; `inverse`
 * is 1 over all counts. */
__device__ __forceinline__ Moments team_moments(const Team &team, float4 *shared, float mean, float rest,
                                                float squares, float count, float inverse)
{
    if (team.in_warp()) {
        const float low = __fdividef(rest, count);
        return {mean, low, not_negative(__fdividef(squares, count) - low * low)};
    }
    exchange(team, shared, make_float4(mean, rest, squares, count));
    const float high = shared[0].x;
    const int warps = team.warps();
    float sum[1] = {0};
    for (int w = threadIdx.x % 32; w < warps; w += 32) {
        const float4 v = shared[w];
        sum[0] += v.w * (v.x - high) + v.y;
    }
    lanes_sum(32, sum);
    const float low = sum[0] * inverse;
    sum[0] = 0;
    for (int w = threadIdx.x % 32; w < warps; w += 32) {
        const float4 v = shared[w];
        if (v.w == 0.0f) continue;
        const float own = __fdividef(v.y, v.w), distance = (v.x - high) + own - low;
        sum[0] += v.z - v.y * own + v.w * distance * distance;
    }
    lanes_sum(32, sum);
    return {high, low, not_negative(sum[0] * inverse)};
}

} // namespace smelt
