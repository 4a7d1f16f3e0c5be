/* SPDX-License-Identifier: Apache-2.0 */
/* The plan of a call of sdpa_vjp, and the scratch of a slot. */
#include "cpu/sdpa_vjp/work.h"

enum {
    ITEMS = 16,               /* that the main pass should have at least, by cutting rows into parts */
    MOST_PARTIALS = 64 << 20, /* floats of partial sums that this may cost */
};

static int64_t divide_up(int64_t a, int64_t b) { return (a + b - 1) / b; }
static int64_t round_up(int64_t a, int64_t b) { return divide_up(a, b) * b; }

static void cut_rows(struct vjp_plan *plan)
{
    const struct smelt_sdpa_args *a = plan->forward;
    int64_t heads = a->batch * a->kv_heads, most = divide_up(plan->rows, 2 * VJP_BLOCK);
    plan->part_floats = plan->key_blocks * plan->key_sums;
    plan->parts = heads >= ITEMS || heads == 0 ? 1 : divide_up(ITEMS, heads);
    if (plan->parts > most) plan->parts = most;
    if (plan->parts < 1 || plan->part_floats > MOST_PARTIALS / (ITEMS + heads)) plan->parts = 1;
    plan->part_rows = round_up(divide_up(plan->rows, plan->parts), VJP_BLOCK);
    if (plan->part_rows < VJP_BLOCK) plan->part_rows = VJP_BLOCK;
    int64_t chunks = divide_up(plan->part_rows, VJP_CHUNK_BLOCKS * VJP_BLOCK);
    plan->chunk_rows = round_up(divide_up(plan->part_rows, chunks), VJP_BLOCK);
}

/* Hands out pieces of a slot, each at whole lines; with NULL as its start it counts. */
static void *take(char **at, int64_t bytes)
{
    char *piece = *at;
    *at += round_up(bytes, 64);
    return piece;
}
static float *take_floats(char **at, int64_t count) { return take(at, count * (int64_t)sizeof(float)); }

static struct vjp_work lay_out(const struct vjp_plan *plan, char **at)
{
    const struct smelt_sdpa_args *a = plan->forward;
    int64_t rows = plan->chunk_rows, longest = a->dim > a->value_dim ? a->dim : a->value_dim;
    bool own = plan->parts == 1, whole = own && plan->chunk_rows < plan->part_rows;
    struct vjp_work w;
    w.queries.deep = take_floats(at, rows * a->dim);
    w.queries.flat = take_floats(at, rows * plan->columns);
    w.queries.deep_dout = take_floats(at, rows * a->value_dim);
    w.queries.flat_dout = take_floats(at, rows * plan->value_columns);
    w.queries.sums = take_floats(at, rows * plan->columns);
    w.queries.lse = take_floats(at, rows);
    w.queries.left = take_floats(at, rows);
    w.queries.first = take(at, rows * (int64_t)sizeof(int64_t));
    w.queries.end = take(at, rows * (int64_t)sizeof(int64_t));
    w.queries.wild = take(at, rows);
    w.keys.deep = take_floats(at, VJP_BLOCK * a->dim);
    w.keys.flat = take_floats(at, VJP_BLOCK * plan->columns);
    w.keys.deep_values = take_floats(at, VJP_BLOCK * a->value_dim);
    w.keys.keep = take(at, VJP_BLOCK);
    w.scores = take_floats(at, VJP_BLOCK * VJP_BLOCK);
    w.slopes = take_floats(at, VJP_BLOCK * VJP_BLOCK);
    w.bias = take_floats(at, VJP_BLOCK * VJP_BLOCK);
    w.line = take_floats(at, longest);
    w.other_line = take_floats(at, longest);
    w.key_sums = own ? take_floats(at, whole ? plan->part_floats : plan->key_sums) : NULL;
    return w;
}

struct vjp_work vjp_work(const struct vjp_plan *plan, int slot)
{
    char *at = (char *)(plan->slots + slot * plan->slot_floats);
    return lay_out(plan, &at);
}

void vjp_plan_init(struct vjp_plan *plan, const struct smelt_sdpa_vjp_args *args,
                   const struct smelt_sdpa_vjp_kernels *kernels)
{
    const struct smelt_sdpa_args *a = &args->forward;
    *plan = (struct vjp_plan){.args = args, .forward = a, .kernels = kernels};
    plan->group = a->heads / a->kv_heads;
    plan->rows = plan->group * a->q_len;
    plan->key_blocks = divide_up(a->kv_len, VJP_BLOCK);
    plan->columns = round_up(a->dim, kernels->panel);
    plan->value_columns = round_up(a->value_dim, kernels->panel);
    plan->key_sums = VJP_BLOCK * (plan->columns + plan->value_columns);
    cut_rows(plan);
    char *start = (char *)64, *at = start; /* counted from a line's start, never read */
    lay_out(plan, &at);
    plan->slot_floats = round_up((at - start) / (int64_t)sizeof(float), 1024);
}
