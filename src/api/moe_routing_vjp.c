/* SPDX-License-Identifier: Apache-2.0 */
/* smelt_moe_routing_vjp: arguments. */
#include "api/backend.h"
#include "api/moe_routing.h"
#include "core/options.h"

smelt_status smelt_moe_routing_vjp(DLTensor *dlogits, DLTensor *dper_expert_scale, const DLTensor *logits,
                                   const DLTensor *per_expert_scale, const DLTensor *expert_ids,
                                   const DLTensor *dweights, const smelt_moe_options *given,
                                   const smelt_stream *stream)
{
    static const smelt_moe_options defaults = SMELT_MOE_OPTIONS_INIT;
    smelt_moe_options options;
    struct smelt_call call;
    struct smelt_moe_routing_vjp_args args = {.run = &call.run};
    SMELT_TRY(smelt_call_begin(&call, "moe_routing_vjp", stream));
    SMELT_TRY(smelt_read_options("moe_routing_vjp", "options", &options, given, &defaults, sizeof defaults));
    args.logits = smelt_input(&call, "logits", logits, SMELT_FLOATING);
    args.per_expert_scale = smelt_optional_input(&call, "per_expert_scale", per_expert_scale, SMELT_FLOATING);
    args.expert_ids = smelt_input(&call, "expert_ids", expert_ids, SMELT_EXPERT_IDS);
    args.dweights = smelt_input(&call, "dweights", dweights, SMELT_IS(SMELT_F32));
    args.dlogits = smelt_optional_output(&call, "dlogits", dlogits, SMELT_FLOATING);
    args.dper_expert_scale =
        smelt_optional_output(&call, "dper_expert_scale", dper_expert_scale, SMELT_FLOATING);
    SMELT_TRY(call.status);
    smelt_expect_routing(&call, args.logits, args.per_expert_scale, args.expert_ids, args.dweights);
    if (args.dper_expert_scale && !args.per_expert_scale)
        smelt_reject(&call, SMELT_INVALID_ARGUMENT,
                     "dper_expert_scale: expected NULL, as per_expert_scale is NULL, got a tensor");
    smelt_expect_same_shape(&call, args.dlogits, args.logits);
    smelt_expect_same_shape(&call, args.dper_expert_scale, args.per_expert_scale);
    smelt_expect_dtype(&call, args.dlogits, args.logits->dtype);
    if (args.dper_expert_scale && args.per_expert_scale)
        smelt_expect_dtype(&call, args.dper_expert_scale, args.per_expert_scale->dtype);
    SMELT_TRY(smelt_call_ready(&call));
    args.experts = args.logits->shape[args.logits->rank - 1];
    args.chosen = args.dweights->shape[args.dweights->rank - 1];
    args.renormalize = options.renormalize != 0;
    SMELT_TRY(SMELT_RUN(&call, moe_routing_vjp, &args));
    return smelt_call_end(&call);
}
