/* SPDX-License-Identifier: Apache-2.0 */
/* What the back ends get of smelt_moe_routing and smelt_moe_routing_vjp. */
#ifndef SMELT_API_MOE_ROUTING_H
#define SMELT_API_MOE_ROUTING_H

#include <smelt/moe.h>

#include "core/call.h"

struct smelt_moe_routing_args {
    const struct smelt_run *run;
    int64_t experts, chosen; /* E and K, 1 <= K <= E < 2^31 */
    bool renormalize;
    const struct smelt_view *expert_ids, *weights; /* (..., K) int32, uint32 or int64, and float32 */
    const struct smelt_view *logits;               /* (..., E) */
    const struct smelt_view *per_expert_scale;     /* (E) of any floating dtype, or NULL */
};
smelt_status smelt_cpu_moe_routing(const struct smelt_moe_routing_args *args);
smelt_status smelt_cuda_moe_routing(const struct smelt_moe_routing_args *args);

struct smelt_moe_routing_vjp_args {
    const struct smelt_run *run;
    int64_t experts, chosen;
    bool renormalize;
    const struct smelt_view *dlogits, *dper_expert_scale; /* either may be NULL */
    const struct smelt_view *logits, *per_expert_scale, *expert_ids, *dweights;
};
smelt_status smelt_cpu_moe_routing_vjp(const struct smelt_moe_routing_vjp_args *args);
smelt_status smelt_cuda_moe_routing_vjp(const struct smelt_moe_routing_vjp_args *args);

/* The shapes that both directions share: logits (..., E), ids and weights (..., K), scale (E). */
void smelt_expect_routing(struct smelt_call *call, const struct smelt_view *logits,
                          const struct smelt_view *per_expert_scale, const struct smelt_view *expert_ids,
                          const struct smelt_view *weights);

#define SMELT_EXPERT_IDS (SMELT_IS(SMELT_I32) | SMELT_IS(SMELT_U32) | SMELT_IS(SMELT_I64))

#endif
