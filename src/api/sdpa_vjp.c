/* SPDX-License-Identifier: Apache-2.0 */
/* smelt_sdpa_vjp: arguments. */
#include "api/sdpa_vjp.h"

#include "api/backend.h"
#include "api/sdpa_arguments.h"
#ifdef SMELT_CUDA
#    include "cuda/sdpa/vjp.h"
#endif

/* A gradient has shape and dtype of what it belongs to. */
static void expect_like(struct smelt_call *call, const struct smelt_view *gradient,
                        const struct smelt_view *like, const char *missing)
{
    if (gradient && !like)
        smelt_reject(call, SMELT_INVALID_ARGUMENT, "%s: expected NULL without %s", gradient->name, missing);
    if (!gradient || !like) return;
    smelt_expect_same_shape(call, gradient, like);
    smelt_expect_dtype(call, gradient, like->dtype);
}

static void expect_gradients(struct smelt_call *call, const struct smelt_sdpa_vjp_args *args)
{
    const struct smelt_sdpa_args *forward = &args->forward;
    bool floating = forward->mask && forward->mask->dtype != SMELT_BOOL;
    expect_like(call, args->dq, forward->q, "q");
    expect_like(call, args->dk, forward->k, "k");
    expect_like(call, args->dv, forward->v, "v");
    expect_like(call, args->dmask, floating ? forward->mask : NULL, "a floating options.mask");
    expect_like(call, args->dsinks, forward->sinks, "options.sinks");
}

static void expect_cotangents(struct smelt_call *call, const struct smelt_sdpa_vjp_args *args)
{
    const struct smelt_sdpa_args *forward = &args->forward;
    smelt_sdpa_expect_out(call, forward, forward->out);
    smelt_expect_dtype(call, forward->out, forward->dtype);
    smelt_sdpa_expect_lse(call, forward, forward->lse);
    smelt_sdpa_expect_out(call, forward, args->dout);
    smelt_expect_dtype(call, args->dout, forward->dtype);
    smelt_sdpa_expect_lse(call, forward, args->dlse);
    if (!args->dout && !args->dlse)
        smelt_reject(call, SMELT_INVALID_ARGUMENT, "dout: expected a tensor where dlse is NULL, got NULL");
}

#ifdef SMELT_CUDA
static smelt_status on_cuda(const struct smelt_call *call, const struct smelt_sdpa_vjp_args *args)
{
    (void)call;
    return smelt_cuda_sdpa_vjp(args);
}
#else
static smelt_status on_cuda(const struct smelt_call *call, const struct smelt_sdpa_vjp_args *args)
{
    (void)args;
    return smelt_no_cuda(call);
}
#endif

smelt_status smelt_sdpa_vjp(DLTensor *dq, DLTensor *dk, DLTensor *dv, DLTensor *dmask, DLTensor *dsinks,
                            const DLTensor *q, const DLTensor *k, const DLTensor *v, const DLTensor *out,
                            const DLTensor *lse, const DLTensor *dout, const DLTensor *dlse,
                            const smelt_sdpa_options *given, const smelt_stream *stream)
{
    struct smelt_call call;
    struct smelt_sdpa_vjp_args args;
    smelt_sdpa_options options;
    SMELT_TRY(smelt_call_begin(&call, "sdpa_vjp", stream));
    SMELT_TRY(smelt_sdpa_read_options(&call, &args.forward, &options, given));
    args.forward.run = &call.run;
    args.dq = smelt_optional_output(&call, "dq", dq, SMELT_FLOATING);
    args.dk = smelt_optional_output(&call, "dk", dk, SMELT_FLOATING);
    args.dv = smelt_optional_output(&call, "dv", dv, SMELT_FLOATING);
    args.dmask = smelt_optional_output(&call, "dmask", dmask, SMELT_FLOATING);
    args.dsinks = smelt_optional_output(&call, "dsinks", dsinks, SMELT_FLOATING);
    smelt_sdpa_inputs(&call, &args.forward, q, k, v, &options);
    args.forward.out = smelt_input(&call, "out", out, SMELT_FLOATING);
    args.forward.lse = smelt_input(&call, "lse", lse, SMELT_IS(SMELT_F32));
    args.dout = smelt_optional_input(&call, "dout", dout, SMELT_FLOATING);
    args.dlse = smelt_optional_input(&call, "dlse", dlse, SMELT_IS(SMELT_F32));
    SMELT_TRY(call.status);
    smelt_sdpa_check_inputs(&call, &args.forward);
    expect_cotangents(&call, &args);
    expect_gradients(&call, &args);
    SMELT_TRY(smelt_call_ready(&call));
    if (smelt_call_device(&call) != kDLCPU) {
        SMELT_TRY(on_cuda(&call, &args));
        return smelt_call_end(&call);
    }
    SMELT_TRY(smelt_sdpa_check_lengths(&call, &args.forward));
    SMELT_TRY(smelt_cpu_sdpa_vjp(&args));
    return smelt_call_end(&call);
}
