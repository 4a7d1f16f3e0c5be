/* SPDX-License-Identifier: Apache-2.0 */
/* smelt_sdpa_vjp on CUDA: from checked arguments to the launches. */
#include "vjp.h"

#include <limits.h>
#include <string.h>

#include "../device.h"
#include "fill.h"
#include "vjp_launch.h"

static smelt_sdpa_view view_of(const struct smelt_view *view)
{
    return view && view->elements ? smelt_sdpa_strided(view) : (smelt_sdpa_view){0};
}

static void fill_mask(smelt_sdpa_vjp_params *g, const struct smelt_view *dmask)
{
    if (!dmask || !dmask->elements) return;
    int64_t strides[4] = {0};
    for (int axis = 0; axis < 4; axis++) {
        const int own = axis - (4 - dmask->rank);
        g->dmask_length[axis] = own < 0 ? 1 : (int32_t)dmask->shape[own];
        strides[axis] = own < 0 ? 0 : dmask->stride[own];
    }
    g->dmask = (smelt_sdpa_view){dmask->data, strides[0], strides[1], strides[2], strides[3]};
}

static smelt_status fill(smelt_sdpa_vjp_params *g, const struct smelt_sdpa_vjp_args *a)
{
    const struct smelt_sdpa_args *forward = &a->forward;
    memset(g, 0, sizeof(*g));
    SMELT_TRY(smelt_sdpa_fill(&g->forward, forward, "sdpa_vjp"));
    const int64_t columns = (forward->dim > forward->value_dim ? forward->dim : forward->value_dim) / 128 + 1;
    const int64_t tiles = forward->batch * forward->heads * (forward->q_len / 64 + 4) * columns,
                  key_tiles = forward->batch * forward->kv_heads * (forward->kv_len / 64 + 1) * columns;
    if (tiles >= INT_MAX / 8 || key_tiles >= INT_MAX || (a->dmask && a->dmask->elements >= (int64_t)1 << 40))
        return smelt_fail(SMELT_UNSUPPORTED,
                          "sdpa_vjp: q: expected fewer than 2^28 tiles of 64 queries or keys and 128 columns "
                          "on CUDA");
    g->dout = view_of(a->dout);
    g->dq = view_of(a->dq), g->dk = view_of(a->dk), g->dv = view_of(a->dv);
    fill_mask(g, a->dmask);
    if (a->dsinks && a->dsinks->elements)
        g->dsinks = a->dsinks->data, g->dsinks_stride = a->dsinks->stride[0];
    if (a->dlse) {
        g->dlse = (const float *)(const void *)a->dlse->data;
        g->dlse_batch = a->dlse->stride[0], g->dlse_head = a->dlse->stride[1],
        g->dlse_row = a->dlse->stride[2];
    }
    g->scale = forward->scale;
    return SMELT_OK;
}

/* Scratch is the caller's where that is large enough (it is sized for the forward call), else stream-ordered
 * memory that is given back right after the launches. */
static smelt_status run(struct smelt_cuda_device *device, smelt_sdpa_vjp_params *g,
                        const struct smelt_sdpa_vjp_args *a)
{
    const struct smelt_sdpa_card card = {device->major, device->minor, device->multiprocessors};
    const smelt_stream *stream = &a->forward.run->stream;
    CUstream queue = stream->cuda_stream;
    struct smelt_vjp_plan plan;
    const size_t bytes = smelt_vjp_plan(g, &plan, &card);
    if (stream->workspace && stream->workspace_size >= bytes && (uintptr_t)stream->workspace % 256 == 0) {
        smelt_vjp_bind(g, stream->workspace);
        return smelt_cuda_status(smelt_vjp_launch(g, &plan, queue), "sdpa_vjp", "launch");
    }
    CUdeviceptr memory = 0;
    SMELT_TRY(smelt_cuda_status(device->driver->MemAllocAsync(&memory, bytes ? bytes : 256, queue),
                                "sdpa_vjp", "scratch"));
    smelt_vjp_bind(g, (void *)(uintptr_t)memory);
    const smelt_status status = smelt_cuda_status(smelt_vjp_launch(g, &plan, queue), "sdpa_vjp", "launch");
    const CUresult freed = device->driver->MemFreeAsync(memory, queue);
    return status != SMELT_OK ? status : smelt_cuda_status(freed, "sdpa_vjp", "scratch");
}

smelt_status smelt_cuda_sdpa_vjp(const struct smelt_sdpa_vjp_args *a)
{
    const struct smelt_sdpa_args *f = &a->forward;
    const struct smelt_view *views[] = {
        f->q,  f->k,     f->v,      f->out,  f->lse,   a->dout,     a->dlse,       a->dq,        a->dk,
        a->dv, a->dmask, a->dsinks, f->mask, f->sinks, f->key_mask, f->kv_lengths, f->kv_offsets};
    struct smelt_cuda_device device;
    smelt_sdpa_vjp_params params;
    SMELT_TRY(fill(&params, a));
    SMELT_TRY(smelt_cuda_enter(&device, views, sizeof(views) / sizeof(views[0]), "sdpa_vjp"));
    return smelt_cuda_leave(&device, run(&device, &params, a));
}
