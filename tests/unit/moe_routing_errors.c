/* SPDX-License-Identifier: Apache-2.0 */
/* Wrong calls of moe_routing and moe_routing_vjp. */
#include "unit.h"

static DLTensor *ids, *weights, *logits, *scale;
static smelt_status call(DLTensor *i, DLTensor *w, const DLTensor *l, const DLTensor *s)
{
    return smelt_moe_routing(i, w, l, s, NULL, NULL);
}
#define INVALID(call, ...)     UNIT_ERROR(call, SMELT_INVALID_ARGUMENT, "moe_routing: ", __VA_ARGS__)
#define UNSUPPORTED(call, ...) UNIT_ERROR(call, SMELT_UNSUPPORTED, "moe_routing: ", __VA_ARGS__)

static void forward(void)
{
    smelt_moe_options options = SMELT_MOE_OPTIONS_INIT;
    INVALID(call(NULL, weights, logits, scale), "expert_ids", "NULL");
    INVALID(call(ids, NULL, logits, scale), "weights", "NULL");
    INVALID(call(ids, weights, NULL, scale), "logits", "NULL");
    UNSUPPORTED(call(unit_output(SMELT_I16, 2, 5, 3), weights, logits, scale), "expert_ids", "int16");
    UNSUPPORTED(call(unit_output(SMELT_U64, 2, 5, 3), weights, logits, scale), "expert_ids", "uint64");
    UNSUPPORTED(call(ids, unit_output(SMELT_F16, 2, 5, 3), logits, scale), "weights", "float16");
    UNSUPPORTED(call(ids, weights, unit_tensor(SMELT_I32, 2, 5, 8), scale), "logits", "int32");
    UNSUPPORTED(call(ids, weights, logits, unit_tensor(SMELT_F64, 1, 8)), "per_expert_scale", "float64");
    INVALID(call(unit_output(SMELT_I32, 2, 5, 0), unit_output(SMELT_F32, 2, 5, 0), logits, scale),
            "expert_ids", "top_k", "got 0");
    INVALID(call(unit_output(SMELT_I32, 2, 5, 9), unit_output(SMELT_F32, 2, 5, 9), logits, scale),
            "expert_ids", "1 to 8", "got 9");
    INVALID(call(ids, unit_output(SMELT_F32, 2, 5, 4), logits, scale), "weights", "(5, 3)", "(5, 4)");
    INVALID(call(unit_output(SMELT_I32, 2, 4, 3), weights, logits, scale), "expert_ids", "(5, 3)", "(4, 3)");
    INVALID(call(unit_output(SMELT_I32, 1, 3), weights, logits, scale), "expert_ids", "(5, 3)", "(3,)");
    INVALID(call(ids, weights, unit_tensor(SMELT_F32, 0, 0), scale), "logits", "rank");
    INVALID(call(ids, weights, unit_tensor(SMELT_F32, 2, 5, 0), NULL), "logits", "got 0");
    INVALID(call(ids, weights, logits, unit_tensor(SMELT_F32, 1, 7)), "per_expert_scale", "(8,)", "(7,)");
    INVALID(call(ids, weights, logits, unit_tensor(SMELT_F32, 2, 1, 8)), "per_expert_scale", "(1, 8)");
    options.struct_size = 2;
    INVALID(smelt_moe_routing(ids, weights, logits, scale, &options, NULL), "options.struct_size", "2");
    DLTensor *same = unit_twin(weights);
    same->dtype = smelt_dl_type(SMELT_I32);
    INVALID(call(same, weights, logits, scale), "expert_ids", "weights");
    same = unit_twin(ids);
    same->strides[0] = 0;
    INVALID(call(same, weights, logits, scale), "expert_ids", "share memory");
    same = unit_twin(logits);
    same->shape[1] = 3;
    INVALID(call(ids, same, logits, scale), "weights", "logits");
}

static void gradient(void)
{
    DLTensor *dlogits = unit_output(SMELT_F32, 2, 5, 8), *dscale = unit_output(SMELT_F32, 1, 8);
    DLTensor *chosen = unit_tensor(SMELT_I64, 2, 5, 3), *dweights = unit_tensor(SMELT_F32, 2, 5, 3);
#define WRONG(...) UNIT_ERROR(smelt_moe_routing_vjp(__VA_ARGS__, NULL, NULL), SMELT_INVALID_ARGUMENT, "moe_routing_vjp: "
    WRONG(dlogits, dscale, NULL, scale, chosen, dweights), "logits", "NULL");
    WRONG(dlogits, dscale, logits, scale, NULL, dweights), "expert_ids", "NULL");
    WRONG(dlogits, dscale, logits, scale, chosen, NULL), "dweights", "NULL");
    WRONG(dlogits, dscale, logits, NULL, chosen, dweights), "dper_expert_scale", "NULL");
    WRONG(unit_output(SMELT_F32, 2, 5, 7), dscale, logits, scale, chosen, dweights), "dlogits", "(5, 7)");
    WRONG(unit_output(SMELT_F16, 2, 5, 8), dscale, logits, scale, chosen, dweights), "dlogits", "float16");
    WRONG(dlogits, unit_output(SMELT_F32, 1, 7), logits, scale, chosen, dweights), "dper_expert_scale", "(7,)");
    WRONG(dlogits, unit_output(SMELT_BF16, 1, 8), logits, scale, chosen, dweights), "dper_expert_scale", "bfloat16");
    WRONG(dlogits, dscale, logits, scale, chosen, unit_tensor(SMELT_F32, 2, 5, 4)), "dweights", "(5, 4)");
    ((int64_t *)chosen->data)[7] = 8;
    WRONG(dlogits, dscale, logits, scale, chosen, dweights), "expert_ids", "0 to 7", "got 8");
    ((int64_t *)chosen->data)[7] = -1;
    WRONG(dlogits, dscale, logits, scale, chosen, dweights), "expert_ids", "-1");
    ((int64_t *)chosen->data)[7] = 0;
    UNIT_OK(smelt_moe_routing_vjp(NULL, NULL, logits, scale, chosen, dweights, NULL, NULL));
}

int main(void)
{
    logits = unit_tensor(SMELT_F32, 2, 5, 8), scale = unit_tensor(SMELT_F32, 1, 8);
    ids = unit_output(SMELT_I32, 2, 5, 3), weights = unit_output(SMELT_F32, 2, 5, 3);
    forward();
    gradient();
    UNIT_OK(call(unit_output(SMELT_I32, 2, 0, 3), unit_output(SMELT_F32, 2, 0, 3),
                 unit_tensor(SMELT_F32, 2, 0, 8), NULL));
    return unit_end();
}
