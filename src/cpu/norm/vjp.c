/* SPDX-License-Identifier: Apache-2.0 */
/* Gradient driver of the norm family. Sums over rows are made in blocks of rows that the shape alone decides,
 * and added up in their order: the result does not depend on the threads. */
#include "cpu/norm/driver.h"

enum {
    LEAST_ROWS = 16,       /* of a block, while there are few blocks: its sums are cleared and added once */
    MOST_ROWS = 128,       /* float32 sums stay exact enough */
    ENOUGH_BLOCKS = 64,    /* for any number of cores in sight */
    MOST_FLOATS = 4 << 20, /* of all blocks together */
    CHUNK = 512,           /* columns that are added up at a time */
};

static int64_t divide_up(int64_t a, int64_t b) { return a / b + (a % b != 0); }
static int64_t least(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t most(int64_t a, int64_t b) { return a > b ? a : b; }

static int64_t block_rows(int64_t rows, int64_t dim)
{
    int64_t blocks = most(least(divide_up(rows, LEAST_ROWS), ENOUGH_BLOCKS), divide_up(rows, MOST_ROWS));
    blocks = least(blocks, most(MOST_FLOATS / dim, 1));
    return divide_up(rows, blocks);
}

static void block_task(void *argument, int64_t begin, int64_t end, int slot)
{
    const struct smelt_norm_plan *plan = argument;
    int64_t items = plan->loop.items, dim = plan->dim;
    if (!plan->blocks) {
        smelt_norm_run_rows(plan, plan->rows, begin, end, slot);
        return;
    }
    int64_t per = divide_up(items, plan->blocks);
    for (int64_t block = begin; block < end; block++) {
        struct smelt_norm_rows rows = plan->rows;
        rows.by_norm = plan->by_norm + block * dim;
        rows.by_dout = plan->by_dout ? plan->by_dout + block * dim : NULL;
        memset(rows.by_norm, 0, (size_t)dim * sizeof(float));
        if (rows.by_dout) memset(rows.by_dout, 0, (size_t)dim * sizeof(float));
        smelt_norm_run_rows(plan, rows, block * per, least((block + 1) * per, items), slot);
    }
}

static void store_column(const struct smelt_view *view, int64_t at, const float *values, int64_t n)
{
    int64_t step = view->stride[0] * view->item;
    smelt_norm_scatter(view->data + at * step, view->dtype, step, values, SMELT_F32, n);
}

static void store_zeros(const struct smelt_view *view)
{
    static const float zeros[CHUNK];
    if (!view) return;
    for (int64_t i = 0; i < view->elements; i += CHUNK)
        store_column(view, i, zeros, least(CHUNK, view->elements - i));
}

static bool single(const struct smelt_norm_plan *plan, const struct smelt_view *view)
{
    return view->shape[0] == 1 && plan->dim != 1;
}

/* Chunks [begin, end) of the columns: from the blocks to the gradients. A scalar gradient of one element
 * leaves its terms in the first block. */
static void column_task(void *argument, int64_t begin, int64_t end, int slot)
{
    const struct smelt_norm_plan *plan = argument;
    const struct smelt_norm_job *job = plan->job;
    const struct smelt_norm_column_kernels *kernels = smelt_norm_best_columns();
    (void)slot;
    for (int64_t at = begin * CHUNK; at < end * CHUNK && at < plan->dim; at += CHUNK) {
        int64_t n = least(CHUNK, plan->dim - at);
        _Alignas(64) float by_norm[CHUNK], by_dout[CHUNK], values[CHUNK];
        kernels->sum(by_norm, plan->by_norm + at, plan->blocks, plan->dim, n);
        if (plan->by_dout) kernels->sum(by_dout, plan->by_dout + at, plan->blocks, plan->dim, n);
        if (job->dweight) {
            kernels->product(values, by_norm, plan->rows.scale, at, NULL, n);
            store_column(job->dweight, at, values, n);
        }
        if (job->dbias) store_column(job->dbias, at, by_dout, n);
        if (job->dscalar) {
            kernels->product(values, by_norm, plan->weight, at, plan->by_dout ? by_dout : NULL, n);
            if (single(plan, job->dscalar))
                memcpy(plan->by_norm + at, values, (size_t)n * sizeof *values);
            else
                store_column(job->dscalar, at, values, n);
        }
    }
}

static void finish_columns(struct smelt_norm_plan *plan)
{
    const struct smelt_norm_job *job = plan->job;
    plan->run = *job->run;
    smelt_run_limit(&plan->run, plan->blocks * plan->dim * (int64_t)sizeof(float));
    smelt_parallel(&plan->run, SMELT_EVEN, divide_up(plan->dim, CHUNK), column_task, plan);
    if (!job->dscalar || !single(plan, job->dscalar)) return;
    double total = 0;
    for (int64_t i = 0; i < plan->dim; i++) total += (double)plan->by_norm[i];
    smelt_store_float(job->dscalar->dtype, job->dscalar->data, (float)total);
}

smelt_status smelt_norm_vjp(const struct smelt_norm_job *job)
{
    bool columns = job->dweight || job->dbias || job->dscalar;
    if (!columns && !job->view[SMELT_NORM_DX] && !job->view[SMELT_NORM_DRESIDUAL]) return SMELT_OK;
    if (!job->view[SMELT_NORM_X]->elements) {
        store_zeros(job->dweight);
        store_zeros(job->dbias);
        store_zeros(job->dscalar);
        return SMELT_OK;
    }
    struct smelt_norm_plan plan;
    smelt_norm_plan_init(&plan, job);
    int64_t items = plan.loop.items;
    if (columns) plan.blocks = divide_up(items, block_rows(items, plan.dim));
    SMELT_TRY(smelt_norm_plan_memory(&plan));
    smelt_parallel(&plan.run, SMELT_EVEN, columns ? plan.blocks : items, block_task, &plan);
    if (columns) finish_columns(&plan);
    return SMELT_OK;
}
