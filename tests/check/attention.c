/* SPDX-License-Identifier: Apache-2.0 */
/* Sizes, layouts and options of random attention problems. */
#include "attention.h"

#include <math.h>
#include <string.h>

#define PICK(c, list) (list)[check_range(c, 0, (int64_t)(sizeof(list) / sizeof *(list)) - 1)]

void attention_sizes(struct check *c, struct attention *a)
{
    static const int64_t lengths[] = {1, 2, 7, 8, 9, 20, 31, 32, 33, 63, 64, 65, 67, 127, 128, 129, 400};
    static const int64_t dims[] = {1, 3, 4, 8, 16, 31, 33, 40, 64, 64, 72, 80, 96, 128, 128, 192, 256};
    static const int64_t heads[][2] = {{1, 1}, {3, 3}, {4, 1}, {4, 2}, {8, 2}, {6, 1}, {32, 8}};
    enum { MOST_SCORES = 12000, MOST_WORK = 1500000, MOST_ELEMENTS = 30000 };
    a->distinct = false;
    do {
        int pair = (int)check_range(c, 0, 6);
        a->batch = check_range(c, 1, 3), a->heads = heads[pair][0], a->kv_heads = heads[pair][1];
        a->q_len = PICK(c, lengths), a->kv_len = PICK(c, lengths);
        if (check_chance(c, 30)) a->kv_len = a->q_len;
        a->dim = PICK(c, dims);
        a->value_dim = check_chance(c, 70) ? a->dim : PICK(c, dims);
    } while (a->batch * a->heads * a->q_len * a->kv_len > MOST_SCORES ||
             a->batch * a->heads * a->q_len * a->kv_len * (a->dim + a->value_dim) > MOST_WORK ||
             a->batch * (a->heads * a->q_len + a->kv_heads * a->kv_len) * (a->dim + a->value_dim) >
                 MOST_ELEMENTS);
}

/* (B, T, H, D) memory seen as (B, H, T, D). */
static DLTensor *swap_heads(DLTensor *tensor)
{
    struct check_tensor *t = (struct check_tensor *)tensor;
    int64_t length = t->shape[1], stride = t->strides[1];
    t->shape[1] = t->shape[2], t->strides[1] = t->strides[2];
    t->shape[2] = length, t->strides[2] = stride;
    tensor->strides = t->strides;
    return tensor;
}

/* The first `length` positions of a longer cache, which holds garbage behind them. */
static DLTensor *cache_slice(struct check *c, enum smelt_dtype dtype, const int64_t shape[4])
{
    bool by_token = check_chance(c, 50);
    int64_t longer = shape[2] + check_range(c, 1, 40), full[4] = {shape[0], shape[1], longer, shape[3]};
    if (by_token) full[1] = longer, full[2] = shape[1];
    DLTensor *cache = check_packed(c, dtype, 4, full);
    cache->strides = ((struct check_tensor *)cache)->strides;
    if (by_token) swap_heads(cache);
    for (int64_t i = 0, count = ref_count(cache); i < count; i++)
        if (i / shape[3] % longer >= shape[2]) ref_store(cache, i, i % 3 ? 1e3 : NAN);
    check_filled(c, cache);
    cache->shape[2] = shape[2];
    return cache;
}

static DLTensor *input(struct check *c, bool distinct, enum smelt_dtype dtype, int64_t batch, int64_t heads,
                       int64_t length, int64_t dim)
{
    const int64_t shape[4] = {batch, heads, length, dim}, by_token[4] = {batch, length, heads, dim};
    int style = c->plain ? 0 : (int)check_range(c, 0, 4);
    if (style == 1) return swap_heads(check_packed(c, dtype, 4, by_token));
    if (style == 2) return cache_slice(c, dtype, shape);
    return distinct ? check_packed(c, dtype, 4, shape) : check_input(c, dtype, 4, shape);
}

void attention_inputs(struct check *c, struct attention *a, enum smelt_dtype q, enum smelt_dtype k,
                      enum smelt_dtype v)
{
    a->q = input(c, a->distinct, q, a->batch, a->heads, a->q_len, a->dim);
    a->k = input(c, a->distinct, k, a->batch, a->kv_heads, a->kv_len, a->dim);
    a->v = input(c, a->distinct, v, a->batch, a->kv_heads, a->kv_len, a->value_dim);
    a->options = (smelt_sdpa_options)SMELT_SDPA_OPTIONS_INIT;
}

static void draw_causal(struct check *c, struct attention *a)
{
    smelt_sdpa_options *o = &a->options;
    static const int64_t far[] = {INT64_MAX, INT64_MIN + 1, INT64_MAX - 3, (int64_t)1 << 40};
    o->causal = check_chance(c, 60);
    if (check_chance(c, 30)) o->kv_offset = check_range(c, -a->q_len - 1, a->kv_len + 2);
    if (check_chance(c, 40)) o->window_left = check_range(c, 0, a->kv_len + 1);
    if (check_chance(c, 30)) o->window_right = check_range(c, 0, a->kv_len + 1);
    if (!check_chance(c, 15)) return;
    int which = (int)check_range(c, 0, 2); /* one at the end of the range; two would cancel */
    *o = (smelt_sdpa_options)SMELT_SDPA_OPTIONS_INIT;
    o->causal = check_chance(c, 50);
    if (which == 0) o->kv_offset = PICK(c, far);
    if (which == 1) o->window_left = INT64_MAX - check_range(c, 0, 2);
    if (which == 2) o->window_right = INT64_MAX - check_range(c, 0, 2);
}

static void fill_mask(struct check *c, DLTensor *mask, int64_t row)
{
    bool boolean = ref_dtype(mask) == SMELT_BOOL, infinite = check_chance(c, 60), none = false;
    for (int64_t i = 0, count = ref_count(mask); i < count; i++) {
        if (i % row == 0) none = check_chance(c, 5); /* whole rows that see nothing */
        bool hidden = none || check_chance(c, 25);
        double value = infinite && check_chance(c, 50) ? 0 : check_normal(c);
        ref_store(mask, i, boolean ? !hidden : infinite && hidden ? -INFINITY : value);
    }
    check_filled(c, mask);
}

static void draw_mask(struct check *c, struct attention *a, enum smelt_dtype out)
{
    int64_t full[4] = {a->batch, a->heads, a->q_len, a->kv_len};
    int rank = (int)check_range(c, check_chance(c, 10) ? 0 : 2, 4);
    int64_t *shape = full + 4 - rank;
    for (int i = 0; i < rank; i++)
        if (check_chance(c, i == rank - 1 ? 8 : 35)) shape[i] = 1;
    enum smelt_dtype dtype = check_chance(c, 50) ? SMELT_BOOL : out;
    if (dtype == SMELT_F32 && check_chance(c, 40)) dtype = (enum smelt_dtype)check_range(c, 0, 2);
    DLTensor *mask = check_input(c, dtype, rank, shape);
    fill_mask(c, mask, rank ? shape[rank - 1] : 1);
    a->options.mask = mask;
}

static void draw_keys(struct check *c, struct attention *a)
{
    static const enum smelt_dtype dtypes[] = {SMELT_BOOL, SMELT_U8, SMELT_I32, SMELT_I64, SMELT_I16};
    smelt_sdpa_options *o = &a->options;
    int64_t shape[2] = {a->batch, a->kv_len};
    if (check_chance(c, 60)) {
        DLTensor *keep = check_input(c, PICK(c, dtypes), 2, shape);
        bool boolean = ref_dtype(keep) == SMELT_BOOL;
        for (int64_t i = 0, n = ref_count(keep); i < n; i++)
            ref_store(keep, i, check_chance(c, 30) ? 0 : boolean ? 1 : (double)check_range(c, 1, 100));
        check_filled(c, keep);
        o->key_mask = keep;
    }
    if (check_chance(c, 60)) {
        DLTensor *lengths = check_input(c, SMELT_I32, 1, shape);
        for (int64_t b = a->batch - 1; b >= 0; b--) /* a broadcast layout leaves the last value */
            ref_store(lengths, b, (double)check_range(c, check_chance(c, 80), a->kv_len));
        check_filled(c, lengths);
        o->kv_lengths = lengths;
    }
    if (o->kv_offset == SMELT_LOWER_RIGHT && check_chance(c, 40)) {
        DLTensor *offsets = check_input(c, SMELT_I32, 1, shape);
        for (int64_t b = 0; b < a->batch; b++)
            ref_store(offsets, b, (double)check_range(c, -a->q_len, a->kv_len));
        check_filled(c, offsets);
        o->kv_offsets = offsets;
    }
}

static void draw_extra(struct check *c, struct attention *a, enum smelt_dtype out)
{
    static const float caps[] = {0.5f, 2, 15, 50};
    smelt_sdpa_options *o = &a->options;
    if (check_chance(c, 50)) o->softcap = PICK(c, caps);
    if (check_chance(c, 50)) o->scale = (float)(check_uniform(c, -1, 2) / sqrt((double)a->dim));
    if (!check_chance(c, 60)) return;
    DLTensor *sinks = check_input(c, out, 1, &a->heads);
    for (int64_t h = 0; h < a->heads; h++)
        ref_store(sinks, h, check_chance(c, 10) ? -INFINITY : 3 * check_normal(c));
    check_filled(c, sinks);
    o->sinks = sinks;
}

void attention_options(struct check *c, struct attention *a, unsigned kinds)
{
    enum smelt_dtype out = smelt_promote(smelt_promote(ref_dtype(a->q), ref_dtype(a->k)), ref_dtype(a->v));
    bool all = kinds == ATTENTION_ALL;
    if ((kinds & ATTENTION_CAUSAL) && !(all && check_chance(c, 40))) draw_causal(c, a);
    if ((kinds & ATTENTION_MASK) && !(all && check_chance(c, 40))) draw_mask(c, a, out);
    if ((kinds & ATTENTION_KEYS) && !(all && check_chance(c, 40))) draw_keys(c, a);
    if ((kinds & ATTENTION_EXTRA) && !(all && check_chance(c, 40))) draw_extra(c, a, out);
}

DLTensor *attention_output(struct check *c, enum smelt_dtype dtype, const int64_t shape[4])
{
    const int64_t by_token[4] = {shape[0], shape[2], shape[1], shape[3]};
    if (c->plain || check_chance(c, 60)) return check_output(c, dtype, 4, shape);
    DLTensor *output = check_output(c, dtype, 4, by_token);
    return swap_heads(output);
}

DLTensor *attention_out(struct check *c, const struct attention *a, enum smelt_dtype dtype)
{
    const int64_t shape[4] = {a->batch, a->heads, a->q_len, a->value_dim};
    return attention_output(c, dtype, shape);
}

DLTensor *attention_lse(struct check *c, const struct attention *a)
{
    const int64_t shape[3] = {a->batch, a->heads, a->q_len};
    return check_output(c, SMELT_F32, 3, shape);
}

void attention_same(struct check *c, const DLTensor *got, const DLTensor *expected, const char *what)
{
    for (int64_t i = 0, count = ref_count(expected); i < count; i++) {
        double a = ref_load(got, i), b = ref_load(expected, i);
        if (!memcmp(&a, &b, sizeof a) || (isnan(a) && isnan(b))) continue;
        check_fail(c, "%s: element %lld: expected the bits of %.9g, got %.9g", what, (long long)i, b, a);
        return;
    }
}
