/* SPDX-License-Identifier: Apache-2.0 */
/* smelt_residual_norm: arguments. */
#include "api/residual_norm.h"

#include "api/backend.h"
#include "api/norm.h"

static void expect_shapes(struct smelt_call *call, const struct smelt_residual_norm_args *a)
{
    smelt_norm_expect_column(call, a->weight, a->x);
    smelt_norm_expect_scalar(call, a->scalar, a->x);
    smelt_expect_same_shape(call, a->residual, a->x);
    smelt_expect_same_shape(call, a->sum, a->x);
    smelt_expect_same_shape(call, a->out, a->x);
    smelt_expect_dtype(call, a->sum, smelt_promote(a->residual->dtype, a->x->dtype));
    smelt_expect_dtype(call, a->out, smelt_norm_promote_all(a->residual, a->x, a->weight, a->scalar));
}

smelt_status smelt_residual_norm(DLTensor *out_tensor, DLTensor *sum_tensor, const DLTensor *residual_tensor,
                                 const DLTensor *x_tensor, const DLTensor *weight_tensor,
                                 const DLTensor *scalar_tensor, const smelt_norm_options *options,
                                 const smelt_stream *stream)
{
    struct smelt_call call;
    SMELT_TRY(smelt_call_begin(&call, "residual_norm", stream));
    struct smelt_residual_norm_args args = {.run = &call.run};
    args.out = smelt_output(&call, "out", out_tensor, SMELT_FLOATING);
    args.sum = smelt_optional_output(&call, "sum", sum_tensor, SMELT_FLOATING);
    args.residual = smelt_input(&call, "residual", residual_tensor, SMELT_FLOATING);
    args.x = smelt_input(&call, "x", x_tensor, SMELT_FLOATING);
    args.weight = smelt_optional_input(&call, "weight", weight_tensor, SMELT_FLOATING);
    args.scalar = smelt_optional_input(&call, "scalar", scalar_tensor, SMELT_FLOATING);
    SMELT_TRY(call.status);
    smelt_norm_read_options(&call, &args.options, options);
    smelt_expect_rank(&call, args.x, 1, SMELT_MAX_RANK);
    SMELT_TRY(call.status);
    expect_shapes(&call, &args);
    smelt_allow_alias(&call, args.sum, args.residual);
    smelt_allow_alias(&call, args.sum, args.x);
    smelt_allow_alias(&call, args.out, args.x);
    SMELT_TRY(smelt_call_ready(&call));
    SMELT_TRY(SMELT_RUN(&call, residual_norm, &args));
    return smelt_call_end(&call);
}
