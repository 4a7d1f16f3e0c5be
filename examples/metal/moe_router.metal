/* SPDX-License-Identifier: Apache-2.0 */
/* Routing of mixture-of-experts layers: softmax over all experts in float32, the most probable ones with ties to the
   lowest index, renormalised over these, then scaled. A simdgroup a token; up to 256 experts and 32 chosen. */
#include <metal_stdlib>
using namespace metal;

struct Router {
    uint experts, top_k;
};
constant uint shares = 8; /* experts of one lane */

kernel void moe_router(device int *ids [[buffer(0)]], device float *weights [[buffer(1)]],
                       device const bfloat *logits [[buffer(2)]], device const bfloat *scale [[buffer(3)]],
                       constant Router &router [[buffer(4)]], uint token [[threadgroup_position_in_grid]],
                       uint lane [[thread_index_in_simdgroup]])
{
    float value[shares];
    float largest = -INFINITY;
    bool wrong = false;
    for (uint k = 0; k < shares; k++) {
        uint expert = k * 32 + lane;
        value[k] = expert < router.experts ? float(logits[size_t(token) * router.experts + expert]) : -INFINITY;
        wrong = wrong || isnan(value[k]) || value[k] == INFINITY;
        largest = max(largest, value[k]);
    }
    largest = simd_max(largest);
    wrong = simd_any(wrong) || largest == -INFINITY; /* such a row gives the first experts and weights of 0 */
    float sum = 0;
    for (uint k = 0; k < shares; k++) {
        value[k] = exp(value[k] - largest);
        sum += value[k];
    }
    sum = simd_sum(sum);
    for (uint k = 0; k < shares; k++) value[k] = k * 32 + lane < router.experts ? value[k] / sum : -1;

    float mine = 0, total = 0;
    uint my_expert = lane;
    for (uint choice = 0; choice < router.top_k; choice++) {
        float best = -1;
        uint expert = router.experts;
        for (uint k = 0; k < shares; k++)
            if (value[k] > best) best = value[k], expert = k * 32 + lane;
        float winning = simd_max(best);
        uint winner = simd_min(best == winning ? expert : router.experts);
        for (uint k = 0; k < shares; k++)
            if (k * 32 + lane == winner) value[k] = -1;
        if (lane == choice) mine = winning, my_expert = winner;
        total += winning;
    }
    if (lane < router.top_k) {
        size_t place = size_t(token) * router.top_k + lane;
        ids[place] = wrong ? int(lane) : int(my_expert);
        weights[place] = wrong ? 0.0f : mine / total * float(scale[my_expert]);
    }
}
