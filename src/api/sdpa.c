/* SPDX-License-Identifier: Apache-2.0 */
/* smelt_sdpa and smelt_sdpa_workspace_size: arguments. */
#include "api/backend.h"
#include "api/sdpa_arguments.h"
#ifdef SMELT_CUDA
#    include "cuda/sdpa/sdpa.h"
#endif

static smelt_status check(struct smelt_call *call, struct smelt_sdpa_args *args, DLTensor *out_tensor,
                          DLTensor *lse_tensor, const DLTensor *q, const DLTensor *k, const DLTensor *v,
                          const smelt_sdpa_options *given)
{
    smelt_sdpa_options options;
    SMELT_TRY(smelt_sdpa_read_options(call, args, &options, given));
    args->run = &call->run;
    args->out = smelt_output(call, "out", out_tensor, SMELT_FLOATING);
    args->lse = smelt_optional_output(call, "lse", lse_tensor, SMELT_IS(SMELT_F32));
    smelt_sdpa_inputs(call, args, q, k, v, &options);
    SMELT_TRY(call->status);
    smelt_sdpa_check_inputs(call, args);
    smelt_sdpa_expect_out(call, args, args->out);
    smelt_sdpa_expect_lse(call, args, args->lse);
    smelt_expect_dtype(call, args->out, args->dtype);
    smelt_allow_alias(call, args->out, args->q);
    return call->status;
}

#ifdef SMELT_CUDA
static smelt_status on_cuda(const struct smelt_call *call, const struct smelt_sdpa_args *args)
{
    (void)call;
    return smelt_cuda_sdpa(args);
}

static smelt_status plan_on_cuda(const struct smelt_call *call, const struct smelt_sdpa_args *args,
                                 size_t *bytes)
{
    (void)call;
    return smelt_cuda_sdpa_workspace(args, bytes);
}
#else
static smelt_status on_cuda(const struct smelt_call *call, const struct smelt_sdpa_args *args)
{
    (void)args;
    return smelt_no_cuda(call);
}

static smelt_status plan_on_cuda(const struct smelt_call *call, const struct smelt_sdpa_args *args,
                                 size_t *bytes)
{
    (void)args, (void)bytes;
    return smelt_no_cuda(call);
}
#endif

smelt_status smelt_sdpa(DLTensor *out, DLTensor *lse, const DLTensor *q, const DLTensor *k, const DLTensor *v,
                        const smelt_sdpa_options *options, const smelt_stream *stream)
{
    struct smelt_call call;
    struct smelt_sdpa_args args;
    SMELT_TRY(smelt_call_begin(&call, "sdpa", stream));
    SMELT_TRY(check(&call, &args, out, lse, q, k, v, options));
    SMELT_TRY(smelt_call_ready(&call));
    if (smelt_call_device(&call) != kDLCPU) {
        SMELT_TRY(on_cuda(&call, &args));
        return smelt_call_end(&call);
    }
    SMELT_TRY(smelt_sdpa_check_lengths(&call, &args));
    SMELT_TRY(smelt_expect_workspace(&call.run, "sdpa", smelt_cpu_sdpa_workspace(&args)));
    SMELT_TRY(smelt_cpu_sdpa(&args));
    return smelt_call_end(&call);
}

/* The tensor with an address that stands for memory which need not be there yet. */
static DLTensor *planned(DLTensor *copy, const DLTensor *tensor)
{
    if (!tensor) return NULL;
    *copy = *tensor;
    copy->data = (void *)((uintptr_t)1 << 62); /* room on either side, for strides of both signs */
    copy->byte_offset = 0;
    return copy;
}

smelt_status smelt_sdpa_workspace_size(size_t *bytes, const DLTensor *out, const DLTensor *lse,
                                       const DLTensor *q, const DLTensor *k, const DLTensor *v,
                                       const smelt_sdpa_options *options, const smelt_stream *stream)
{
    struct smelt_call call;
    struct smelt_sdpa_args args;
    SMELT_TRY(smelt_call_begin(&call, "sdpa_workspace_size", stream));
    if (!bytes) smelt_reject(&call, SMELT_INVALID_ARGUMENT, "bytes: expected a place for the size, got NULL");
    SMELT_TRY(call.status);
    smelt_sdpa_options plan;
    SMELT_TRY(smelt_sdpa_read_options(&call, &args, &plan, options));
    DLTensor copies[10];
    plan.mask = planned(&copies[0], plan.mask);
    plan.key_mask = planned(&copies[1], plan.key_mask);
    plan.sinks = planned(&copies[2], plan.sinks);
    plan.kv_lengths = planned(&copies[3], plan.kv_lengths);
    plan.kv_offsets = planned(&copies[4], plan.kv_offsets);
    plan.struct_size = sizeof plan;
    SMELT_TRY(check(&call, &args, planned(&copies[5], out), planned(&copies[6], lse), planned(&copies[7], q),
                    planned(&copies[8], k), planned(&copies[9], v), &plan));
    if (smelt_call_device(&call) != kDLCPU) {
        SMELT_TRY(plan_on_cuda(&call, &args, bytes));
        return smelt_call_end(&call);
    }
    *bytes = smelt_cpu_sdpa_workspace(&args);
    return smelt_call_end(&call);
}
