/* SPDX-License-Identifier: Apache-2.0 */
/* One launch of moe_routing or its gradient, and the list of kernels. Shared with device code. */
#ifndef SMELT_CUDA_MOE_ROUTING_PARAMS_H
#define SMELT_CUDA_MOE_ROUTING_PARAMS_H

#include "../walk.h"

/* The tensors; WEIGHTS is dweights in the gradient, which alone has dlogits. */
enum { SMELT_MOE_LOGITS, SMELT_MOE_IDS, SMELT_MOE_WEIGHTS, SMELT_MOE_DLOGITS, SMELT_MOE_TENSORS };
enum { SMELT_MOE_THREADS = 128, SMELT_MOE_LANE_EXPERTS = 4 };

typedef struct smelt_moe_params {
    smelt_walk walk;
    char *data[SMELT_MOE_TENSORS];
    int64_t step[SMELT_MOE_TENSORS]; /* bytes between elements of the last axis */
    int64_t experts, chosen;
    int32_t type, packed; /* of logits: 4 neighbours at a time, aligned */
    int32_t id_bytes, renormalize;
    const char *scale; /* or NULL */
    int64_t scale_step;
    int32_t scale_type;
    float *dscale; /* gradient: sums over the rows of each warp, (warps, experts), or NULL */
} smelt_moe_params;

#endif
