/* SPDX-License-Identifier: Apache-2.0 */
/* One tile of probabilities and slopes, with all that hides keys turned into a bias. */
#include "cpu/sdpa_vjp/work.h"

static inline __attribute__((always_inline)) void add_mask_row(enum smelt_dtype dtype, float *bias,
                                                               const char *from, int64_t step, int64_t n)
{
    for (int64_t j = 0; j < n; j++)
        bias[j] = dtype == SMELT_BOOL ? (from[j * step] ? 0.0f : -INFINITY)
                                      : smelt_load_float(dtype, from + j * step);
}

static void mask_row(const struct smelt_sdpa_args *a, float *bias, int64_t b, int64_t h, int64_t i,
                     int64_t key, int64_t n)
{
    const int64_t *stride = a->mask_stride;
    int64_t item = a->mask->item, step = stride[3] * item;
    const char *from =
        a->mask->data + (b * stride[0] + h * stride[1] + i * stride[2] + key * stride[3]) * item;
    switch (a->mask->dtype) {
    case SMELT_BOOL: add_mask_row(SMELT_BOOL, bias, from, step, n); break;
    case SMELT_F32: add_mask_row(SMELT_F32, bias, from, step, n); break;
    case SMELT_F16: add_mask_row(SMELT_F16, bias, from, step, n); break;
    default: add_mask_row(SMELT_BF16, bias, from, step, n); break;
    }
}

/* What is added to the scores of one row; -inf hides. */
static void bias_row(const struct vjp_plan *plan, const struct vjp_work *work, float *bias, int64_t b,
                     int64_t h, int64_t i, int64_t at, int64_t key, int64_t n)
{
    const struct vjp_queries *q = &work->queries;
    int64_t first = q->first[at] - key, end = q->end[at] - key;
    if (plan->forward->mask)
        mask_row(plan->forward, bias, b, h, i, key, n);
    else
        for (int64_t j = 0; j < n; j++) bias[j] = 0;
    for (int64_t j = 0; j < n && !work->keys.all; j++)
        if (!work->keys.keep[j]) bias[j] = -INFINITY;
    for (int64_t j = 0; j < n && j < first; j++) bias[j] = -INFINITY;
    for (int64_t j = end < 0 ? 0 : end; j < VJP_BLOCK; j++) bias[j] = -INFINITY;
    for (int64_t j = n; j < VJP_BLOCK; j++) bias[j] = -INFINITY;
}

bool vjp_tile(const struct vjp_plan *plan, struct vjp_work *work, int64_t b, int64_t head, int64_t row,
              int64_t at, int64_t count, int64_t key, int64_t key_count, bool capped)
{
    const struct smelt_sdpa_args *a = plan->forward;
    const struct vjp_queries *q = &work->queries;
    bool some = false, whole = !a->mask && work->keys.all;
    for (int64_t r = at; r < at + count; r++) {
        int64_t first = q->first[r] > key ? q->first[r] : key;
        int64_t end = q->end[r] < key + key_count ? q->end[r] : key + key_count;
        some |= first < end;
        whole &= first == key && end == key + key_count;
    }
    if (!some) return false;
    for (int64_t r = 0; !whole && r < count; r++)
        bias_row(plan, work, work->bias + r * VJP_BLOCK, b, vjp_head(plan, head, row + r),
                 (row + r) % a->q_len, at + r, key, key_count);
    plan->kernels->scores(work->scores, q->deep + at * a->dim, work->keys.deep, count, key_count, a->dim);
    plan->kernels->scores(work->slopes, q->deep_dout + at * a->value_dim, work->keys.deep_values, count,
                          key_count, a->value_dim);
    struct smelt_sdpa_vjp_tile tile = {.scores = work->scores,
                                       .slopes = work->slopes,
                                       .bias = whole ? NULL : work->bias,
                                       .lse = q->lse + at,
                                       .left = q->left + at,
                                       .queries = count,
                                       .keys = key_count,
                                       .softcap = a->softcap,
                                       .capped = capped};
    plan->kernels->derive(&tile);
    return true;
}
