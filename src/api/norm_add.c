/* SPDX-License-Identifier: Apache-2.0 */
/* smelt_norm_add: arguments. */
#include "api/norm_add.h"

#include "api/backend.h"
#include "api/norm.h"

smelt_status smelt_norm_add(DLTensor *out_tensor, const DLTensor *residual_tensor, const DLTensor *x_tensor,
                            const DLTensor *weight_tensor, const DLTensor *scalar_tensor,
                            const smelt_norm_options *options, const smelt_stream *stream)
{
    struct smelt_call call;
    SMELT_TRY(smelt_call_begin(&call, "norm_add", stream));
    struct smelt_norm_add_args args = {.run = &call.run};
    const struct smelt_view *out = args.out = smelt_output(&call, "out", out_tensor, SMELT_FLOATING);
    args.residual = smelt_input(&call, "residual", residual_tensor, SMELT_FLOATING);
    const struct smelt_view *x = args.x = smelt_input(&call, "x", x_tensor, SMELT_FLOATING);
    args.weight = smelt_optional_input(&call, "weight", weight_tensor, SMELT_FLOATING);
    args.scalar = smelt_optional_input(&call, "scalar", scalar_tensor, SMELT_FLOATING);
    SMELT_TRY(call.status);
    smelt_norm_read_options(&call, &args.options, options);
    smelt_expect_rank(&call, x, 1, SMELT_MAX_RANK);
    SMELT_TRY(call.status);
    smelt_norm_expect_column(&call, args.weight, x);
    smelt_norm_expect_scalar(&call, args.scalar, x);
    smelt_expect_same_shape(&call, args.residual, x);
    smelt_expect_same_shape(&call, out, x);
    smelt_expect_dtype(&call, out, smelt_norm_promote_all(args.residual, x, args.weight, args.scalar));
    smelt_allow_alias(&call, out, args.residual);
    smelt_allow_alias(&call, out, x);
    SMELT_TRY(smelt_call_ready(&call));
    SMELT_TRY(SMELT_RUN(&call, norm_add, &args));
    return smelt_call_end(&call);
}
