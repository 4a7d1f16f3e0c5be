/* SPDX-License-Identifier: Apache-2.0 */
/* smelt_glu_vjp: arguments. */
#include "api/backend.h"
#include "api/glu.h"

smelt_status smelt_glu_vjp(DLTensor *dgate_tensor, DLTensor *dup_tensor, const DLTensor *gate_tensor,
                           const DLTensor *up_tensor, const DLTensor *dout_tensor,
                           smelt_activation activation, const smelt_stream *stream)
{
    struct smelt_call call;
    SMELT_TRY(smelt_call_begin(&call, "glu_vjp", stream));
    const struct smelt_view *gate = smelt_input(&call, "gate", gate_tensor, SMELT_FLOATING);
    const struct smelt_view *up = smelt_input(&call, "up", up_tensor, SMELT_FLOATING);
    const struct smelt_view *dout = smelt_input(&call, "dout", dout_tensor, SMELT_FLOATING);
    const struct smelt_view *dgate = smelt_optional_output(&call, "dgate", dgate_tensor, SMELT_FLOATING);
    const struct smelt_view *dup = smelt_optional_output(&call, "dup", dup_tensor, SMELT_FLOATING);
    SMELT_TRY(call.status);
    smelt_expect_activation(&call, activation);
    const struct smelt_view *like_gate[] = {up, dout, dgate, dup};
    for (int i = 0; i < 4; i++) {
        smelt_expect_same_shape(&call, like_gate[i], gate);
        if (like_gate[i]) smelt_expect_dtype(&call, like_gate[i], gate->dtype);
    }
    SMELT_TRY(smelt_call_ready(&call));

    struct smelt_glu_vjp_args args = {&call.run, activation, dgate, dup, gate, up, dout};
    SMELT_TRY(SMELT_RUN(&call, glu_vjp, &args));
    return smelt_call_end(&call);
}
