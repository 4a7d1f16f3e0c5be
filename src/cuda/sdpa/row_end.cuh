/* SPDX-License-Identifier: Apache-2.0 */
/* The end of a softmax row: the sink, the division, the logsumexp. */
#pragma once

#include "mask.cuh"

namespace smelt
{

/* What one row ends with: the factor of its output, and its logsumexp. */
struct RowEnd {
    float factor, lse;
};

/* maximum is in units of log 2, sum over the whole row. */
__device__ __forceinline__ RowEnd finish_row(const smelt_sdpa_params &p, int head, float maximum, float sum)
{
    RowEnd end;
    if (p.sinks) {
        const float sink = load_float(p.sinks, head * p.sinks_stride, p.sinks_type) * kLog2e;
        const float both = fmaxf(maximum, sink);
        const float from = both == -INFINITY ? 0.0f : both;
        const float kept = exp2f(maximum - from);
        sum = sum * kept + exp2f(sink - from);
        end.factor = sum == 0.0f ? 0.0f : kept / sum;
        maximum = both;
    } else {
        end.factor = sum == 0.0f ? 0.0f : 1.0f / sum;
    }
    end.lse = sum == 0.0f ? -INFINITY : maximum * 0.6931471805599453f + logf(sum);
    return end;
}

} // namespace smelt
