/* SPDX-License-Identifier: Apache-2.0 */
/* One item of sdpa: a block of query rows against a range of keys, tile by tile. */
#include "cpu/sdpa/plan.h"

enum { MOST_ROW_TILES = 96 };

struct row_tile {
    int64_t rows, low, high;       /* keys that some row sees */
    int64_t inner_low, inner_high; /* keys that all rows see */
    float *queries, *out, *largest, *sum;
    int64_t *first, *end; /* per row: the keys that it sees */
};

struct item {
    const struct sdpa_plan *plan;
    int64_t unit, batch, row, rows; /* rows [row, row + rows) of the unit */
    int64_t low, high;              /* keys */
    int64_t tiles;
    float *keys, *values, *scores, *seen, *bias, *from, *until, *lse;
    uint8_t *keep;
    struct row_tile tile[MOST_ROW_TILES];
};

static float *take(float **memory, int64_t floats)
{
    float *piece = *memory;
    *memory += floats;
    return piece;
}

static void lay_out(struct item *item, const struct sdpa_plan *plan, int64_t number, int slot)
{
    float *memory = (float *)plan->scratch + slot * plan->slot_floats;
    int64_t rows = plan->tiles->rows;
    item->keys = take(&memory, plan->keys), item->values = take(&memory, plan->values);
    item->scores = take(&memory, plan->tile), item->seen = take(&memory, plan->tile);
    item->bias = take(&memory, plan->tile);
    float *queries = take(&memory, plan->row_tiles * plan->queries);
    int64_t *ranges = (int64_t *)take(&memory, plan->row_tiles * 4 * rows);
    item->from = take(&memory, rows), item->until = take(&memory, rows), item->lse = take(&memory, rows);
    item->keep = (uint8_t *)take(&memory, SMELT_SDPA_KEYS);
    float *out = sdpa_partial(plan, number, slot);
    for (int64_t t = 0; t < item->tiles; t++) {
        struct row_tile *tile = &item->tile[t];
        tile->queries = queries + t * plan->queries;
        tile->first = ranges + t * 2 * rows, tile->end = tile->first + rows;
        tile->out = out + t * (plan->out + 2 * rows);
        tile->largest = tile->out + plan->out, tile->sum = tile->largest + rows;
    }
}

static struct smelt_sdpa_rows rows_at(const struct smelt_view *view, int64_t batch, int64_t head, int64_t row)
{
    const int64_t *stride = view->stride;
    return (struct smelt_sdpa_rows){view->data +
                                        (batch * stride[0] + head * stride[1] + row * stride[2]) * view->item,
                                    stride[2] * view->item, stride[3] * view->item, view->dtype};
}

static void load_queries(struct item *item, int64_t t)
{
    const struct sdpa_plan *plan = item->plan;
    const struct smelt_sdpa_args *a = plan->args;
    struct row_tile *tile = &item->tile[t];
    int64_t rows = plan->tiles->rows, stride = smelt_sdpa_stride(a->dim), first = item->row + t * rows;
    for (int64_t r = 0; r < tile->rows;) { /* the packed keys' place is free until the first key block */
        struct sdpa_row at = sdpa_row_of(plan, item->unit, first + r);
        int64_t count = a->q_len - at.query < tile->rows - r ? a->q_len - at.query : tile->rows - r;
        struct smelt_sdpa_rows from = rows_at(a->q, item->batch, at.head, at.query);
        int64_t padded = r + count == tile->rows ? rows - r : count;
        plan->tiles->pack_keys(item->keys + r * stride, &from, count, padded, a->dim, NULL);
        r += count;
    }
    plan->tiles->turn_queries(tile->queries, item->keys, a->dim);
}

static void set_ranges(struct item *item, int64_t t)
{
    const struct sdpa_plan *plan = item->plan;
    struct row_tile *tile = &item->tile[t];
    int64_t keys = smelt_sdpa_keys(plan->args, item->batch);
    int64_t offset = smelt_sdpa_offset(plan->args, item->batch);
    tile->low = INT64_MAX, tile->high = 0, tile->inner_low = 0, tile->inner_high = INT64_MAX;
    int64_t row = item->row + t * plan->tiles->rows, query = sdpa_row_of(plan, item->unit, row).query, first,
            end;
    for (int64_t r = 0; r < plan->tiles->rows; r++) {
        smelt_sdpa_visible(plan->args, keys, offset, query, &first, &end);
        if (r + 1 < tile->rows && ++query == plan->args->q_len) query = 0; /* the next head */
        tile->first[r] = first, tile->end[r] = end;
        if (first < end && first < tile->low) tile->low = first;
        if (first < end && end > tile->high) tile->high = end;
        if (first > tile->inner_low) tile->inner_low = first;
        if (end < tile->inner_high) tile->inner_high = end;
    }
}

/* Sums begin with the sink, in the first split. */
static void start(struct item *item, int64_t t, int64_t split)
{
    const struct sdpa_plan *plan = item->plan;
    struct row_tile *tile = &item->tile[t];
    const struct smelt_view *sinks = plan->args->sinks;
    int64_t rows = plan->tiles->rows;
    memset(tile->out, 0, (size_t)plan->out * sizeof(float));
    for (int64_t r = 0; r < rows; r++) {
        float sink = -INFINITY;
        if (sinks && split == 0 && r < tile->rows) {
            int64_t head = sdpa_row_of(plan, item->unit, item->row + t * rows + r).head;
            sink = smelt_load_float(sinks->dtype, sinks->data + head * sinks->stride[0] * sinks->item);
        }
        tile->largest[r] = sink * SDPA_LOG2_E;
        tile->sum[r] = sink == -INFINITY ? 0.0f : sink - sink == 0 ? 1.0f : NAN;
    }
}

static float within(int64_t key)
{
    return (float)(key < 0 ? 0 : key < SMELT_SDPA_KEYS ? key : SMELT_SDPA_KEYS);
}

/* Row tile t has its share of the next key block fetched: the first tiles keys, the last ones values. */
static void look_ahead(const struct item *item, int64_t t, struct smelt_sdpa_tile *work,
                       const struct smelt_sdpa_rows *k, const struct smelt_sdpa_rows *v, int64_t keys)
{
    const struct smelt_sdpa_args *a = item->plan->args;
    int64_t half = (item->tiles + 1) / 2, place = t < half ? t : t - half;
    int64_t sharers = t < half ? half : item->tiles - half, share = (keys + sharers - 1) / sharers;
    const struct smelt_sdpa_rows *from = t < half ? k : v;
    int64_t size = smelt_dtype_size(from->dtype), length = t < half ? a->dim : a->value_dim;
    int64_t rest = keys - place * share;
    work->ahead_rows = from->step != size ? 0 : rest < share ? rest : share;
    work->ahead = from->data + place * share * from->row_step;
    work->ahead_step = from->row_step, work->ahead_bytes = length * size;
}

static void attend(struct item *item, int64_t t, struct smelt_sdpa_tile *work, int64_t key, int64_t keys)
{
    const struct sdpa_plan *plan = item->plan;
    struct row_tile *tile = &item->tile[t];
    int64_t rows = plan->tiles->rows, low = tile->low - key, high = tile->high - key;
    work->first = low > 0 ? low & ~(int64_t)15 : 0;
    work->end = high < keys ? high : keys;
    if (tile->low >= tile->high || work->first >= work->end) return;
    work->vectors = (int)((tile->rows + plan->tiles->lanes - 1) / plan->tiles->lanes);
    work->queries = tile->queries, work->out = tile->out;
    work->largest = tile->largest, work->sum = tile->sum;
    bool edge = tile->inner_low > key + work->first || tile->inner_high < key + work->end;
    work->from = edge ? item->from : NULL, work->until = item->until;
    for (int64_t r = 0; edge && r < rows; r++) {
        item->from[r] = within(tile->first[r] - key);
        item->until[r] = within(tile->end[r] - key);
    }
    if (work->bias)
        sdpa_mask_tile(plan, item->bias + work->first * rows, item->unit, item->row + t * rows, tile->rows,
                       key + work->first, work->end - work->first);
    work->masked = edge || work->bias || work->keep || sdpa_scales_first(plan->args);
    plan->tiles->attend(work);
}

/* Whether the tiles can read rows of float32 where they lie: near enough to each other for the caches, whole
 * groups of them, and nothing in them that a query does not see. Packing costs a twentieth of the time. */
static bool reads_in_place(const struct item *item, const struct smelt_sdpa_rows *from, int64_t length)
{
    enum { FARTHEST = 1024 };
    int64_t group = item->plan->tiles->group;
    return group && from->dtype == SMELT_F32 && from->step == sizeof(float) && from->row_step > 0 &&
           from->row_step <= FARTHEST && from->row_step % (int64_t)sizeof(float) == 0 && length % group == 0;
}
static bool sees_all(const struct item *item, int64_t key, int64_t keys)
{
    const struct smelt_sdpa_args *a = item->plan->args;
    int64_t group = item->plan->tiles->group;
    if (a->key_mask || sdpa_scales_first(a) || !group || keys % group) return false;
    for (int64_t t = 0; t < item->tiles; t++) {
        const struct row_tile *tile = &item->tile[t];
        bool hidden = tile->low >= key + keys || tile->high <= key;
        if (!hidden && (tile->inner_low > key || tile->inner_high < key + keys)) return false;
    }
    return true;
}

/* Keys [key, key + keys), with `next` more to follow in the next block. */
static void attend_keys(struct item *item, int64_t key, int64_t keys, int64_t next)
{
    const struct sdpa_plan *plan = item->plan;
    const struct smelt_sdpa_args *a = plan->args;
    int64_t group = a->heads / a->kv_heads, padded = (keys + 15) & ~(int64_t)15;
    int64_t head = plan->grouped ? item->unit % a->kv_heads : item->unit % a->heads / group;
    struct smelt_sdpa_rows k = rows_at(a->k, item->batch, head, key),
                           v = rows_at(a->v, item->batch, head, key);
    bool all = !a->key_mask || sdpa_key_mask(a, item->keep, item->batch, key, keys);
    const uint8_t *keep = all ? NULL : item->keep;
    bool before = sdpa_scales_first(a), open = sees_all(item, key, keys);
    struct smelt_sdpa_tile work = {.keys = item->keys,
                                   .values = item->values,
                                   .key_step = smelt_sdpa_stride(a->dim),
                                   .value_step = smelt_sdpa_stride(a->value_dim),
                                   .scores = item->scores,
                                   .seen = item->seen,
                                   .dim = a->dim,
                                   .value_dim = a->value_dim,
                                   .before = before ? a->scale : 1.0f,
                                   .softcap = a->softcap,
                                   .after = before ? SDPA_LOG2_E : 1.0f,
                                   .scale = before ? 1.0f : a->scale * SDPA_LOG2_E,
                                   .bias = a->mask ? item->bias : NULL,
                                   .keep = keep};
    if (open && reads_in_place(item, &k, a->dim))
        work.keys = k.data, work.key_step = k.row_step / (int64_t)sizeof(float);
    else
        plan->tiles->pack_keys(item->keys, &k, keys, padded, a->dim, keep);
    if (open && reads_in_place(item, &v, a->value_dim))
        work.values = v.data, work.value_step = v.row_step / (int64_t)sizeof(float);
    else
        work.finite = plan->tiles->pack_values(item->values, &v, keys, padded, a->value_dim, keep);
    k.data += keys * k.row_step, v.data += keys * v.row_step;
    for (int64_t t = 0; t < item->tiles; t++) {
        look_ahead(item, t, &work, &k, &v, next);
        attend(item, t, &work, key, keys);
    }
}

void sdpa_finish_tile(const struct sdpa_plan *plan, float *spare, float *lse, int64_t unit, int64_t row,
                      int64_t rows, const float *out)
{
    const struct smelt_sdpa_args *a = plan->args;
    int64_t tile_rows = plan->tiles->rows, stride = smelt_sdpa_stride(a->value_dim);
    const float *largest = out + plan->out;
    plan->tiles->finish(spare, lse, out, largest, largest + tile_rows, a->value_dim);
    for (int64_t r = 0; r < rows;) {
        struct sdpa_row at = sdpa_row_of(plan, unit, row + r);
        int64_t count = a->q_len - at.query < rows - r ? a->q_len - at.query : rows - r;
        struct smelt_sdpa_rows to = rows_at(a->out, sdpa_batch_of(plan, unit), at.head, at.query);
        plan->tiles->store_rows((char *)to.data, to.row_step, to.step, to.dtype, spare + r * stride, count,
                                a->value_dim);
        if (a->lse) {
            const int64_t *step = a->lse->stride;
            float *lses = (float *)a->lse->data + sdpa_batch_of(plan, unit) * step[0] + at.head * step[1];
            for (int64_t i = 0; i < count; i++) lses[(at.query + i) * step[2]] = lse[r + i];
        }
        r += count;
    }
}

static void run_item(const struct sdpa_plan *plan, int64_t number, int slot)
{
    int64_t per_unit = plan->blocks * plan->splits, unit = number / per_unit;
    int64_t block = plan->blocks - 1 - number % per_unit / plan->splits, split = number % plan->splits;
    int64_t row = block * plan->block_rows, rest = plan->unit_rows - row, rows = plan->tiles->rows;
    struct item item;
    item.plan = plan, item.unit = unit, item.batch = sdpa_batch_of(plan, unit), item.row = row;
    item.rows = rest < plan->block_rows ? rest : plan->block_rows;
    item.tiles = (item.rows + rows - 1) / rows;
    lay_out(&item, plan, number, slot);
    item.low = INT64_MAX, item.high = 0;
    for (int64_t t = 0; t < item.tiles; t++) {
        struct row_tile *tile = &item.tile[t];
        tile->rows = item.rows - t * rows < rows ? item.rows - t * rows : rows;
        load_queries(&item, t);
        set_ranges(&item, t);
        start(&item, t, split);
        if (tile->low < item.low) item.low = tile->low;
        if (tile->high > item.high) item.high = tile->high;
    }
    int64_t begin = split * plan->split_keys, end = begin + plan->split_keys;
    if (begin < item.low) begin = item.low & ~(int64_t)15;
    if (end > item.high) end = item.high;
    for (int64_t key = begin, keys; key < end; key += keys) {
        keys = end - key < SMELT_SDPA_KEYS ? end - key : SMELT_SDPA_KEYS;
        int64_t next = end - key - keys;
        attend_keys(&item, key, keys, next < SMELT_SDPA_KEYS ? next : SMELT_SDPA_KEYS);
    }
    if (plan->splits > 1) return;
    for (int64_t t = 0; t < item.tiles; t++)
        sdpa_finish_tile(plan, item.values, item.lse, unit, row + t * rows, item.tile[t].rows,
                         item.tile[t].out);
}

void sdpa_prefill(void *argument, int64_t begin, int64_t end, int slot)
{
    for (int64_t number = begin; number < end; number++) run_item(argument, number, slot);
}

void sdpa_prefill_merge(void *argument, int64_t begin, int64_t end, int slot)
{
    const struct sdpa_plan *plan = argument;
    int64_t rows = plan->tiles->rows, piece = plan->out + 2 * rows;
    float *spare = (float *)plan->scratch + slot * plan->slot_floats, *lse = spare + plan->values;
    for (int64_t number = begin; number < end; number++) { /* the number of an item, without its split */
        int64_t unit = number / plan->blocks, block = plan->blocks - 1 - number % plan->blocks;
        float *first = sdpa_partial(plan, number * plan->splits, slot);
        for (int64_t t = 0; t < plan->row_tiles; t++) {
            int64_t row = block * plan->block_rows + t * rows, rest = plan->unit_rows - row;
            if (rest <= 0) break;
            float *out = first + t * piece, *largest = out + plan->out;
            for (int64_t split = 1; split < plan->splits; split++) {
                const float *other = out + split * plan->partial_floats;
                plan->tiles->merge(out, largest, largest + rows, other, other + plan->out,
                                   other + plan->out + rows, plan->args->value_dim);
            }
            sdpa_finish_tile(plan, spare, lse, unit, row, rest < rows ? rest : rows, out);
        }
    }
}
