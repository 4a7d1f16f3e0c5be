/* SPDX-License-Identifier: Apache-2.0 */
/* Routing of a mixture of experts, and its gradient. Rules: see base.h.
 *
 * Per row of logits: p = softmax over all E experts, in float32; the K largest p, ties to the lowest index,
 * in descending order; divided by their sum; times per_expert_scale[id], without another normalisation. A row
 * with NaN or +inf, or of -inf alone, gives ids 0..K-1 and weights 0. */
#ifndef SMELT_MOE_H
#define SMELT_MOE_H

#include "base.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct smelt_moe_options {
    uint32_t struct_size; /* sizeof(smelt_moe_options), set by SMELT_MOE_OPTIONS_INIT */
    int32_t
        renormalize; /* 1: divide the K probabilities by their sum; 0: keep the softmax over all experts */
} smelt_moe_options;
#define SMELT_MOE_OPTIONS_INIT                                                                               \
    {                                                                                                        \
        sizeof(smelt_moe_options), 1                                                                         \
    }

/* logits floating (..., E), per_expert_scale floating (E) -> expert_ids int32, uint32 or int64 (..., K),
 * weights float32 (..., K). K is the last axis of the outputs, 1 to E. */
SMELT_API smelt_status smelt_moe_routing(DLTensor *expert_ids, DLTensor *weights, const DLTensor *logits,
                                         const DLTensor *per_expert_scale /*?*/,
                                         const smelt_moe_options *options, const smelt_stream *stream);

/* Gradients of the weights with respect to the logits (shape and dtype of logits) and the scale (of the
 * scale), with the choice of experts held fixed. expert_ids come from the forward call; dweights is float32
 * (..., K). */
SMELT_API smelt_status smelt_moe_routing_vjp(DLTensor *dlogits /*?*/, DLTensor *dper_expert_scale /*?*/,
                                             const DLTensor *logits, const DLTensor *per_expert_scale /*?*/,
                                             const DLTensor *expert_ids, const DLTensor *dweights,
                                             const smelt_moe_options *options, const smelt_stream *stream);

#ifdef __cplusplus
}
#endif
#endif
