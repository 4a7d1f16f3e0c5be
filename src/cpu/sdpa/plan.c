/* SPDX-License-Identifier: Apache-2.0 */
/* Items, splits and scratch of a call of sdpa. */
#include "cpu/sdpa/plan.h"

enum {
    MOST_BLOCK_ROWS = 768,   /* queries that share one packing of keys and values, */
    BLOCK_ROWS = 384,        /* and where these would be too few items */
    BLOCK_BYTES = 512 << 10, /* of their queries and outputs: they stay in the second cache */
    ENOUGH_ITEMS = 64,       /* for many threads; below, keys are split */
    FEW_ITEMS = 16,          /* below, blocks shrink */
    LEAST_SPLIT_KEYS = 2048,
    FEW_ROWS = 96, /* below, the query heads of a key head share a unit */
};

static int64_t ceiling(int64_t n, int64_t by) { return n / by + (n % by != 0); }
static int64_t round_up(int64_t n, int64_t to) { return ceiling(n, to) * to; }

/* a * b + c, or -1 (which then stays) where that leaves 62 bits or one is -1. */
static int64_t sized(int64_t a, int64_t b, int64_t c)
{
    int64_t result;
    if (a < 0 || b < 0 || c < 0 || __builtin_mul_overflow(a, b, &result) ||
        __builtin_add_overflow(result, c, &result) || result >> 61)
        return -1;
    return result;
}

/* Blocks of about the same size, none above `most` rows. */
static int64_t cut_rows(struct sdpa_plan *plan, int64_t most)
{
    int64_t rows = plan->tiles->rows, blocks = ceiling(plan->unit_rows, most);
    plan->block_rows = blocks > 1 ? round_up(ceiling(plan->unit_rows, blocks), rows) : most;
    if (plan->block_rows > plan->unit_rows) plan->block_rows = round_up(plan->unit_rows, rows);
    if (plan->block_rows < rows) plan->block_rows = rows;
    plan->blocks = ceiling(plan->unit_rows, plan->block_rows);
    return sized(plan->units, plan->blocks, 0);
}

static void cut(struct sdpa_plan *plan)
{
    const struct smelt_sdpa_args *a = plan->args;
    int64_t rows = plan->tiles->rows, width = (a->dim > a->value_dim ? a->dim : a->value_dim) * 8;
    int64_t fitting = width > BLOCK_BYTES / rows ? rows : BLOCK_BYTES / width / rows * rows;
    int64_t items = cut_rows(plan, fitting < MOST_BLOCK_ROWS ? fitting : MOST_BLOCK_ROWS);
    if (items >= 0 && items < ENOUGH_ITEMS)
        items = cut_rows(plan, fitting < BLOCK_ROWS ? fitting : BLOCK_ROWS);
    int64_t most = a->kv_len / LEAST_SPLIT_KEYS, wanted = items > 0 ? ceiling(ENOUGH_ITEMS, items) : 1;
    plan->splits = wanted < most ? wanted : most > 1 ? most : 1;
    while (items >= 0 && items * plan->splits < FEW_ITEMS && plan->block_rows > rows) {
        plan->block_rows = round_up(plan->block_rows / 2, rows);
        plan->blocks = ceiling(plan->unit_rows, plan->block_rows);
        items = plan->units * plan->blocks;
    }
    plan->split_keys = round_up(ceiling(a->kv_len, plan->splits), SMELT_SDPA_KEYS);
    plan->row_tiles = plan->block_rows / rows;
}

size_t sdpa_plan_init(struct sdpa_plan *plan, const struct smelt_sdpa_args *args,
                      const struct smelt_sdpa_tiles *tiles)
{
    int64_t group = args->heads / args->kv_heads, rows = tiles->rows;
    *plan = (struct sdpa_plan){.args = args, .tiles = tiles, .grouped = args->q_len < FEW_ROWS};
    plan->units = sized(args->batch, plan->grouped ? args->kv_heads : args->heads, 0);
    plan->unit_rows = sized(args->q_len, plan->grouped ? group : 1, 0);
    if (args->dim >> 40 || args->value_dim >> 40 || plan->units < 0 || plan->unit_rows < 0) return SIZE_MAX;
    cut(plan);
    int64_t packed_rows = SMELT_SDPA_KEYS + SMELT_SDPA_SPARE_KEYS;
    plan->queries = round_up(args->dim, 16) * rows;
    plan->out = round_up(args->value_dim, 16) * rows;
    plan->keys = packed_rows * smelt_sdpa_stride(args->dim);
    plan->values = packed_rows * smelt_sdpa_stride(args->value_dim);
    plan->tile = SMELT_SDPA_KEYS * rows;
    /* outputs, and per row: largest, sum */
    plan->partial_floats = sized(plan->row_tiles, plan->out + 2 * rows, 0);
    /* queries, keys, values, scores, seen, bias, from, until, lse, keep, and per row: first, end in 64 bits
     */
    int64_t once = plan->keys + plan->values + 3 * plan->tile + 3 * rows + SMELT_SDPA_KEYS;
    plan->slot_floats = sized(plan->row_tiles, plan->queries + 4 * rows, round_up(once, 16));
    int64_t partials = plan->splits > 1 ? sized(sized(plan->units, plan->blocks, 0), plan->splits, 0) : 0;
    if (plan->splits == 1) plan->slot_floats = sized(plan->slot_floats, 1, plan->partial_floats);
    int64_t floats = sized(plan->slot_floats, args->run->slots, sized(partials, plan->partial_floats, 16));
    return floats < 0 ? SIZE_MAX : (size_t)floats * sizeof(float);
}
