/* SPDX-License-Identifier: Apache-2.0 */
/* smelt_layer_norm: arguments. */
#include "api/layer_norm.h"

#include "api/backend.h"
#include "api/norm.h"

smelt_status smelt_layer_norm(DLTensor *out_tensor, const DLTensor *x_tensor, const DLTensor *weight_tensor,
                              const DLTensor *bias_tensor, const smelt_norm_options *options,
                              const smelt_stream *stream)
{
    struct smelt_call call;
    SMELT_TRY(smelt_call_begin(&call, "layer_norm", stream));
    struct smelt_layer_norm_args args = {.run = &call.run};
    const struct smelt_view *out = args.out = smelt_output(&call, "out", out_tensor, SMELT_FLOATING);
    const struct smelt_view *x = args.x = smelt_input(&call, "x", x_tensor, SMELT_FLOATING);
    args.weight = smelt_optional_input(&call, "weight", weight_tensor, SMELT_FLOATING);
    args.bias = smelt_optional_input(&call, "bias", bias_tensor, SMELT_FLOATING);
    SMELT_TRY(call.status);
    smelt_norm_read_options(&call, &args.options, options);
    smelt_expect_rank(&call, x, 1, SMELT_MAX_RANK);
    SMELT_TRY(call.status);
    smelt_norm_expect_column(&call, args.weight, x);
    smelt_norm_expect_column(&call, args.bias, x);
    smelt_expect_same_shape(&call, out, x);
    smelt_expect_dtype(&call, out, smelt_layer_norm_dtype(x, args.weight, args.bias));
    smelt_allow_alias(&call, out, x);
    SMELT_TRY(smelt_call_ready(&call));
    SMELT_TRY(SMELT_RUN(&call, layer_norm, &args));
    return smelt_call_end(&call);
}
