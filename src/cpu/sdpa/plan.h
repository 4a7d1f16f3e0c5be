/* SPDX-License-Identifier: Apache-2.0 */
/* How a call of sdpa is cut into items: by its shape alone, never by the number of threads. */
#ifndef SMELT_CPU_SDPA_PLAN_H
#define SMELT_CPU_SDPA_PLAN_H

#include "api/sdpa.h"
#include "cpu/sdpa/sdpa_kernel.h"

/* A unit is what shares keys and rows: one query head, or all query heads of a key head where queries are
 * few. Its rows are cut into blocks, its keys into splits; an item is one block against one split. */
struct sdpa_plan {
    const struct smelt_sdpa_args *args;
    const struct smelt_sdpa_tiles *tiles;
    bool grouped; /* a unit holds all query heads of a key head */
    int64_t units, unit_rows, blocks, block_rows, splits, split_keys;
    int64_t row_tiles;                        /* of a block */
    int64_t queries, out, keys, values, tile; /* floats of: a row tile's queries and outputs, a key block's
                                                keys and values, one tile of scores */
    int64_t slot_floats, partial_floats;      /* scratch of a slot, and of an item where there are splits */
    char *scratch;
};

#define SDPA_LOG2_E 0x1.715476p+0f

/* Where an item gathers its results: of each row tile the outputs, then largest, then sum. */
static inline float *sdpa_partial(const struct sdpa_plan *plan, int64_t item, int slot)
{
    float *slots = (float *)plan->scratch, *partials = slots + plan->slot_floats * plan->args->run->slots;
    if (plan->splits > 1) return partials + item * plan->partial_floats;
    return slots + (slot + 1) * plan->slot_floats - plan->partial_floats;
}

/* Row r of a unit. */
struct sdpa_row {
    int64_t head, query;
};
static inline struct sdpa_row sdpa_row_of(const struct sdpa_plan *plan, int64_t unit, int64_t r)
{
    const struct smelt_sdpa_args *a = plan->args;
    int64_t group = a->heads / a->kv_heads;
    if (!plan->grouped) return (struct sdpa_row){unit % a->heads, r};
    return (struct sdpa_row){unit % a->kv_heads * group + r / a->q_len, r % a->q_len};
}
static inline int64_t sdpa_batch_of(const struct sdpa_plan *plan, int64_t unit)
{
    return unit / (plan->grouped ? plan->args->kv_heads : plan->args->heads);
}

/* The base-2 form of the scale, and what the scores must be multiplied by before. */
static inline bool sdpa_scales_first(const struct smelt_sdpa_args *a)
{
    bool usual = a->scale >= 0x1p-60f && a->scale <= 0x1p60f; /* hidden scores of -inf stay so */
    return !usual || a->softcap > 0 || a->mask;
}

/* Fills the plan; scratch is not yet there. Returns the bytes that it needs, SIZE_MAX where they cannot be
 * counted. */
size_t sdpa_plan_init(struct sdpa_plan *plan, const struct smelt_sdpa_args *args,
                      const struct smelt_sdpa_tiles *tiles);

/* One row tile of results to out and lse; `spare` is the packed values' place. */
void sdpa_finish_tile(const struct sdpa_plan *plan, float *spare, float *lse, int64_t unit, int64_t row,
                      int64_t rows, const float *out);
/* Items [begin, end) of the plan. */
void sdpa_prefill(void *plan, int64_t begin, int64_t end, int slot);
/* Puts the splits of blocks [begin, end) together. */
void sdpa_prefill_merge(void *plan, int64_t begin, int64_t end, int slot);

/* The mask of the given rows and keys as a tile (keys, rows) of what is added to the scores. */
void sdpa_mask_tile(const struct sdpa_plan *plan, float *bias, int64_t unit, int64_t row, int64_t rows,
                    int64_t key, int64_t keys);
/* The mask of one row: bias[j] for keys [key, key + keys). */
void sdpa_mask_row(const struct sdpa_plan *plan, float *bias, int64_t unit, int64_t row, int64_t key,
                   int64_t keys);
/* keep[j] = key_mask[batch][key + j]; returns whether all are kept. */
bool sdpa_key_mask(const struct smelt_sdpa_args *args, uint8_t *keep, int64_t batch, int64_t key,
                   int64_t keys);

#endif
