/* SPDX-License-Identifier: Apache-2.0 */
/* The norm family on CUDA: one launch forward; a gradient takes a second one for the sums over rows, and a
 * third where a scalar of length 1 has one. */
#include "norm.h"

#include <string.h>

struct kernel {
    const char *name;
    int kind, vectors;
};
static const struct kernel kernels[2][16] = {{
#define KERNEL(name, kind, vectors) {#name, kind, vectors},
                                                 SMELT_NORM_FORWARD_ROWS(KERNEL)},
                                             {SMELT_NORM_VJP_ROWS(KERNEL)}};
#undef KERNEL
static const char *const generic_names[2][SMELT_NORM_KINDS] = {{
#define NAME(name, kind) #name,
                                                                   SMELT_NORM_GENERIC_ROWS(NAME)},
                                                               {SMELT_NORM_GENERIC_VJP_ROWS(NAME)}};
#undef NAME

static const char *kernel_name(const struct smelt_cuda_norm *job, int vectors)
{
    const struct kernel *k = kernels[job->gradient];
    while (k->name && (k->kind != job->kind || k->vectors != vectors)) k++;
    return k->name;
}

static smelt_norm_column column(const struct smelt_view *view)
{
    if (!view) return (smelt_norm_column){0};
    return (smelt_norm_column){view->data, view->shape[0] == 1 ? 0 : view->stride[0] * view->item,
                               (int32_t)view->dtype};
}

/* Neighbours, aligned, and of this type; a column of one element needs only the type. */
static bool plain_column(const struct smelt_view *view, enum smelt_dtype dtype, int64_t dim)
{
    if (!view) return true;
    if (view->dtype != dtype) return false;
    return (view->shape[0] == 1 && dim > 1) || (view->stride[0] == 1 && (uintptr_t)view->data % 16 == 0);
}

/* The one type of everything, in whole vectors. */
static bool is_plain(const struct smelt_cuda_norm *job, const struct smelt_loop *loop, int64_t dim)
{
    const struct smelt_view *x = job->view[SMELT_ROW_X];
    if (dim * x->item % 16) return false;
    for (int t = 0; t < SMELT_WALK_TENSORS; t++) {
        const struct smelt_view *view = job->view[t];
        if (view && (view->dtype != x->dtype || view->stride[view->rank - 1] != 1 ||
                     !smelt_walk_aligned(loop, t, view, 16)))
            return false;
    }
    return plain_column(job->weight, x->dtype, dim) && plain_column(job->bias, x->dtype, dim) &&
           plain_column(job->scalar, x->dtype, dim);
}

static void fill(smelt_norm_params *p, const struct smelt_cuda_norm *job, const struct smelt_loop *loop,
                 int64_t dim)
{
    p->weight = column(job->weight), p->bias = column(job->bias), p->scalar = column(job->scalar);
    p->dim = dim, p->inverse_dim = 1.0f / (float)dim;
    p->eps = job->options.eps, p->weight_offset = job->options.weight_offset;
    p->round_once = job->options.round_once != 0;
    for (int t = 0; t < SMELT_WALK_TENSORS; t++) {
        const struct smelt_view *view = job->view[t];
        if (!view) continue;
        p->type[t] = (int32_t)view->dtype;
        p->step[t] = smelt_view_step(view);
        p->packed[t] =
            dim % 4 == 0 && p->step[t] == view->item && smelt_walk_aligned(loop, t, view, 4 * view->item);
    }
    if (job->view[SMELT_ROW_OUT]) p->gain_type = p->bias_type = (int32_t)job->view[SMELT_ROW_OUT]->dtype;
}

/* The launches over rows; sums of launch n begin at n * teams * dim. */
static smelt_status run_rows(const struct smelt_cuda_call *call, const struct smelt_cuda_norm *job,
                             const struct smelt_loop *loop, const struct smelt_cuda_grid *grid,
                             int64_t launches, int64_t teams, smelt_norm_params *p)
{
    for (int64_t n = 0; n < launches; n++) {
        int64_t shift[SMELT_LOOP_TENSORS];
        smelt_walk_shift(loop, n, shift);
        for (int t = 0; t < SMELT_WALK_TENSORS; t++)
            p->data[t] = job->view[t] ? job->view[t]->data + shift[t] : NULL;
        SMELT_TRY(smelt_cuda_launch(call, grid, p));
        if (p->by_norm) p->by_norm += teams * p->dim;
        if (p->by_dout) p->by_dout += teams * p->dim;
    }
    return SMELT_OK;
}

static smelt_status run_columns(const struct smelt_cuda_call *call, const struct smelt_cuda_norm *job,
                                smelt_norm_columns_params *p)
{
    struct smelt_cuda_grid grid = {
        SMELT_IMAGE_norm_columns, "smelt_norm_columns", (p->dim + 31) / 32, 32, 32, 1};
    p->weight = column(job->weight), p->scalar = column(job->scalar),
    p->weight_offset = job->options.weight_offset;
    p->dweight = column(job->dweight), p->dbias = column(job->dbias), p->dscalar = column(job->dscalar);
    if (p->dim) SMELT_TRY(smelt_cuda_launch(call, &grid, p));
    if (!job->dscalar || job->dscalar->shape[0] != 1) return SMELT_OK;
    grid.kernel = "smelt_norm_scalar", grid.blocks = 1, grid.threads_x = 1024, grid.threads_y = 1;
    return smelt_cuda_launch(call, &grid, p);
}

/* Which kernel, and on what grid; returns the number of teams. */
static int64_t choose(const struct smelt_cuda_call *call, const struct smelt_cuda_norm *job, bool plain,
                      smelt_norm_params *p, struct smelt_cuda_grid *grid)
{
    const struct smelt_cuda_device *device = &call->device;
    const int type = (int)job->view[SMELT_ROW_X]->dtype;
    struct smelt_norm_plan plan = {0};
    if (plain)
        plan = smelt_norm_plan(job, type, p->walk.rows, p->dim, device->multiprocessors,
                               device->major >= 9 ? 8 : 1);
    if (plan.vectors) {
        *grid = (struct smelt_cuda_grid){
            (job->gradient ? SMELT_IMAGE_norm_vjp_f32 : SMELT_IMAGE_norm_forward_f32) + (unsigned)type,
            kernel_name(job, plan.vectors),
            plan.blocks,
            plan.threads,
            1,
            plan.cluster};
        p->lanes = plan.lanes, p->cluster = plan.cluster;
        return plan.blocks / plan.cluster * (plan.lanes > 32 ? 1 : plan.threads / plan.lanes);
    }
    int64_t blocks = smelt_cuda_blocks(p->walk.rows);
    if (job->gradient) { /* each has sums in memory */
        const int64_t room = ((int64_t)1 << 26) / p->dim, most = 4 * device->multiprocessors;
        if (blocks > most) blocks = most;
        if (blocks > room) blocks = room > 0 ? room : 1;
    }
    *grid = (struct smelt_cuda_grid){SMELT_IMAGE_norm_generic,
                                     generic_names[job->gradient][job->kind],
                                     blocks,
                                     SMELT_NORM_GENERIC_THREADS,
                                     1,
                                     1};
    return blocks;
}

static smelt_status run(struct smelt_cuda_call *call, const struct smelt_cuda_norm *job,
                        const struct smelt_loop *loop, int64_t dim)
{
    smelt_norm_params p = {0};
    smelt_norm_columns_params columns = {.dim = dim};
    const bool by_norm = job->dweight || job->dscalar, empty = loop->items == 0 || dim == 0;
    const bool by_dout = job->dbias || (job->dscalar && job->kind == SMELT_NORM_ADD_TO);
    const bool single = job->dscalar && job->dscalar->shape[0] == 1;
    int64_t launches = 0, teams = 0, written = 0;
    struct smelt_cuda_grid grid = {0};
    if (!empty) {
        launches = smelt_walk_begin(&p.walk, loop);
        fill(&p, job, loop, dim);
        teams = choose(call, job, is_plain(job, loop, dim), &p, &grid);
        for (int t = job->gradient ? SMELT_ROW_DX : SMELT_ROW_OUT; t < SMELT_WALK_TENSORS; t++)
            if (job->view[t]) written += job->view[t]->elements * job->view[t]->item;
        p.streaming = smelt_cuda_streams(call, written);
    }
    columns.teams = launches * teams;
    const int64_t sums = columns.teams * dim, floats = sums * (by_norm + by_dout) + (single ? dim : 0);
    void *memory;
    SMELT_TRY(smelt_cuda_scratch(call, (size_t)floats * sizeof(float), &memory));
    float *next = memory;
    if (by_norm && sums) columns.by_norm = p.by_norm = next, next += sums;
    if (by_dout && sums) columns.by_dout = p.by_dout = next, next += sums;
    if (single) columns.terms = next;
    if (!empty) SMELT_TRY(run_rows(call, job, loop, &grid, launches, teams, &p));
    return by_norm || by_dout ? run_columns(call, job, &columns) : SMELT_OK;
}

smelt_status smelt_cuda_norm(const struct smelt_cuda_norm *job)
{
    const struct smelt_view *x = job->view[SMELT_ROW_X];
    const struct smelt_view *views[] = {
        x,           job->view[1], job->view[2], job->view[3], job->view[4], job->view[5],
        job->weight, job->bias,    job->scalar,  job->dweight, job->dbias,   job->dscalar};
    const bool columns = job->dweight || job->dbias || job->dscalar;
    struct smelt_loop loop;
    struct smelt_cuda_call call;
    if (!columns && x->elements == 0) return SMELT_OK;
    smelt_loop_init(&loop, SMELT_WALK_TENSORS, job->view, x->rank - 1, false);
    SMELT_TRY(smelt_cuda_begin(&call, job->operation, job->run, views, sizeof views / sizeof *views));
    return smelt_cuda_end(&call, run(&call, job, &loop, x->shape[x->rank - 1]));
}
