/* SPDX-License-Identifier: Apache-2.0 */
/* Scaled dot-product attention and its logsumexp, by definition: every score of a query, then the softmax. */
#include <math.h>
#include <stdlib.h>

#include "ref/sdpa.h"

double *ref_copy(const DLTensor *tensor)
{
    int64_t count = ref_count(tensor);
    double *values = malloc((size_t)(count + 1) * sizeof *values);
    if (!values) abort();
    for (int64_t i = 0; i < count; i++) values[i] = ref_load(tensor, i);
    return values;
}

struct ref_attention ref_attention(const DLTensor *q, const DLTensor *k, const DLTensor *v,
                                   const smelt_sdpa_options *options)
{
    static const smelt_sdpa_options defaults = SMELT_SDPA_OPTIONS_INIT;
    struct ref_attention a = {.options = options ? *options : defaults,
                              .batch = q->shape[0],
                              .heads = q->shape[1],
                              .kv_heads = k->shape[1],
                              .q_len = q->shape[2],
                              .kv_len = k->shape[2],
                              .dim = q->shape[3],
                              .value_dim = v->shape[3],
                              .q = ref_copy(q),
                              .k = ref_copy(k),
                              .v = ref_copy(v)};
    a.scale = isnan(a.options.scale) ? 1 / sqrt((double)a.dim) : (double)a.options.scale;
    return a;
}

void ref_attention_free(struct ref_attention *a)
{
    free(a->q);
    free(a->k);
    free(a->v);
}

int64_t ref_mask_element(const DLTensor *mask, int64_t b, int64_t h, int64_t i, int64_t j)
{
    const int64_t index[4] = {b, h, i, j};
    int64_t flat = 0;
    for (int axis = 0; axis < mask->ndim; axis++)
        flat = flat * mask->shape[axis] + (mask->shape[axis] == 1 ? 0 : index[4 - mask->ndim + axis]);
    return flat;
}

bool ref_visible(const struct ref_attention *a, int64_t b, int64_t h, int64_t i, int64_t j)
{
    const smelt_sdpa_options *o = &a->options;
    int64_t keys = o->kv_lengths ? (int64_t)ref_load(o->kv_lengths, b) : a->kv_len;
    /* in double: offsets and windows are any 64-bit numbers, and those near the end of the range decide
       nothing */
    double offset = o->kv_offsets                       ? ref_load(o->kv_offsets, b)
                    : o->kv_offset == SMELT_LOWER_RIGHT ? (double)(keys - a->q_len)
                                                        : (double)o->kv_offset;
    double at = (double)i + offset;
    if (j >= keys) return false;
    if (o->causal && (double)j > at) return false;
    if (o->window_left >= 0 && (double)j < at - (double)o->window_left) return false;
    if (o->window_right >= 0 && (double)j > at + (double)o->window_right) return false;
    if (o->key_mask && ref_load(o->key_mask, b * a->kv_len + j) == 0) return false;
    if (!o->mask) return true;
    double value = ref_load(o->mask, ref_mask_element(o->mask, b, h, i, j));
    return ref_dtype(o->mask) == SMELT_BOOL ? value != 0 : value != -INFINITY;
}

double ref_capped(const struct ref_attention *a, int64_t b, int64_t h, int64_t i, int64_t j)
{
    const double *q = a->q + ((b * a->heads + h) * a->q_len + i) * a->dim;
    const double *k = a->k + ref_key_row(a, b, h, j) * a->dim;
    double dot = 0, cap = (double)a->options.softcap;
    for (int64_t d = 0; d < a->dim; d++) dot += q[d] * k[d];
    dot *= a->scale;
    return cap > 0 ? cap * tanh(dot / cap) : dot;
}

double ref_score(const struct ref_attention *a, int64_t b, int64_t h, int64_t i, int64_t j)
{
    const DLTensor *mask = a->options.mask;
    if (!ref_visible(a, b, h, i, j)) return -INFINITY;
    double score = ref_capped(a, b, h, i, j);
    if (mask && ref_dtype(mask) != SMELT_BOOL) score += ref_load(mask, ref_mask_element(mask, b, h, i, j));
    return score;
}

/* One query: writes its row of out and of lse. `scores` has room for all keys, `sum` for a value row. */
static void query(const struct ref_attention *a, DLTensor *out, DLTensor *lse, int64_t b, int64_t h,
                  int64_t i, double *scores, double *sum)
{
    double sink = a->options.sinks ? ref_load(a->options.sinks, h) : -INFINITY, most = sink;
    int64_t row = (b * a->heads + h) * a->q_len + i;
    for (int64_t j = 0; j < a->kv_len; j++) {
        scores[j] = ref_score(a, b, h, i, j);
        if (scores[j] > most || isnan(scores[j])) most = scores[j];
        if (isnan(most)) break;
    }
    if (most == INFINITY) most = NAN; /* infinity minus infinity */
    double total = most == -INFINITY ? 0 : exp(sink - most);
    for (int64_t d = 0; d < a->value_dim; d++) sum[d] = isnan(most) ? most : 0;
    for (int64_t j = 0; j < a->kv_len && most > -INFINITY; j++) {
        if (scores[j] == -INFINITY)
            continue; /* not visible, or without weight: its value row does not count */
        double p = exp(scores[j] - most);
        const double *v = a->v + ref_key_row(a, b, h, j) * a->value_dim;
        total += p;
        for (int64_t d = 0; d < a->value_dim; d++) sum[d] += p * v[d];
    }
    for (int64_t d = 0; d < a->value_dim; d++)
        ref_store(out, row * a->value_dim + d, total == 0 ? 0 : sum[d] / total);
    if (lse) ref_store(lse, row, most == -INFINITY ? -INFINITY : most + log(total));
}

void ref_sdpa(DLTensor *out, DLTensor *lse, const DLTensor *q, const DLTensor *k, const DLTensor *v,
              const smelt_sdpa_options *options)
{
    struct ref_attention a = ref_attention(q, k, v, options);
    double *scores = malloc((size_t)(a.kv_len + a.value_dim + 1) * sizeof *scores);
    if (!scores) abort();
    for (int64_t b = 0; b < a.batch; b++)
        for (int64_t h = 0; h < a.heads; h++)
            for (int64_t i = 0; i < a.q_len; i++) query(&a, out, lse, b, h, i, scores, scores + a.kv_len);
    free(scores);
    ref_attention_free(&a);
}
