/* SPDX-License-Identifier: Apache-2.0 */
/* smelt_sdpa on CUDA: from checked arguments to one launch (two where keys are split). */
#include "sdpa.h"

#include <limits.h>
#include <string.h>

#include "../device.h"
#include "launch.h"

static int type_of(const struct smelt_view *view)
{
    if (!view) return SMELT_TYPE_NONE;
    switch (view->dtype) {
    case SMELT_F32: return SMELT_TYPE_F32;
    case SMELT_F16: return SMELT_TYPE_F16;
    case SMELT_BF16: return SMELT_TYPE_BF16;
    default: return SMELT_TYPE_BOOL;
    }
}

/* Strides of axes of length 1 are 0 in a view: the kernels never step along those. */
static smelt_sdpa_view strided(const struct smelt_view *view)
{
    smelt_sdpa_view result = {view->data, view->stride[0], view->stride[1], view->stride[2], view->stride[3]};
    if (view->shape[3] == 1) result.column = 1;
    if (view->shape[2] == 1) result.row = (view->shape[3] + 7) / 8 * 8;
    return result;
}

static int32_t clamp(int64_t value)
{
    if (value > SMELT_SDPA_FAR) return SMELT_SDPA_FAR;
    return (int32_t)(value < -SMELT_SDPA_FAR ? -SMELT_SDPA_FAR : value);
}

static void fill_options(smelt_sdpa_params *p, const struct smelt_sdpa_args *a)
{
    if (a->mask)
        p->mask = (smelt_sdpa_view){a->mask->data, a->mask_stride[0], a->mask_stride[1], a->mask_stride[2],
                                    a->mask_stride[3]};
    p->mask_type = type_of(a->mask);
    if (a->sinks) p->sinks = a->sinks->data, p->sinks_stride = a->sinks->stride[0];
    p->sinks_type = type_of(a->sinks);
    if (a->key_mask) {
        p->key_mask = (const unsigned char *)a->key_mask->data;
        p->key_mask_batch = a->key_mask->stride[0] * a->key_mask->item;
        p->key_mask_column = a->key_mask->stride[1] * a->key_mask->item;
        p->key_mask_bytes = (int32_t)a->key_mask->item;
    }
    if (a->kv_lengths)
        p->kv_lengths = (const int32_t *)a->kv_lengths->data, p->kv_lengths_stride = a->kv_lengths->stride[0];
    if (a->kv_offsets)
        p->kv_offsets = (const int32_t *)a->kv_offsets->data, p->kv_offsets_stride = a->kv_offsets->stride[0];
    p->lower_right = a->kv_offset == SMELT_LOWER_RIGHT;
    p->kv_offset = p->lower_right ? 0 : clamp(a->kv_offset);
    p->left = a->window_left < 0 ? SMELT_SDPA_FAR : clamp(a->window_left);
    p->right = a->window_right < 0 ? SMELT_SDPA_FAR : clamp(a->window_right);
    p->scale_log2 = (float)(a->scale * 1.4426950408889634);
    p->softcap = a->softcap;
    p->softcap_inverse = a->softcap != 0 ? a->scale / a->softcap : 0;
}

static smelt_status fill(smelt_sdpa_params *p, const struct smelt_sdpa_args *a)
{
    const int64_t far = SMELT_SDPA_FAR;
    const int64_t tiles = a->batch * a->heads * ((a->q_len + 63) / 64) * ((a->value_dim + 127) / 128 + 1);
    if (a->q_len >= far || a->kv_len >= far || a->dim >= far || a->value_dim >= far || tiles >= INT_MAX / 2)
        return smelt_fail(SMELT_UNSUPPORTED,
                          "sdpa: q: expected fewer than 2^29 queries, keys and columns and "
                          "fewer than 2^30 tiles of 64 queries on CUDA");
    memset(p, 0, sizeof(*p));
    p->q = strided(a->q), p->k = strided(a->k), p->v = strided(a->v), p->out = strided(a->out);
    p->batch = (int32_t)a->batch, p->heads_q = (int32_t)a->heads, p->heads_kv = (int32_t)a->kv_heads;
    p->group = (int32_t)(a->heads / a->kv_heads);
    p->q_length = (int32_t)a->q_len, p->k_length = (int32_t)a->kv_len;
    p->head_dim = (int32_t)a->dim, p->value_dim = (int32_t)a->value_dim;
    p->type = type_of(a->out);
    p->q_type = type_of(a->q), p->k_type = type_of(a->k), p->v_type = type_of(a->v);
    if (a->lse) {
        p->lse = (float *)a->lse->data;
        p->lse_batch = a->lse->stride[0], p->lse_head = a->lse->stride[1], p->lse_row = a->lse->stride[2];
    }
    fill_options(p, a);
    return SMELT_OK;
}

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
    SMELT_TRY(fill(&params, a));
    if (a->batch == 0 || a->heads == 0 || a->q_len == 0 || (a->value_dim == 0 && !a->lse)) return SMELT_OK;
    SMELT_TRY(smelt_cuda_enter(&device, views, sizeof(views) / sizeof(views[0]), "sdpa"));
    return smelt_cuda_leave(&device, run(&device, &params, a));
}

smelt_status smelt_cuda_sdpa_workspace(const struct smelt_sdpa_args *a, size_t *bytes)
{
    struct smelt_cuda_device device;
    smelt_sdpa_params params;
    *bytes = 0;
    SMELT_TRY(fill(&params, a));
    if (a->batch == 0 || a->heads == 0 || a->q_len == 0) return SMELT_OK;
    SMELT_TRY(smelt_cuda_enter(&device, &a->out, 0, "sdpa_workspace_size"));
    const struct smelt_sdpa_card card = {device.major, device.minor, device.multiprocessors};
    int kernel;
    /* the addresses are not known: room for the case that out is q, where that may be */
    const struct scratch need = plan(a, &params, &card, &kernel);
    *bytes = need.partial + need.copy;
    return smelt_cuda_leave(&device, SMELT_OK);
}
