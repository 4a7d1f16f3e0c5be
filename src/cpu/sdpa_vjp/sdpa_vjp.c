/* SPDX-License-Identifier: Apache-2.0 */
/* sdpa_vjp on the CPU: five products per tile of scores, which are computed again from lse. */
#include <string.h>

#include "cpu/sdpa_vjp/work.h"

/* dout values that are not finite, which the packed rows leave out, for the keys that see them. */
static void add_wild(const struct vjp_plan *plan, struct vjp_work *work, float *sums, int64_t b, int64_t head,
                     int64_t row, int64_t at, int64_t count, int64_t keys)
{
    const struct smelt_view *dout = plan->args->dout;
    int64_t panel = plan->kernels->panel, value_dim = plan->forward->value_dim;
    for (int64_t r = 0; r < count; r++) {
        if (!work->queries.wild[at + r]) continue;
        int64_t h = vjp_head(plan, head, row + r), i = (row + r) % plan->forward->q_len;
        vjp_load(plan, dout, vjp_at(dout, b, h, i), work->line, value_dim);
        for (int64_t d = 0; d < value_dim; d++)
            for (int64_t j = 0; !isfinite(work->line[d]) && j < keys; j++) {
                float p = work->scores[r * VJP_BLOCK + j];
                if (p != 0) sums[d / panel * panel * VJP_BLOCK + j * panel + d % panel] += p * work->line[d];
            }
    }
}

/* The rows of a chunk against the packed key block; dk and dv of the block grow in `sums`. */
static void add_block(const struct vjp_plan *plan, struct vjp_work *work, float *sums, int64_t b,
                      int64_t head, int64_t row, int64_t rows, int64_t key, int64_t keys)
{
    const struct smelt_sdpa_args *a = plan->forward;
    const struct smelt_sdpa_vjp_args *args = plan->args;
    const struct smelt_sdpa_vjp_kernels *kernels = plan->kernels;
    float *value_sums = sums + VJP_BLOCK * plan->columns;
    for (int64_t at = 0; at < rows; at += VJP_BLOCK) {
        int64_t count = rows - at < VJP_BLOCK ? rows - at : VJP_BLOCK;
        if (!vjp_tile(plan, work, b, head, row + at, at, count, key, keys, false)) continue;
        if (args->dv && args->dout) {
            kernels->sum_queries(value_sums, work->scores, work->queries.flat_dout + at * plan->value_columns,
                                 count, keys, a->value_dim);
            add_wild(plan, work, value_sums, b, head, row + at, at, count, keys);
        }
        if (args->dk)
            kernels->sum_queries(sums, work->slopes, work->queries.flat + at * plan->columns, count, keys,
                                 a->dim);
        if (args->dq)
            kernels->sum_keys(work->queries.sums + at * plan->columns, work->slopes, work->keys.flat, count,
                              keys, a->dim);
    }
}

/* Row r of flat sums to its place. */
static void store_flat(const struct vjp_plan *plan, struct vjp_work *work, const struct smelt_view *view,
                       char *to, const float *sums, int64_t r, float factor, int64_t n)
{
    int64_t panel = plan->kernels->panel;
    for (int64_t i = 0; i < n; i += panel)
        memcpy(work->line + i, sums + i * VJP_BLOCK + r * panel,
               (size_t)(n - i < panel ? n - i : panel) * sizeof(float));
    vjp_store(plan, view, to, work->line, factor, n);
}

static void store_keys(const struct vjp_plan *plan, struct vjp_work *work, const float *sums, int64_t b,
                       int64_t head, int64_t key, int64_t keys)
{
    const struct smelt_view *dk = plan->args->dk, *dv = plan->args->dv;
    const struct smelt_sdpa_args *a = plan->forward;
    const float *value_sums = sums + VJP_BLOCK * plan->columns;
    for (int64_t j = 0; dk && j < keys; j++)
        store_flat(plan, work, dk, vjp_at(dk, b, head, key + j), sums, j, a->scale, a->dim);
    for (int64_t j = 0; dv && a->value_dim && j < keys; j++)
        store_flat(plan, work, dv, vjp_at(dv, b, head, key + j), value_sums, j, 1, a->value_dim);
}

static void store_queries(const struct vjp_plan *plan, struct vjp_work *work, int64_t b, int64_t head,
                          int64_t row, int64_t rows)
{
    const struct smelt_view *dq = plan->args->dq;
    for (int64_t r = 0; dq && r < rows; r++) {
        char *to = vjp_at(dq, b, vjp_head(plan, head, row + r), (row + r) % plan->forward->q_len);
        const float *block = work->queries.sums + r / VJP_BLOCK * VJP_BLOCK * plan->columns;
        store_flat(plan, work, dq, to, block, r % VJP_BLOCK, plan->forward->scale, plan->forward->dim);
    }
}

static int64_t keys_of_block(const struct vjp_plan *plan, int64_t block)
{
    int64_t left = plan->forward->kv_len - block * VJP_BLOCK;
    return left < VJP_BLOCK ? left : VJP_BLOCK;
}

/* One part of the rows of a key head. Sums of dk and dv lie in the part's place, or in the slot's: there of
 * all key blocks while there are chunks to come, else of one block at a time. */
static void run_part(const struct vjp_plan *plan, struct vjp_work *work, int64_t part, int64_t b,
                     int64_t head)
{
    int64_t begin = part % plan->parts * plan->part_rows, end = begin + plan->part_rows;
    if (end > plan->rows) end = plan->rows;
    bool own = plan->parts == 1, whole = !own || plan->chunk_rows < plan->part_rows;
    float *all = own ? work->key_sums : plan->partials + part * plan->part_floats;
    if (whole) memset(all, 0, (size_t)plan->part_floats * sizeof(float));
    for (int64_t row = begin; row < end || row == begin; row += plan->chunk_rows) {
        int64_t rows = end - row < plan->chunk_rows ? end - row : plan->chunk_rows;
        if (rows < 0) rows = 0;
        vjp_pack_queries(plan, work, b, head, row, rows);
        memset(work->queries.sums, 0, (size_t)(plan->chunk_rows * plan->columns) * sizeof(float));
        for (int64_t block = 0; block < plan->key_blocks; block++) {
            int64_t key = block * VJP_BLOCK, keys = keys_of_block(plan, block);
            float *sums = whole ? all + block * plan->key_sums : all;
            if (!whole) memset(sums, 0, (size_t)plan->key_sums * sizeof(float));
            vjp_pack_keys(plan, work, b, head, key, keys);
            add_block(plan, work, sums, b, head, row, rows, key, keys);
            if (own && row + plan->chunk_rows >= end) store_keys(plan, work, sums, b, head, key, keys);
        }
        store_queries(plan, work, b, head, row, rows);
    }
}

void vjp_main(void *argument, int64_t begin, int64_t end, int slot)
{
    const struct vjp_plan *plan = argument;
    struct vjp_work work = vjp_work(plan, slot);
    for (int64_t item = begin; item < end; item++) {
        int64_t unit = item / plan->parts;
        run_part(plan, &work, item, unit / plan->forward->kv_heads, unit % plan->forward->kv_heads);
    }
}

/* The sums of a key block over the parts, in their order. */
void vjp_add_parts(void *argument, int64_t begin, int64_t end, int slot)
{
    const struct vjp_plan *plan = argument;
    struct vjp_work work = vjp_work(plan, slot);
    for (int64_t item = begin; item < end; item++) {
        int64_t unit = item / plan->key_blocks, block = item % plan->key_blocks;
        float *sums = plan->partials + unit * plan->parts * plan->part_floats + block * plan->key_sums;
        for (int64_t part = 1; part < plan->parts; part++)
            for (int64_t i = 0; i < plan->key_sums; i++) sums[i] += sums[part * plan->part_floats + i];
        store_keys(plan, &work, sums, unit / plan->forward->kv_heads, unit % plan->forward->kv_heads,
                   block * VJP_BLOCK, keys_of_block(plan, block));
    }
}

smelt_status smelt_cpu_sdpa_vjp(const struct smelt_sdpa_vjp_args *args)
{
    static const void *const tables[SMELT_ISA_COUNT] = SMELT_KERNEL_TABLES(smelt_sdpa_vjp);
    const struct smelt_sdpa_args *a = &args->forward;
    struct smelt_run run = *a->run;
    struct vjp_plan plan;
    double rows = (double)a->heads * (double)a->q_len + (double)a->kv_len + 2 * VJP_BLOCK;
    if (rows * ((double)a->dim + (double)a->value_dim + 2 * VJP_BLOCK) > 0x1p56) /* of broadcast axes, then */
        return smelt_fail(SMELT_OUT_OF_MEMORY, "sdpa_vjp: no memory for %g rows of scratch", rows);
    vjp_plan_init(&plan, args, smelt_best_kernels(tables));
    run.stream.workspace = NULL; /* which is sized for the forward call */
    int64_t units = a->batch * a->kv_heads, items = units * plan.parts;
    double partials = plan.parts > 1 ? (double)items * (double)plan.part_floats : 0;
    double bytes = 4 * ((double)run.slots * (double)plan.slot_floats + partials);
    void *scratch;
    SMELT_TRY(smelt_scratch(&run, "sdpa_vjp", bytes < 0x1p62 ? (size_t)bytes : SIZE_MAX, &scratch));
    plan.slots = scratch;
    plan.partials = plan.slots + run.slots * plan.slot_floats;
    if (args->dq || args->dk || args->dv) smelt_parallel(&run, SMELT_DYNAMIC, items, vjp_main, &plan);
    if (plan.parts > 1 && (args->dk || args->dv))
        smelt_parallel(&run, SMELT_DYNAMIC, units * plan.key_blocks, vjp_add_parts, &plan);
    if (args->dmask) smelt_parallel(&run, SMELT_DYNAMIC, vjp_mask_items(&plan), vjp_mask, &plan);
    if (args->dsinks) smelt_parallel(&run, SMELT_DYNAMIC, a->heads, vjp_sinks, &plan);
    return SMELT_OK;
}
