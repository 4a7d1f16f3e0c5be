/* SPDX-License-Identifier: Apache-2.0 */
/* Decoding on the CPU. A unit is one key head with all query rows that use it; its keys are cut into splits,
 * whose number depends on the shape alone; the results of the splits are added in order. */
#include "cpu/sdpa/decode.h"

#include "core/strided.h"
#include "cpu/sdpa/decode_kernel.h"
#include "cpu/sdpa/plan.h"

#ifndef AB
#    define AB 2048
#endif
enum {
    ENOUGH_ITEMS = 64,
    LEAST_SPLIT_KEYS = 512,
    ROWS = SMELT_DECODE_ROWS,
    CHUNK = SMELT_DECODE_KEYS,
    AHEAD_BYTES = 2 << 10, /* from what is read to what is fetched, */
    MOST_AHEAD = 16,       /* and in rows */
};

struct decode_plan {
    struct sdpa_plan shape; /* units and their rows */
    const struct smelt_decode_kernels *kernels;
    int64_t rows, padded_rows, splits, split_keys;
    int64_t query_stride, out_stride; /* floats */
    int64_t slot_floats, partial_floats;
    float *slots, *partials;
};

bool sdpa_decodes(const struct smelt_sdpa_args *a)
{
    int64_t group = a->heads / a->kv_heads;
    return a->q_len <= ROWS && group <= ROWS && a->q_len * group <= ROWS && a->value_dim > 0 &&
           a->dim < 1 << 16 && a->value_dim < 1 << 16 && (a->dim == 1 || a->k->stride[3] == 1) &&
           (a->value_dim == 1 || a->v->stride[3] == 1);
}

static size_t plan_init(struct decode_plan *plan, const struct smelt_sdpa_args *a)
{
    static const void *const tables[SMELT_ISA_COUNT] = SMELT_KERNEL_TABLES(smelt_decode);
    *plan = (struct decode_plan){.kernels = smelt_best_kernels(tables)};
    plan->shape = (struct sdpa_plan){.args = a, .grouped = true};
    plan->shape.units = a->batch * a->kv_heads;
    plan->rows = a->q_len * (a->heads / a->kv_heads);
    plan->padded_rows = (plan->rows + 3) & ~(int64_t)3;
    int64_t most = a->kv_len / LEAST_SPLIT_KEYS;
    int64_t wanted = plan->shape.units ? (ENOUGH_ITEMS - 1) / plan->shape.units + 1 : 1;
    plan->splits = wanted < most ? wanted : most > 1 ? most : 1;
    plan->split_keys = ((a->kv_len - 1) / plan->splits + CHUNK) / CHUNK * CHUNK;
    plan->query_stride = smelt_sdpa_stride(a->dim), plan->out_stride = smelt_sdpa_stride(a->value_dim);
    /* queries, scores, seen, bias, keep */
    plan->slot_floats = plan->padded_rows * (plan->query_stride + 3 * CHUNK) + CHUNK;
    plan->partial_floats = plan->padded_rows * (plan->out_stride + 16);
    int64_t floats, slots = plan->slot_floats * a->run->slots;
    if (__builtin_mul_overflow(plan->shape.units * plan->splits, plan->partial_floats, &floats) ||
        __builtin_add_overflow(floats, slots, &floats) || floats >> 60)
        return SIZE_MAX;
    return (size_t)floats * sizeof(float);
}

size_t sdpa_decode_workspace(const struct smelt_sdpa_args *args)
{
    struct decode_plan plan;
    return plan_init(&plan, args);
}

struct item {
    const struct decode_plan *plan;
    int64_t unit, batch, head;
    float *queries, *scores, *seen, *bias;
    uint8_t *keep;
    float *out, *largest, *sum; /* of the split */
    struct smelt_decode_source keys, values;
    int64_t first[ROWS], end[ROWS]; /* keys that each row sees */
};

static char *element(const struct smelt_view *view, int64_t a, int64_t b, int64_t c)
{
    return view->data + (a * view->stride[0] + b * view->stride[1] + c * view->stride[2]) * view->item;
}

static void load_row(struct item *item, int64_t r, int64_t split)
{
    const struct decode_plan *plan = item->plan;
    const struct smelt_sdpa_args *a = plan->shape.args;
    struct sdpa_row at = sdpa_row_of(&plan->shape, item->unit, r);
    const char *from = element(a->q, item->batch, at.head, at.query);
    float *row = item->queries + r * plan->query_stride;
    for (int64_t d = 0; d < a->dim; d++)
        row[smelt_decode_place(plan->kernels, a->k->dtype, a->dim, d)] =
            smelt_load_float(a->q->dtype, from + d * a->q->stride[3] * a->q->item);
    smelt_sdpa_visible(a, smelt_sdpa_keys(a, item->batch), smelt_sdpa_offset(a, item->batch), at.query,
                       &item->first[r], &item->end[r]);
    float sink = -INFINITY;
    if (a->sinks && split == 0)
        sink = smelt_load_float(a->sinks->dtype,
                                a->sinks->data + at.head * a->sinks->stride[0] * a->sinks->item);
    item->largest[r] = sink * SDPA_LOG2_E;
    item->sum[r] = sink == -INFINITY ? 0.0f : sink - sink == 0 ? 1.0f : NAN;
}

/* Keys [key, key + count): `more` of them follow in this split. */
static void attend(struct item *item, int64_t key, int64_t count, bool more)
{
    const struct decode_plan *plan = item->plan;
    const struct smelt_decode_kernels *kernels = plan->kernels;
    const struct smelt_sdpa_args *a = plan->shape.args;
    struct smelt_decode_source *keys = &item->keys, *values = &item->values;
    keys->data = element(a->k, item->batch, item->head, key);
    values->data = element(a->v, item->batch, item->head, key);
    keys->ahead = values->data;
    values->ahead = more ? keys->data + CHUNK * keys->row_step : NULL;
    bool before = sdpa_scales_first(a);
    const uint8_t *keep =
        a->key_mask && !sdpa_key_mask(a, item->keep, item->batch, key, count) ? item->keep : NULL;
    kernels->dot[a->k->dtype](item->scores, item->queries, plan->query_stride, (int)plan->padded_rows, keys,
                              count);
    bool masked = false, unmasked[ROWS];
    for (int64_t r = 0; r < plan->rows; r++) {
        struct smelt_decode_row row = {.before = before ? a->scale : 1.0f, .softcap = a->softcap};
        row.after = before ? SDPA_LOG2_E : 1.0f, row.scale = before ? 1.0f : a->scale * SDPA_LOG2_E;
        row.from = item->first[r] - key, row.until = item->end[r] - key;
        row.bias = a->mask ? item->bias + r * CHUNK : NULL, row.keep = keep;
        row.masked = before || keep || row.from > 0 || row.until < count;
        row.largest = item->largest + r, row.sum = item->sum + r;
        if (a->mask) sdpa_mask_row(&plan->shape, item->bias + r * CHUNK, item->unit, r, key, count);
        kernels->softmax(&row, item->scores + r * CHUNK, item->seen + r * CHUNK, count,
                         item->out + r * plan->out_stride, plan->out_stride);
        masked |= row.masked;
        unmasked[r] = !row.masked;
    }
    if (!masked || kernels->finite[a->v->dtype](values, count)) {
        kernels->values[a->v->dtype](item->out, plan->out_stride, (int)plan->padded_rows, item->scores,
                                     values, count);
        return;
    }
    for (int64_t r = 0; r < plan->rows; r++) {
        if (unmasked[r]) memset(item->seen + r * CHUNK, 0, CHUNK * sizeof(float)); /* all are seen */
        kernels->values_seen[a->v->dtype](item->out + r * plan->out_stride, item->scores + r * CHUNK,
                                          item->seen + r * CHUNK, values, count);
    }
}

static int64_t distance(int64_t row_bytes)
{
    int64_t rows = AHEAD_BYTES / row_bytes / SMELT_DECODE_BATCH * SMELT_DECODE_BATCH;
    return rows < SMELT_DECODE_BATCH ? SMELT_DECODE_BATCH : rows < MOST_AHEAD ? rows : MOST_AHEAD;
}

static void place(struct item *item, const struct decode_plan *plan, int64_t number, int slot)
{
    const struct smelt_sdpa_args *a = plan->shape.args;
    int64_t rows = plan->padded_rows;
    item->plan = plan, item->unit = number / plan->splits;
    item->batch = item->unit / a->kv_heads, item->head = item->unit % a->kv_heads;
    float *memory = plan->slots + slot * plan->slot_floats;
    item->queries = memory, item->scores = item->queries + rows * plan->query_stride;
    item->seen = item->scores + rows * CHUNK, item->bias = item->seen + rows * CHUNK;
    item->keep = (uint8_t *)(item->bias + rows * CHUNK);
    item->out = plan->partials + number * plan->partial_floats;
    item->largest = item->out + rows * plan->out_stride, item->sum = item->largest + 8;
    memset(memory, 0, (size_t)plan->slot_floats * sizeof(float));
    memset(item->out, 0, (size_t)plan->partial_floats * sizeof(float));
    int64_t key_bytes = a->dim * a->k->item, value_bytes = a->value_dim * a->v->item;
    item->keys = (struct smelt_decode_source){.row_step = a->k->stride[2] * a->k->item,
                                              .length = a->dim,
                                              .bytes = key_bytes,
                                              .distance = distance(key_bytes),
                                              .ahead_step = a->v->stride[2] * a->v->item,
                                              .ahead_bytes = value_bytes};
    item->values = (struct smelt_decode_source){.row_step = a->v->stride[2] * a->v->item,
                                                .length = a->value_dim,
                                                .bytes = value_bytes,
                                                .distance = distance(value_bytes),
                                                .ahead_step = item->keys.row_step,
                                                .ahead_bytes = key_bytes};
}

static void decode(void *argument, int64_t begin, int64_t finish, int slot)
{
    const struct decode_plan *plan = argument;
    for (int64_t number = begin; number < finish; number++) {
        struct item item;
        place(&item, plan, number, slot);
        int64_t split = number % plan->splits, low = INT64_MAX, high = 0;
        for (int64_t r = 0; r < plan->rows; r++) {
            load_row(&item, r, split);
            if (item.first[r] >= item.end[r]) continue;
            if (item.first[r] < low) low = item.first[r];
            if (item.end[r] > high) high = item.end[r];
        }
        int64_t key = split * plan->split_keys, end = key + plan->split_keys;
        if (key < low) key = low;
        if (end > high) end = high;
        for (; key < end; key += CHUNK)
            attend(&item, key, end - key < CHUNK ? end - key : CHUNK, end - key >= 2 * CHUNK);
    }
}

/* Results of the splits of row r, added into the first. */
static void merge_row(const struct decode_plan *plan, float *first, int64_t r)
{
    int64_t stats = plan->padded_rows * plan->out_stride;
    float *largest = first + stats + r, *sum = largest + 8, *out = first + r * plan->out_stride;
    for (int64_t split = 1; split < plan->splits; split++) {
        const float *other = first + split * plan->partial_floats;
        float theirs = other[stats + r], most = theirs > *largest || theirs != theirs ? theirs : *largest;
        float none = most == -INFINITY ? 0.0f : most, a = exp2f(*largest - none), b = exp2f(theirs - none);
        *largest = most, *sum = *sum * a + other[stats + 8 + r] * b;
        plan->kernels->blend(out, a, other + r * plan->out_stride, b, plan->out_stride);
    }
}

static void merge(void *argument, int64_t begin, int64_t end, int slot)
{
    const struct decode_plan *plan = argument;
    const struct smelt_sdpa_args *a = plan->shape.args;
    (void)slot;
    for (int64_t unit = begin; unit < end; unit++) {
        float *first = plan->partials + unit * plan->splits * plan->partial_floats;
        for (int64_t r = 0; r < plan->rows; r++) {
            merge_row(plan, first, r);
            const float *out = first + r * plan->out_stride;
            float largest = first[plan->padded_rows * plan->out_stride + r];
            float sum = first[plan->padded_rows * plan->out_stride + 8 + r], factor = sum == 0 ? 0 : 1 / sum;
            struct sdpa_row at = sdpa_row_of(&plan->shape, unit, r);
            char *to = element(a->out, unit / a->kv_heads, at.head, at.query);
            for (int64_t d = 0; d < a->value_dim; d++)
                smelt_store_float(a->out->dtype, to + d * a->out->stride[3] * a->out->item,
                                  out[smelt_decode_place(plan->kernels, a->v->dtype, a->value_dim, d)] *
                                      factor);
            if (a->lse) {
                const int64_t *step = a->lse->stride;
                float *lse = (float *)a->lse->data + unit / a->kv_heads * step[0] + at.head * step[1];
                lse[at.query * step[2]] = sum == 0 ? -INFINITY : largest * 0x1.62e43p-1f + logf(sum);
            }
        }
    }
}

smelt_status sdpa_decode(const struct smelt_sdpa_args *args)
{
    struct decode_plan plan;
    size_t bytes = plan_init(&plan, args);
    void *scratch;
    SMELT_TRY(smelt_scratch(args->run, "sdpa", bytes, &scratch));
    plan.slots = scratch, plan.partials = plan.slots + plan.slot_floats * args->run->slots;
    int64_t items = plan.shape.units * plan.splits;
    smelt_parallel(args->run, SMELT_DYNAMIC, items, decode, &plan);
    smelt_parallel(args->run, SMELT_EVEN, plan.shape.units, merge, &plan);
    return SMELT_OK;
}
