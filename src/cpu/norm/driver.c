/* SPDX-License-Identifier: Apache-2.0 */
/* Forward driver of the norm family: rows over threads, other layouts and mixed dtypes through copied rows.
 */
#include "cpu/norm/driver.h"

void smelt_norm_plan_init(struct smelt_norm_plan *plan, const struct smelt_norm_job *job)
{
    const struct smelt_view *const *view = job->view, *x = view[SMELT_NORM_X];
    plan->job = job;
    plan->run = *job->run;
    plan->dim = x->shape[x->rank - 1];
    plan->blocks = 0;
    smelt_loop_init(&plan->loop, SMELT_NORM_OPERANDS, view, x->rank - 1, false);

    const struct smelt_view *residual = view[SMELT_NORM_RESIDUAL] ? view[SMELT_NORM_RESIDUAL] : x;
    const struct smelt_view *out = view[SMELT_NORM_OUT] ? view[SMELT_NORM_OUT] : view[SMELT_NORM_SUM];
    bool once = job->options.round_once != 0;
    plan->kernel = job->kernels->run[once][residual->dtype][x->dtype][out->dtype];
    bool convert = !plan->kernel;
    if (convert) plan->kernel = job->kernels->run[once][SMELT_F32][SMELT_F32][SMELT_F32];

    int64_t bytes = 0, written = 0, room = 0;
    plan->staged = 0;
    for (int k = 0; k < SMELT_NORM_OPERANDS; k++) {
        const struct smelt_view *v = view[k];
        if (!v) continue;
        bytes += v->elements * v->item;
        if (job->outputs >> k & 1) written += v->elements * v->item;
        plan->dtype[k] = convert ? SMELT_F32 : v->dtype;
        if (plan->dtype[k] == v->dtype && (plan->dim == 1 || v->stride[v->rank - 1] == 1)) continue;
        plan->staged |= 1u << k;
        plan->stage[k] = room;
        room += (plan->dim * smelt_dtype_size(plan->dtype[k]) + 63) & ~(int64_t)63;
    }
    plan->row = room;
    int64_t row_step = (plan->dim + 15) & ~(int64_t)15;
    if (job->row) room += row_step * 4 * smelt_norm_group(plan->dim);
    plan->slot_size = room;
    smelt_run_limit(&plan->run, bytes);
    plan->rows = (struct smelt_norm_rows){.dim = plan->dim,
                                          .row_step = row_step,
                                          .eps = job->options.eps,
                                          .stream = written > plan->run.llc_bytes};
}

/* The product of weight and scalar serves gradients; forward the scalar follows by itself. */
static void lay_out(struct smelt_norm_plan *plan, struct smelt_norm_arena *arena)
{
    const struct smelt_norm_job *job = plan->job;
    struct smelt_norm_rows *rows = &plan->rows;
    int64_t dim = plan->dim;
    arena->used = 0;
    enum smelt_dtype dtype = job->column_dtype;
    rows->gain = plan->weight = smelt_norm_column(arena, job->weight, dim, job->options.weight_offset,
                                                  job->gain_dtype, dtype, SMELT_NORM_ONE);
    rows->scale = smelt_norm_column(arena, job->scalar, dim, 0, SMELT_F32, SMELT_F32, SMELT_NORM_ONE);
    rows->shift =
        smelt_norm_column(arena, job->bias, dim, 0, job->bias_dtype, dtype, SMELT_NORM_NEGATIVE_ZERO);
    if (job->view[SMELT_NORM_DX] || job->view[SMELT_NORM_DRESIDUAL] || plan->blocks)
        rows->gain = smelt_norm_column_product(arena, dim, plan->weight, rows->scale);
    plan->slots = plan->slot_size ? smelt_norm_take(arena, plan->run.slots, plan->slot_size) : NULL;
    plan->by_norm = plan->blocks ? smelt_norm_take(arena, plan->blocks * dim, sizeof(float)) : NULL;
    plan->by_dout = plan->blocks && (job->dbias || job->dscalar_by_dout)
                        ? smelt_norm_take(arena, plan->blocks * dim, sizeof(float))
                        : NULL;
}

smelt_status smelt_norm_plan_memory(struct smelt_norm_plan *plan)
{
    struct smelt_norm_arena arena = {0};
    lay_out(plan, &arena);
    if (arena.too_large)
        return smelt_fail(SMELT_OUT_OF_MEMORY, "%s: no memory for scratch of rows of %lld elements",
                          plan->job->operation, (long long)plan->dim);
    if (!arena.used) return SMELT_OK;
    void *memory;
    SMELT_TRY(smelt_scratch(&plan->run, plan->job->operation, arena.used, &memory));
    arena.memory = memory;
    lay_out(plan, &arena);
    return SMELT_OK;
}

/* One row at a time, with the operands in `staged` copied in before and out after. */
static void run_staged(const struct smelt_norm_plan *plan, struct smelt_norm_rows *rows,
                       const struct smelt_span *span, char *room)
{
    const struct smelt_norm_job *job = plan->job;
    rows->rows = 1;
    for (int64_t r = 0; r < span->count; r++) {
        for (int k = 0; k < SMELT_NORM_OPERANDS; k++) {
            const struct smelt_view *v = job->view[k];
            if (!v) continue;
            char *data = v->data + span->offset[k] + r * plan->loop.step[k];
            rows->data[k] = plan->staged >> k & 1 ? room + plan->stage[k] : data;
            if ((plan->staged & ~job->outputs) >> k & 1)
                smelt_norm_gather(rows->data[k], plan->dtype[k], data, v->dtype,
                                  v->stride[v->rank - 1] * v->item, plan->dim);
        }
        plan->kernel(rows);
        for (int k = 0; k < SMELT_NORM_OPERANDS; k++) {
            if (!((plan->staged & job->outputs) >> k & 1)) continue;
            const struct smelt_view *v = job->view[k];
            smelt_norm_scatter(v->data + span->offset[k] + r * plan->loop.step[k], v->dtype,
                               v->stride[v->rank - 1] * v->item, rows->data[k], plan->dtype[k], plan->dim);
        }
    }
}

void smelt_norm_run_rows(const struct smelt_norm_plan *plan, struct smelt_norm_rows rows, int64_t begin,
                         int64_t end, int slot)
{
    char *room = plan->slots ? plan->slots + slot * plan->slot_size : NULL;
    rows.row = (float *)(room ? room + plan->row : NULL);
    if (plan->staged) rows.stream = false;
    for (struct smelt_span s = smelt_loop_span(&plan->loop, begin, end); s.count;
         smelt_loop_next(&plan->loop, &s)) {
        if (plan->staged) {
            run_staged(plan, &rows, &s, room);
            continue;
        }
        for (int k = 0; k < SMELT_NORM_OPERANDS; k++) {
            if (!plan->job->view[k]) continue;
            rows.data[k] = plan->job->view[k]->data + s.offset[k];
            rows.step[k] = plan->loop.step[k];
        }
        rows.rows = s.count;
        plan->kernel(&rows);
    }
}

static void forward_task(void *argument, int64_t begin, int64_t end, int slot)
{
    const struct smelt_norm_plan *plan = argument;
    smelt_norm_run_rows(plan, plan->rows, begin, end, slot);
}

smelt_status smelt_norm_forward(const struct smelt_norm_job *job)
{
    if (!job->view[SMELT_NORM_X]->elements) return SMELT_OK;
    struct smelt_norm_plan plan;
    smelt_norm_plan_init(&plan, job);
    SMELT_TRY(smelt_norm_plan_memory(&plan));
    smelt_parallel(&plan.run, SMELT_EVEN, plan.loop.items, forward_task, &plan);
    return SMELT_OK;
}
