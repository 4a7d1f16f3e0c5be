/* SPDX-License-Identifier: Apache-2.0 */
/* smelt_residual_norm_vjp: arguments. */
#include "api/backend.h"
#include "api/norm.h"
#include "api/residual_norm.h"

static void expect_shapes(struct smelt_call *call, const struct smelt_residual_norm_vjp_args *a)
{
    smelt_norm_expect_column(call, a->weight, a->x);
    smelt_norm_expect_scalar(call, a->scalar, a->x);
    smelt_expect_same_shape(call, a->residual, a->x);
    if (!a->dout && !a->dsum)
        smelt_reject(call, SMELT_INVALID_ARGUMENT, "dout: expected dout, dsum or both, got NULL for both");
    smelt_expect_same_shape(call, a->dout, a->x);
    smelt_expect_dtype(call, a->dout, smelt_norm_promote_all(a->residual, a->x, a->weight, a->scalar));
    smelt_expect_same_shape(call, a->dsum, a->x);
    smelt_expect_dtype(call, a->dsum, smelt_promote(a->residual->dtype, a->x->dtype));
    smelt_norm_expect_gradient(call, a->dresidual, a->residual, "residual");
    smelt_norm_expect_gradient(call, a->dx, a->x, "x");
    smelt_norm_expect_gradient(call, a->dweight, a->weight, "weight");
    smelt_norm_expect_gradient(call, a->dscalar, a->scalar, "scalar");
}

smelt_status smelt_residual_norm_vjp(DLTensor *dresidual_tensor, DLTensor *dx_tensor,
                                     DLTensor *dweight_tensor, DLTensor *dscalar_tensor,
                                     const DLTensor *residual_tensor, const DLTensor *x_tensor,
                                     const DLTensor *weight_tensor, const DLTensor *scalar_tensor,
                                     const DLTensor *dout_tensor, const DLTensor *dsum_tensor,
                                     const smelt_norm_options *options, const smelt_stream *stream)
{
    struct smelt_call call;
    SMELT_TRY(smelt_call_begin(&call, "residual_norm_vjp", stream));
    struct smelt_residual_norm_vjp_args args = {.run = &call.run};
    args.dresidual = smelt_optional_output(&call, "dresidual", dresidual_tensor, SMELT_FLOATING);
    args.dx = smelt_optional_output(&call, "dx", dx_tensor, SMELT_FLOATING);
    args.dweight = smelt_optional_output(&call, "dweight", dweight_tensor, SMELT_FLOATING);
    args.dscalar = smelt_optional_output(&call, "dscalar", dscalar_tensor, SMELT_FLOATING);
    args.residual = smelt_input(&call, "residual", residual_tensor, SMELT_FLOATING);
    args.x = smelt_input(&call, "x", x_tensor, SMELT_FLOATING);
    args.weight = smelt_optional_input(&call, "weight", weight_tensor, SMELT_FLOATING);
    args.scalar = smelt_optional_input(&call, "scalar", scalar_tensor, SMELT_FLOATING);
    args.dout = smelt_optional_input(&call, "dout", dout_tensor, SMELT_FLOATING);
    args.dsum = smelt_optional_input(&call, "dsum", dsum_tensor, SMELT_FLOATING);
    SMELT_TRY(call.status);
    smelt_norm_read_options(&call, &args.options, options);
    smelt_expect_rank(&call, args.x, 1, SMELT_MAX_RANK);
    SMELT_TRY(call.status);
    expect_shapes(&call, &args);
    smelt_allow_alias(&call, args.dresidual, args.dout);
    smelt_allow_alias(&call, args.dx, args.dout);
    SMELT_TRY(smelt_call_ready(&call));
    SMELT_TRY(SMELT_RUN(&call, residual_norm_vjp, &args));
    return smelt_call_end(&call);
}
