/* SPDX-License-Identifier: Apache-2.0 */
/* smelt_layer_norm_vjp: arguments. */
#include "api/backend.h"
#include "api/layer_norm.h"
#include "api/norm.h"

/* dout has the dtype of out. Without dbias nothing tells the dtype of the bias, which may have made it
 * float32. */
static void expect_dout_dtype(struct smelt_call *call, const struct smelt_layer_norm_vjp_args *args)
{
    enum smelt_dtype dtype = smelt_layer_norm_dtype(args->x, args->weight, args->dbias);
    if (args->weight && !args->dbias && args->dout->dtype == SMELT_F32) return;
    smelt_expect_dtype(call, args->dout, dtype);
}

smelt_status smelt_layer_norm_vjp(DLTensor *dx_tensor, DLTensor *dweight_tensor, DLTensor *dbias_tensor,
                                  const DLTensor *x_tensor, const DLTensor *weight_tensor,
                                  const DLTensor *dout_tensor, const smelt_norm_options *options,
                                  const smelt_stream *stream)
{
    struct smelt_call call;
    SMELT_TRY(smelt_call_begin(&call, "layer_norm_vjp", stream));
    struct smelt_layer_norm_vjp_args args = {.run = &call.run};
    args.dx = smelt_optional_output(&call, "dx", dx_tensor, SMELT_FLOATING);
    args.dweight = smelt_optional_output(&call, "dweight", dweight_tensor, SMELT_FLOATING);
    args.dbias = smelt_optional_output(&call, "dbias", dbias_tensor, SMELT_FLOATING);
    const struct smelt_view *x = args.x = smelt_input(&call, "x", x_tensor, SMELT_FLOATING);
    args.weight = smelt_optional_input(&call, "weight", weight_tensor, SMELT_FLOATING);
    args.dout = smelt_input(&call, "dout", dout_tensor, SMELT_FLOATING);
    SMELT_TRY(call.status);
    smelt_norm_read_options(&call, &args.options, options);
    smelt_expect_rank(&call, x, 1, SMELT_MAX_RANK);
    SMELT_TRY(call.status);
    smelt_norm_expect_column(&call, args.weight, x);
    smelt_norm_expect_gradient(&call, args.dweight, args.weight, "weight");
    smelt_norm_expect_column(&call, args.dbias, x);
    smelt_norm_expect_gradient(&call, args.dx, x, "x");
    smelt_expect_same_shape(&call, args.dout, x);
    expect_dout_dtype(&call, &args);
    smelt_allow_alias(&call, args.dx, args.dout);
    SMELT_TRY(smelt_call_ready(&call));
    SMELT_TRY(SMELT_RUN(&call, layer_norm_vjp, &args));
    return smelt_call_end(&call);
}
