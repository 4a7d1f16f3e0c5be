/* SPDX-License-Identifier: Apache-2.0 */
/* smelt_sdpa_merge: arguments. */
#include "api/sdpa_merge.h"

#include "api/backend.h"

smelt_status smelt_sdpa_merge(DLTensor *out, DLTensor *lse, const DLTensor *outs, const DLTensor *lses,
                              const smelt_stream *stream)
{
    struct smelt_call call;
    struct smelt_sdpa_merge_args args = {.run = &call.run};
    SMELT_TRY(smelt_call_begin(&call, "sdpa_merge", stream));
    args.out = smelt_output(&call, "out", out, SMELT_FLOATING);
    args.lse = smelt_optional_output(&call, "lse", lse, SMELT_IS(SMELT_F32));
    args.outs = smelt_input(&call, "outs", outs, SMELT_FLOATING);
    args.lses = smelt_input(&call, "lses", lses, SMELT_IS(SMELT_F32));
    SMELT_TRY(call.status);
    smelt_expect_rank(&call, args.outs, 5, 5);
    SMELT_TRY(call.status);
    smelt_expect_shape(&call, args.lses, 4, args.outs->shape);
    smelt_expect_shape(&call, args.out, 4, args.outs->shape + 1);
    smelt_expect_shape(&call, args.lse, 3, args.outs->shape + 1);
    smelt_expect_dtype(&call, args.out, args.outs->dtype);
    SMELT_TRY(smelt_call_ready(&call));
    SMELT_TRY(SMELT_RUN(&call, sdpa_merge, &args));
    return smelt_call_end(&call);
}
