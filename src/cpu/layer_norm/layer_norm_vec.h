/* SPDX-License-Identifier: Apache-2.0 */
/* Mean and variance of a row, for layer_norm and its gradient. The variance is taken around a value near the
 * mean: the mean itself, by a pass of its own, or where all is 16 bits wide the mean of the first elements.
 * These are part of the row, so the value is at most sqrt(dim / LAYER_SAMPLE) deviations away: what cancels
 * stays below 16 bits. */
#ifndef SMELT_CPU_LAYER_NORM_VEC_H
#define SMELT_CPU_LAYER_NORM_VEC_H

#include "cpu/norm/norm_vec.h"

enum { LAYER_SAMPLE = NORM_SUMS * NORM_STEP };

/* A row, and the next one, of which the first pass fetches the first quarter and the second another, or both
 * where only a sample is read for the mean. */
struct layer_row {
    enum smelt_dtype dtype;
    enum norm_order order;
    bool sampled;
    const char *x, *next;
    int64_t dim;
};
VEC struct layer_row layer_row_at(enum smelt_dtype dtype, enum smelt_dtype out_type, enum norm_order order,
                                  const struct smelt_norm_rows *rows, int64_t r, int64_t group)
{
    bool sampled = dtype != SMELT_F32 && out_type != SMELT_F32;
    return (struct layer_row){
        dtype,    order, sampled, norm_row(rows, SMELT_NORM_X, r), norm_next(rows, SMELT_NORM_X, r, group),
        rows->dim};
}
struct layer_sums {
    struct layer_row row;
    vf mean;
    vf sum[2 * NORM_SUMS], squares[2 * NORM_SUMS];
};
VEC void layer_sum_step(struct layer_sums *c, int64_t i, int64_t n, bool whole, int u)
{
    vf x[2];
    if (!c->row.sampled) norm_prefetch(c->row.dtype, c->row.next, c->row.dim, i, 0, 1);
    norm_load_as(c->row.order, c->row.dtype, c->row.x, i, n, whole, x);
    for (int k = 0; k < 2; k++) c->sum[2 * u + k] = vec_add(c->sum[2 * u + k], x[k]);
}
VEC float layer_mean(struct layer_row row)
{
    double total = 0;
    const int64_t count = row.sampled ? norm_least(row.dim, LAYER_SAMPLE) : row.dim;
    for (int64_t at = 0; at < count; at += NORM_PIECE) {
        struct layer_sums c = {.row = row};
        norm_clear(c.sum);
        NORM_READ(layer_sum_step, &c, at, norm_piece_end(at, count));
        total += norm_total(c.sum);
    }
    return (float)(total / (double)count);
}
/* What the pass for the variance fetches of the next row. */
VEC void layer_prefetch(const struct layer_row *row, int64_t i)
{
    if (row->sampled)
        norm_prefetch(row->dtype, row->next, row->dim, i, 0, 2);
    else
        norm_prefetch(row->dtype, row->next, row->dim, i, 1, 1);
}

/* x - mean, and 0 behind the last element */
VEC void layer_centred(const struct layer_row *row, vf mean, int64_t i, int64_t n, bool whole, vf v[2])
{
    norm_load_as(row->order, row->dtype, row->x, i, n, whole, v);
    v[0] = vec_sub(v[0], mean), v[1] = vec_sub(v[1], mean);
    if (whole) return;
    v[0] = vec_select(vec_mask_first(n), v[0], vec_zero());
    v[1] = vec_select(vec_mask_first(n < VEC_WIDTH ? 0 : n - VEC_WIDTH), v[1], vec_zero());
}

struct layer_moments {
    float mean;       /* nearly */
    float correction; /* mean of x - mean */
    float scale;      /* 1 / sqrt(variance + eps) */
};
VEC struct layer_moments layer_moments_of(float mean, double sum, double squares, int64_t dim, float eps)
{
    double correction = sum / (double)dim, variance = squares / (double)dim - correction * correction;
    if (variance < 0) variance = 0; /* by rounding; NaN stays */
    return (struct layer_moments){mean, (float)correction, (float)(1.0 / sqrt(variance + (double)eps))};
}

#endif
