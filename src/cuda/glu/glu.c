/* SPDX-License-Identifier: Apache-2.0 */
/* glu and its gradient on CUDA: one launch. */
#include "api/glu.h"

#include "../launch.h"
#include "params.h"

static const char *const names[2][9] = {{
#define NAME(name, activation, vectors) #name,
                                            SMELT_GLU_ROWS(NAME)},
                                        {SMELT_GLU_VJP_ROWS(NAME)}};
#undef NAME

struct job {
    const char *operation;
    const struct smelt_run *run;
    const struct smelt_view *view[SMELT_GLU_TENSORS];
    smelt_activation activation;
    bool gradient;
};

/* Elements of the last axis are neighbours everywhere, and rows begin on 16 bytes. */
static bool by_vectors(const struct job *job, const struct smelt_loop *loop)
{
    const struct smelt_view *gate = job->view[SMELT_GLU_GATE];
    struct smelt_loop rows = *loop;
    rows.axes--;
    if (loop->step[SMELT_GLU_GATE] != gate->item || loop->shape[rows.axes] < 16 / gate->item) return false;
    for (int t = 0; t < SMELT_GLU_TENSORS; t++)
        if (job->view[t] && (loop->step[t] != gate->item || !smelt_walk_aligned(&rows, t, job->view[t], 16)))
            return false;
    return true;
}

/* The last axis becomes the columns. */
static void split(struct smelt_loop *loop, smelt_glu_params *p, int64_t count)
{
    p->length = loop->shape[loop->axes - 1];
    p->vectors = (p->length + count - 1) / count;
    loop->axes--;
    if (loop->axes) return;
    loop->axes = 1, loop->shape[0] = 1;
    for (int t = 0; t < loop->tensors; t++) loop->stride[t][0] = 0;
}

static smelt_status launch(const struct smelt_cuda_call *call, const struct job *job, struct smelt_loop *loop)
{
    const struct smelt_view *gate = job->view[SMELT_GLU_GATE];
    smelt_glu_params p = {.length = 1, .vectors = 1};
    const bool vectors = by_vectors(job, loop);
    if (vectors) split(loop, &p, 16 / gate->item);
    const int64_t launches = smelt_walk_begin(&p.walk, loop), work = p.walk.rows * p.vectors;
    p.narrow = work < INT32_MAX - 2 * SMELT_GLU_THREADS;
    p.streaming = smelt_cuda_streams(call, gate->elements * gate->item);
    /* two a thread where that leaves every multiprocessor enough to do */
    const int a_thread = vectors ? 1 + (work > (int64_t)call->device.multiprocessors * 4096) : 0;
    int64_t blocks = (work + SMELT_GLU_THREADS - 1) / SMELT_GLU_THREADS;
    if (a_thread == 2) blocks = (blocks + 1) / 2;
    if (!vectors) blocks = smelt_cuda_blocks(blocks);
    const struct smelt_cuda_grid grid = {SMELT_IMAGE_glu_f32 + (unsigned)gate->dtype,
                                         names[job->gradient][3 * (int)job->activation + a_thread],
                                         blocks,
                                         SMELT_GLU_THREADS,
                                         1,
                                         1};
    for (int64_t n = 0; n < launches; n++) {
        int64_t shift[SMELT_LOOP_TENSORS];
        smelt_walk_shift(loop, n, shift);
        for (int t = 0; t < SMELT_GLU_TENSORS; t++)
            p.data[t] = job->view[t] ? job->view[t]->data + shift[t] : NULL;
        SMELT_TRY(smelt_cuda_launch(call, &grid, &p));
    }
    return SMELT_OK;
}

static smelt_status run(const struct job *job)
{
    const struct smelt_view *gate = job->view[SMELT_GLU_GATE];
    struct smelt_cuda_call call;
    struct smelt_loop loop;
    if (!gate->elements) return SMELT_OK;
    SMELT_TRY(smelt_cuda_begin(&call, job->operation, job->run, job->view, SMELT_GLU_TENSORS));
    smelt_loop_init(&loop, SMELT_GLU_TENSORS, job->view, gate->rank, true);
    return smelt_cuda_end(&call, launch(&call, job, &loop));
}

smelt_status smelt_cuda_glu(const struct smelt_glu_args *a)
{
    const struct job job = {"glu", a->run, {a->gate, a->up, a->out}, a->activation, false};
    return run(&job);
}

smelt_status smelt_cuda_glu_vjp(const struct smelt_glu_vjp_args *a)
{
    const struct job job = {
        "glu_vjp", a->run, {a->gate, a->up, a->dout, a->dgate, a->dup}, a->activation, true};
    return run(&job);
}
