/* SPDX-License-Identifier: Apache-2.0 */
/* smelt_glu: arguments. */
#include "api/glu.h"

#include "api/backend.h"

void smelt_expect_activation(struct smelt_call *call, smelt_activation activation)
{
    if ((int)activation < SMELT_SILU || activation > SMELT_GELU_TANH)
        smelt_reject(call, SMELT_INVALID_ARGUMENT,
                     "activation: expected SMELT_SILU, SMELT_GELU or SMELT_GELU_TANH, got %d",
                     (int)activation);
}

smelt_status smelt_glu(DLTensor *out_tensor, const DLTensor *gate_tensor, const DLTensor *up_tensor,
                       smelt_activation activation, const smelt_stream *stream)
{
    struct smelt_call call;
    SMELT_TRY(smelt_call_begin(&call, "glu", stream));
    const struct smelt_view *out = smelt_output(&call, "out", out_tensor, SMELT_FLOATING);
    const struct smelt_view *gate = smelt_input(&call, "gate", gate_tensor, SMELT_FLOATING);
    const struct smelt_view *up = smelt_input(&call, "up", up_tensor, SMELT_FLOATING);
    SMELT_TRY(call.status);
    smelt_expect_activation(&call, activation);
    smelt_expect_same_shape(&call, up, gate);
    smelt_expect_same_shape(&call, out, gate);
    smelt_expect_dtype(&call, up, gate->dtype);
    smelt_expect_dtype(&call, out, gate->dtype);
    smelt_allow_alias(&call, out, gate);
    smelt_allow_alias(&call, out, up);
    SMELT_TRY(smelt_call_ready(&call));

    struct smelt_glu_args args = {&call.run, activation, out, gate, up};
    SMELT_TRY(SMELT_RUN(&call, glu, &args));
    return smelt_call_end(&call);
}
