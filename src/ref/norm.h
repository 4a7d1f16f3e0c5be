/* SPDX-License-Identifier: Apache-2.0 */
/* What the definitions of the norm family share. */
#ifndef SMELT_REF_NORM_H
#define SMELT_REF_NORM_H

#include <math.h>

#include "ref/ref.h"

static inline smelt_norm_options ref_norm_options(const smelt_norm_options *given)
{
    const smelt_norm_options defaults = SMELT_NORM_OPTIONS_INIT;
    return given ? *given : defaults;
}

static inline int64_t ref_dim(const DLTensor *x) { return x->shape[x->ndim - 1]; }
static inline int64_t ref_rows(const DLTensor *x)
{
    int64_t rows = 1;
    for (int i = 0; i < x->ndim - 1; i++) rows *= x->shape[i];
    return rows;
}

/* Element i of a column that may be absent or of length 1. */
static inline double ref_column(const DLTensor *column, int64_t i, double absent)
{
    return column ? ref_load(column, column->shape[0] == 1 ? 0 : i) : absent;
}
static inline double ref_gain(const DLTensor *weight, int64_t i, float offset)
{
    return weight ? (double)(float)(ref_load(weight, i) + (double)offset) : 1;
}

/* 1 / sqrt(mean(v^2) + eps) of n values. */
static inline double ref_rms_scale(const double *v, int64_t n, double eps)
{
    double squares = 0;
    for (int64_t i = 0; i < n; i++) squares += v[i] * v[i];
    return 1 / sqrt(squares / (double)n + eps);
}

/* dv of out = v * s * gain, s as above, for the cotangent g of out times gain. */
static inline void ref_rms_vjp(double *dv, const double *v, const double *h, double s, int64_t n)
{
    double product = 0;
    for (int64_t i = 0; i < n; i++) product += h[i] * v[i];
    for (int64_t i = 0; i < n; i++) dv[i] = s * h[i] - v[i] * s * s * s * product / (double)n;
}

/* The gradient of a scalar (or NULL) of length 1 or n from its n terms. */
static inline void ref_store_scalar(DLTensor *scalar, const double *terms, int64_t n)
{
    if (!scalar) return;
    double total = 0;
    for (int64_t i = 0; i < n; i++) {
        total += terms[i];
        if (scalar->shape[0] != 1) ref_store(scalar, i, terms[i]);
    }
    if (scalar->shape[0] == 1) ref_store(scalar, 0, total);
}

/* v becomes v - mean(v); returns 1 / sqrt(variance + eps). */
double ref_layer_statistics(double *v, int64_t n, double eps);

#endif
