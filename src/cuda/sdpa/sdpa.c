/* SPDX-License-Identifier: Apache-2.0 */
/* smelt_sdpa on CUDA: from checked arguments to one launch (two where keys are split). */
#include "sdpa.h"

#include "../device.h"
#include "fill.h"
#include "launch.h"

/* The memory that a view spans, from its lowest byte on. */
static size_t span(const struct smelt_view *view, int64_t *before)
{
    int64_t after = 0;
    *before = 0;
    for (int i = 0; i < view->rank; i++) {
        const int64_t reach = (view->shape[i] - 1) * view->stride[i];
        *(reach < 0 ? before : &after) += reach < 0 ? -reach : reach;
    }
    *before *= view->item;
    return (size_t)(*before + (after + 1) * view->item);
}

/* What a call takes beside its tensors: partial results of split keys, then a copy of q where out is q (a
 * block may have to read its queries again after it has written). */
struct scratch {
    size_t partial, copy;
    int64_t before;
};

static struct scratch plan(const struct smelt_sdpa_args *a, smelt_sdpa_params *p,
                           const struct smelt_sdpa_card *card, int *kernel)
{
    struct scratch need = {0};
    *kernel = smelt_sdpa_choose(p, card);
    need.partial = (smelt_sdpa_plan(p, *kernel, card) + 255) / 256 * 256;
    if (a->out->data == a->q->data) need.copy = span(a->q, &need.before) + 16;
    return need;
}

static smelt_status launch(struct smelt_cuda_device *device, const struct smelt_sdpa_args *a,
                           smelt_sdpa_params *p, const struct smelt_sdpa_card *card, int kernel,
                           const struct scratch *need, CUdeviceptr memory)
{
    CUstream queue = a->run->stream.cuda_stream;
    p->partial = (float *)(uintptr_t)memory;
    if (need->copy) {
        /* at the same offset from a multiple of 16 as the original */
        const CUdeviceptr from = (CUdeviceptr)(uintptr_t)a->q->data - (CUdeviceptr)need->before;
        const CUdeviceptr to = memory + need->partial + from % 16;
        p->q.data = (const void *)(uintptr_t)(to + (CUdeviceptr)need->before);
        const size_t bytes = need->copy - 16;
        SMELT_TRY(
            smelt_cuda_status(device->driver->MemcpyDtoDAsync(to, from, bytes, queue), "sdpa", "copy of q"));
    }
    return smelt_cuda_status(smelt_sdpa_launch(p, kernel, card, queue), "sdpa", "launch");
}

/* Scratch is the caller's, or stream-ordered memory that is given back right after the launch. */
static smelt_status run(struct smelt_cuda_device *device, smelt_sdpa_params *p,
                        const struct smelt_sdpa_args *a)
{
    const struct smelt_sdpa_card card = {device->major, device->minor, device->multiprocessors};
    const smelt_stream *stream = &a->run->stream;
    int kernel;
    const struct scratch need = plan(a, p, &card, &kernel);
    const size_t bytes = need.partial + need.copy;
    if (!bytes) return launch(device, a, p, &card, kernel, &need, 0);
    if (stream->workspace && stream->workspace_size < bytes)
        return smelt_fail(SMELT_INVALID_ARGUMENT,
                          "sdpa: stream.workspace_size: expected %zu bytes or more, got %zu", bytes,
                          stream->workspace_size);
    if (stream->workspace)
        return launch(device, a, p, &card, kernel, &need, (CUdeviceptr)(uintptr_t)stream->workspace);
    CUdeviceptr memory = 0;
    SMELT_TRY(smelt_cuda_status(device->driver->MemAllocAsync(&memory, bytes, stream->cuda_stream), "sdpa",
                                "scratch"));
    const smelt_status status = launch(device, a, p, &card, kernel, &need, memory);
    const CUresult freed = device->driver->MemFreeAsync(memory, stream->cuda_stream);
    return status != SMELT_OK ? status : smelt_cuda_status(freed, "sdpa", "scratch");
}

smelt_status smelt_cuda_sdpa(const struct smelt_sdpa_args *a)
{
    const struct smelt_view *views[] = {a->out,  a->lse,      a->q,     a->k,          a->v,
                                        a->mask, a->key_mask, a->sinks, a->kv_lengths, a->kv_offsets};
    struct smelt_cuda_device device;
    smelt_sdpa_params params;
    SMELT_TRY(smelt_sdpa_fill(&params, a, "sdpa"));
    if (a->batch == 0 || a->heads == 0 || a->q_len == 0 || (a->value_dim == 0 && !a->lse)) return SMELT_OK;
    SMELT_TRY(smelt_cuda_enter(&device, views, sizeof(views) / sizeof(views[0]), "sdpa"));
    return smelt_cuda_leave(&device, run(&device, &params, a));
}

smelt_status smelt_cuda_sdpa_workspace(const struct smelt_sdpa_args *a, size_t *bytes)
{
    struct smelt_cuda_device device;
    smelt_sdpa_params params;
    *bytes = 0;
    SMELT_TRY(smelt_sdpa_fill(&params, a, "sdpa"));
    if (a->batch == 0 || a->heads == 0 || a->q_len == 0) return SMELT_OK;
    SMELT_TRY(smelt_cuda_enter(&device, &a->out, 0, "sdpa_workspace_size"));
    const struct smelt_sdpa_card card = {device.major, device.minor, device.multiprocessors};
    int kernel;
    /* the addresses are not known: room for the case that out is q, where that may be */
    const struct scratch need = plan(a, &params, &card, &kernel);
    *bytes = need.partial + need.copy;
    return smelt_cuda_leave(&device, SMELT_OK);
}
