/* SPDX-License-Identifier: Apache-2.0 */
/* smelt_rms_norm_vjp: arguments. */
#include "api/backend.h"
#include "api/norm.h"
#include "api/rms_norm.h"

smelt_status smelt_rms_norm_vjp(DLTensor *dx_tensor, DLTensor *dweight_tensor, const DLTensor *x_tensor,
                                const DLTensor *weight_tensor, const DLTensor *dout_tensor,
                                const smelt_norm_options *options, const smelt_stream *stream)
{
    struct smelt_call call;
    SMELT_TRY(smelt_call_begin(&call, "rms_norm_vjp", stream));
    struct smelt_rms_norm_vjp_args args = {.run = &call.run};
    args.dx = smelt_optional_output(&call, "dx", dx_tensor, SMELT_FLOATING);
    args.dweight = smelt_optional_output(&call, "dweight", dweight_tensor, SMELT_FLOATING);
    const struct smelt_view *x = args.x = smelt_input(&call, "x", x_tensor, SMELT_FLOATING);
    args.weight = smelt_optional_input(&call, "weight", weight_tensor, SMELT_FLOATING);
    args.dout = smelt_input(&call, "dout", dout_tensor, SMELT_FLOATING);
    SMELT_TRY(call.status);
    smelt_norm_read_options(&call, &args.options, options);
    smelt_expect_rank(&call, x, 1, SMELT_MAX_RANK);
    SMELT_TRY(call.status);
    smelt_norm_expect_column(&call, args.weight, x);
    smelt_norm_expect_gradient(&call, args.dweight, args.weight, "weight");
    smelt_norm_expect_gradient(&call, args.dx, x, "x");
    smelt_expect_same_shape(&call, args.dout, x);
    smelt_expect_dtype(&call, args.dout, smelt_norm_promote(x->dtype, args.weight));
    smelt_allow_alias(&call, args.dx, args.dout);
    SMELT_TRY(smelt_call_ready(&call));
    SMELT_TRY(SMELT_RUN(&call, rms_norm_vjp, &args));
    return smelt_call_end(&call);
}
