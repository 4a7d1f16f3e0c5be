/* SPDX-License-Identifier: Apache-2.0 */
/* sdpa_merge on CUDA: one launch. */
#include "api/sdpa_merge.h"

#include "../launch.h"
#include "params.h"

/* The view without its first axis. */
static struct smelt_view of_one_chunk(const struct smelt_view *view)
{
    struct smelt_view chunk = *view;
    chunk.rank--;
    for (int i = 0; i < chunk.rank; i++)
        chunk.shape[i] = view->shape[i + 1], chunk.stride[i] = view->stride[i + 1];
    return chunk;
}

static smelt_status launch(const struct smelt_cuda_call *call, const struct smelt_sdpa_merge_args *a)
{
    struct smelt_view outs = of_one_chunk(a->outs), lses = of_one_chunk(a->lses);
    const struct smelt_view *views[SMELT_MERGE_TENSORS] = {a->out, a->lse, &outs, &lses};
    struct smelt_loop loop;
    smelt_merge_params p = {.chunks = a->outs->shape[0], .dim = a->outs->shape[4]};
    smelt_loop_init(&loop, SMELT_MERGE_TENSORS, views, 3, true);
    if (!loop.items) return SMELT_OK;
    smelt_walk_begin(&p.walk, &loop); /* three axes: one launch */
    p.outs_chunk = a->outs->stride[0] * a->outs->item, p.lses_chunk = a->lses->stride[0] * a->lses->item;
    p.out_step = smelt_view_step(a->out), p.outs_step = smelt_view_step(a->outs);
    p.streaming = smelt_cuda_streams(call, a->out->elements * a->out->item);
    for (int t = 0; t < SMELT_MERGE_TENSORS; t++) p.data[t] = views[t] ? views[t]->data : NULL;
    const int64_t count = 16 / a->out->item;
    const bool vectors = p.dim % count == 0 && p.out_step == a->out->item && p.outs_step == a->out->item &&
                         smelt_walk_aligned(&loop, SMELT_MERGE_OUT, a->out, 16) &&
                         smelt_walk_aligned(&loop, SMELT_MERGE_OUTS, &outs, 16) && p.outs_chunk % 16 == 0;
    const int64_t pieces = vectors ? p.dim / count : p.dim;
    p.lanes = 1;
    while (p.lanes < 32 && p.lanes < pieces) p.lanes *= 2;
    const int64_t rows = SMELT_MERGE_THREADS / p.lanes;
    const struct smelt_cuda_grid grid = {SMELT_IMAGE_sdpa_merge_f32 + (unsigned)a->out->dtype,
                                         vectors ? "smelt_merge_vectors" : "smelt_merge_elements",
                                         (p.walk.rows + rows - 1) / rows,
                                         SMELT_MERGE_THREADS,
                                         1,
                                         1};
    return smelt_cuda_launch(call, &grid, &p);
}

smelt_status smelt_cuda_sdpa_merge(const struct smelt_sdpa_merge_args *a)
{
    const struct smelt_view *views[] = {a->out, a->lse, a->outs, a->lses};
    struct smelt_cuda_call call;
    if (!a->out->elements && (!a->lse || !a->lse->elements)) return SMELT_OK;
    SMELT_TRY(smelt_cuda_begin(&call, "sdpa_merge", a->run, views, sizeof views / sizeof *views));
    return smelt_cuda_end(&call, launch(&call, a));
}
