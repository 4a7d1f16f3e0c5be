/* SPDX-License-Identifier: Apache-2.0 */
/* smelt_moe_routing: arguments. */
#include "api/moe_routing.h"

#include "api/backend.h"
#include "core/options.h"

void smelt_expect_routing(struct smelt_call *call, const struct smelt_view *logits,
                          const struct smelt_view *per_expert_scale, const struct smelt_view *expert_ids,
                          const struct smelt_view *weights)
{
    smelt_expect_rank(call, logits, 1, SMELT_MAX_RANK);
    smelt_expect_rank(call, expert_ids, 1, SMELT_MAX_RANK);
    if (call->status != SMELT_OK) return;
    int64_t shape[SMELT_MAX_RANK], experts = logits->shape[logits->rank - 1];
    int64_t chosen = expert_ids->shape[expert_ids->rank - 1];
    if (experts < 1 || experts > INT32_MAX)
        smelt_reject(call, SMELT_INVALID_ARGUMENT, "%s: expected 1 to %d experts on the last axis, got %lld",
                     logits->name, INT32_MAX, (long long)experts);
    else if (chosen < 1 || chosen > experts)
        smelt_reject(call, SMELT_INVALID_ARGUMENT,
                     "%s: expected 1 to %lld (the experts) on the last axis, top_k, got %lld",
                     expert_ids->name, (long long)experts, (long long)chosen);
    for (int i = 0; i < logits->rank; i++) shape[i] = logits->shape[i];
    shape[logits->rank - 1] = chosen;
    smelt_expect_shape(call, expert_ids, logits->rank, shape);
    smelt_expect_shape(call, weights, logits->rank, shape);
    smelt_expect_shape(call, per_expert_scale, 1, &experts);
}

smelt_status smelt_moe_routing(DLTensor *expert_ids, DLTensor *weights, const DLTensor *logits,
                               const DLTensor *per_expert_scale, const smelt_moe_options *given,
                               const smelt_stream *stream)
{
    static const smelt_moe_options defaults = SMELT_MOE_OPTIONS_INIT;
    smelt_moe_options options;
    struct smelt_call call;
    struct smelt_moe_routing_args args = {.run = &call.run};
    SMELT_TRY(smelt_call_begin(&call, "moe_routing", stream));
    SMELT_TRY(smelt_read_options("moe_routing", "options", &options, given, &defaults, sizeof defaults));
    args.expert_ids = smelt_output(&call, "expert_ids", expert_ids, SMELT_EXPERT_IDS);
    args.weights = smelt_output(&call, "weights", weights, SMELT_IS(SMELT_F32));
    args.logits = smelt_input(&call, "logits", logits, SMELT_FLOATING);
    args.per_expert_scale = smelt_optional_input(&call, "per_expert_scale", per_expert_scale, SMELT_FLOATING);
    SMELT_TRY(call.status);
    smelt_expect_routing(&call, args.logits, args.per_expert_scale, args.expert_ids, args.weights);
    SMELT_TRY(smelt_call_ready(&call));
    args.experts = args.logits->shape[args.logits->rank - 1];
    args.chosen = args.weights->shape[args.weights->rank - 1];
    args.renormalize = options.renormalize != 0;
    SMELT_TRY(SMELT_RUN(&call, moe_routing, &args));
    return smelt_call_end(&call);
}
