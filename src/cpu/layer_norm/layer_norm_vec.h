/* SPDX-License-Identifier: Apache-2.0 */
/* Mean and variance of a row, in two passes, for layer_norm and its gradient. */
#ifndef SMELT_CPU_LAYER_NORM_VEC_H
#define SMELT_CPU_LAYER_NORM_VEC_H

#include "cpu/norm/norm_vec.h"

struct layer_moments {
    float mean;       /* nearly */
    float correction; /* mean of x - mean */
    float scale;      /* 1 / sqrt(variance + eps) */
};

struct layer_sums {
    enum smelt_dtype dtype;
    const char *x;
    vf mean;
    vf sum[4], squares[4];
};
VEC void layer_sum_step(struct layer_sums *c, int64_t i, int64_t n, bool whole, int u)
{
    c->sum[u] = vec_add(c->sum[u], norm_load(c->dtype, c->x, i, n, whole));
}
/* x - mean, and 0 behind the last element */
VEC vf layer_centred(enum smelt_dtype dtype, const char *x, vf mean, int64_t i, int64_t n, bool whole)
{
    vf centred = vec_sub(norm_load(dtype, x, i, n, whole), mean);
    return whole ? centred : vec_select(vec_mask_first(n), centred, vec_zero());
}
VEC void layer_square_step(struct layer_sums *c, int64_t i, int64_t n, bool whole, int u)
{
    vf centred = layer_centred(c->dtype, c->x, c->mean, i, n, whole);
    c->sum[u] = vec_add(c->sum[u], centred);
    c->squares[u] = vec_fma(centred, centred, c->squares[u]);
}
VEC struct layer_sums layer_sums_zero(enum smelt_dtype dtype, const char *x, vf mean)
{
    vf zero = vec_zero();
    return (struct layer_sums){dtype, x, mean, {zero, zero, zero, zero}, {zero, zero, zero, zero}};
}

VEC float layer_mean(enum smelt_dtype dtype, const char *x, int64_t dim)
{
    double total = 0;
    for (int64_t at = 0; at < dim; at += NORM_PIECE) {
        struct layer_sums c = layer_sums_zero(dtype, x, vec_zero());
        NORM_READ(layer_sum_step, &c, at, norm_piece_end(at, dim));
        total += norm_total(c.sum);
    }
    return (float)(total / (double)dim);
}

VEC struct layer_moments layer_moments_of(float mean, double sum, double squares, int64_t dim, float eps)
{
    double correction = sum / (double)dim, variance = squares / (double)dim - correction * correction;
    if (variance < 0) variance = 0; /* by rounding; NaN stays */
    return (struct layer_moments){mean, (float)correction, (float)(1.0 / sqrt(variance + (double)eps))};
}

VEC struct layer_moments layer_moments(enum smelt_dtype dtype, const char *x, int64_t dim, float eps)
{
    float mean = layer_mean(dtype, x, dim);
    double sum = 0, squares = 0;
    for (int64_t at = 0; at < dim; at += NORM_PIECE) {
        struct layer_sums c = layer_sums_zero(dtype, x, vec_set(mean));
        NORM_READ(layer_square_step, &c, at, norm_piece_end(at, dim));
        sum += norm_total(c.sum), squares += norm_total(c.squares);
    }
    return layer_moments_of(mean, sum, squares, dim, eps);
}

#endif
