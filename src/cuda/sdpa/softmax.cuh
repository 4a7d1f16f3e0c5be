/* SPDX-License-Identifier: Apache-2.0 */
/* Online softmax over accumulator tiles, two rows a thread, in powers of two. */
#pragma once

#include "hopper.cuh"

namespace smelt
{

__device__ __forceinline__ float quad_max(float x)
{
    x = fmaxf(x, __shfl_xor_sync(0xFFFFFFFF, x, 1));
    return fmaxf(x, __shfl_xor_sync(0xFFFFFFFF, x, 2));
}

__device__ __forceinline__ float quad_sum(float x)
{
    x += __shfl_xor_sync(0xFFFFFFFF, x, 1);
    return x + __shfl_xor_sync(0xFFFFFFFF, x, 2);
}

struct Softmax {
    float maximum[2]; /* subtracted from the scores, in their own unit; may lag behind the true maximum */
    float sum[2];     /* of this thread's columns */
    float rescale[2]; /* what earlier sums and outputs are to be multiplied with */
    bool moved;       /* some row of this warp has rescale != 1 */

    __device__ __forceinline__ void start()
    {
        maximum[0] = maximum[1] = -INFINITY;
        sum[0] = sum[1] = 0;
    }

    /* scores -> exp2((scores - maximum) * scale). A maximum that grows by less than 2^8 is left as it is:
     * sums and outputs are float32 and have the room, and most tiles then need no rescaling. */
    template <int kCount> __device__ __forceinline__ void step(float (&scores)[kCount], float scale)
    {
        float offset[2];
        bool changed = false;
#pragma unroll
        for (int r = 0; r < 2; r++) {
            float a = fmaxf(scores[2 * r], scores[2 * r + 1]);
            float b = fmaxf(scores[2 * r + 4], scores[2 * r + 5]);
#pragma unroll
            for (int i = 8; i < kCount; i += 8) {
                a = fmaxf(a, fmaxf(scores[i + 2 * r], scores[i + 2 * r + 1]));
                b = fmaxf(b, fmaxf(scores[i + 2 * r + 4], scores[i + 2 * r + 5]));
            }
            const float seen = quad_max(fmaxf(a, b));
            const bool grows = !((seen - maximum[r]) * scale <= 8.0f) && seen > maximum[r];
            const float next = grows ? seen : maximum[r];
            offset[r] = next == -INFINITY ? 0.0f : next * scale;
            rescale[r] = grows ? exp2_fast(maximum[r] * scale - offset[r]) : 1.0f;
            maximum[r] = next;
            changed |= grows;
        }
        moved = __any_sync(0xFFFFFFFF, changed);
        float more[4] = {0, 0, 0, 0};
#pragma unroll
        for (int i = 0; i < kCount; i++) {
            const int r = i / 2 % 2;
            scores[i] = exp2_fast(fmaf(scores[i], scale, -offset[r]));
            more[i % 4] += scores[i];
        }
        sum[0] = sum[0] * rescale[0] + (more[0] + more[1]);
        sum[1] = sum[1] * rescale[1] + (more[2] + more[3]);
    }

    template <int kCount> __device__ __forceinline__ void rescale_output(float (&output)[kCount]) const
    {
        if (!moved) return;
#pragma unroll
        for (int i = 0; i < kCount; i++) output[i] *= rescale[i / 2 % 2];
    }
};

} // namespace smelt
