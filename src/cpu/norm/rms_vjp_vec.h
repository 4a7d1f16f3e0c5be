/* SPDX-License-Identifier: Apache-2.0 */
/* The gradient of the root-mean-square norm, for the kernels of rms_norm_vjp, norm_add_vjp and
 * residual_norm_vjp.
 *
 * v is what is normalised (x, or residual + x), g the cotangent, h = g * gain, s = 1 / sqrt(mean(v^2) + eps):
 *     dv = s * h - v * s^3 * mean(h * v)          by_norm += g * v * s
 * The row is read from memory for the two sums, and from the cache to be written. */
#ifndef SMELT_CPU_NORM_RMS_VJP_VEC_H
#define SMELT_CPU_NORM_RMS_VJP_VEC_H

#include "cpu/norm/norm_vec.h"

enum rms_vjp_kind {
    RMS_VJP_PLAIN,    /* v = x */
    RMS_VJP_ADD,      /* v = x; dresidual = g * scale; by_dout += g * residual */
    RMS_VJP_RESIDUAL, /* v = residual + x; dx = dresidual = dv + dsum */
};

struct rms_vjp_row {
    enum rms_vjp_kind kind;
    enum smelt_dtype residual_type, x_type, out_type, sum_type;
    bool stream;
    const char *residual, *x, *dout, *dsum; /* dout and dsum may be NULL; residual too, for ADD */
    const char *next_residual, *next_x, *next_dout, *next_dsum;
    char *dresidual, *dx; /* each may be NULL */
    float *by_norm, *by_dout;
    int64_t dim;
    struct smelt_norm_column gain, factor;
    vf scale, pull; /* pull: s^3 * mean(h * v) */
    vf squares[2 * NORM_SUMS], products[2 * NORM_SUMS];
};

VEC void rms_vjp_value(const struct rms_vjp_row *c, int64_t i, int64_t n, bool whole, vf v[2])
{
    vf residual[2];
    norm_load(c->x_type, c->x, i, n, whole, v);
    if (c->kind != RMS_VJP_RESIDUAL) return;
    norm_load(c->residual_type, c->residual, i, n, whole, residual);
    v[0] = vec_add(residual[0], v[0]), v[1] = vec_add(residual[1], v[1]);
}

/* Two quarters of the next row are fetched by each of the two sweeps. */
VEC void rms_vjp_prefetch(const struct rms_vjp_row *c, int64_t i, int from)
{
    norm_prefetch(c->x_type, c->next_x, c->dim, i, from, 2);
    if (c->next_dout) norm_prefetch(c->out_type, c->next_dout, c->dim, i, from, 2);
    if (c->next_residual) norm_prefetch(c->residual_type, c->next_residual, c->dim, i, from, 2);
    if (c->next_dsum) norm_prefetch(c->sum_type, c->next_dsum, c->dim, i, from, 2);
}

VEC void rms_vjp_sum_step(struct rms_vjp_row *c, int64_t i, int64_t n, bool whole, int u)
{
    vf v[2], h[2], gain[2];
    rms_vjp_prefetch(c, i, 0);
    rms_vjp_value(c, i, n, whole, v);
    norm_load(c->out_type, c->dout, i, n, whole, h);
    norm_column(c->gain, i, n, whole, gain);
    for (int k = 0; k < 2; k++) {
        int at = 2 * u + k;
        c->squares[at] = vec_fma(v[k], v[k], c->squares[at]);
        c->products[at] = vec_fma(vec_mul(h[k], gain[k]), v[k], c->products[at]);
    }
}

/* Without dout (NULL) the gradient is dsum. */
VEC void rms_vjp_write_step(const struct rms_vjp_row *c, int64_t i, int64_t n, bool whole)
{
    vf dv[2] = {vec_zero(), vec_zero()}, g[2] = {vec_zero(), vec_zero()}, v[2], other[2];
    rms_vjp_prefetch(c, i, 2);
    if (c->dout) {
        norm_load(c->out_type, c->dout, i, n, whole, g);
        norm_column(c->gain, i, n, whole, other);
        rms_vjp_value(c, i, n, whole, v);
        for (int k = 0; k < 2; k++) {
            dv[k] = vec_fnma(v[k], c->pull, vec_mul(vec_mul(g[k], other[k]), c->scale));
            v[k] = vec_mul(v[k], c->scale);
        }
        if (c->by_norm) norm_accumulate(c->by_norm, i, g, v, n, whole);
    }
    if (c->kind == RMS_VJP_RESIDUAL) {
        if (c->dsum) {
            norm_load(c->sum_type, c->dsum, i, n, whole, other);
            dv[0] = vec_add(dv[0], other[0]), dv[1] = vec_add(dv[1], other[1]);
        }
        if (c->dresidual) norm_store(c->residual_type, c->dresidual, i, dv, n, whole, c->stream);
    }
    if (c->kind == RMS_VJP_ADD) {
        if (c->by_dout) {
            norm_load(c->residual_type, c->residual, i, n, whole, other);
            norm_accumulate(c->by_dout, i, g, other, n, whole);
        }
        norm_column(c->factor, i, n, whole, other);
        g[0] = vec_mul(g[0], other[0]), g[1] = vec_mul(g[1], other[1]);
        if (c->dresidual) norm_store(c->residual_type, c->dresidual, i, g, n, whole, c->stream);
    }
    if (c->dx) norm_store(c->x_type, c->dx, i, dv, n, whole, c->stream);
}

VEC void rms_vjp_statistics(struct rms_vjp_row *c, float eps)
{
    double squares = 0, products = 0;
    for (int64_t at = 0; at < c->dim; at += NORM_PIECE) {
        norm_clear(c->squares), norm_clear(c->products);
        NORM_READ(rms_vjp_sum_step, c, at, norm_piece_end(at, c->dim));
        squares += norm_total(c->squares), products += norm_total(c->products);
    }
    double scale = 1.0 / sqrt(squares / (double)c->dim + (double)eps);
    c->scale = vec_set((float)scale);
    c->pull = vec_set((float)(scale * scale * scale * (products / (double)c->dim)));
}

VEC void rms_vjp_locate(struct rms_vjp_row *c, const struct smelt_norm_rows *rows, int64_t r)
{
    c->x = norm_row(rows, SMELT_NORM_X, r), c->next_x = norm_next(rows, SMELT_NORM_X, r, 1);
    if (c->kind == RMS_VJP_RESIDUAL || c->by_dout) {
        c->residual = norm_row(rows, SMELT_NORM_RESIDUAL, r);
        c->next_residual = norm_next(rows, SMELT_NORM_RESIDUAL, r, 1);
    }
    if (rows->data[SMELT_NORM_OUT])
        c->dout = norm_row(rows, SMELT_NORM_OUT, r), c->next_dout = norm_next(rows, SMELT_NORM_OUT, r, 1);
    if (rows->data[SMELT_NORM_SUM])
        c->dsum = norm_row(rows, SMELT_NORM_SUM, r), c->next_dsum = norm_next(rows, SMELT_NORM_SUM, r, 1);
    if (rows->data[SMELT_NORM_DX]) c->dx = norm_row(rows, SMELT_NORM_DX, r);
    if (rows->data[SMELT_NORM_DRESIDUAL]) c->dresidual = norm_row(rows, SMELT_NORM_DRESIDUAL, r);
}

/* Two outputs stream together where they are aligned alike. */
VEC int64_t rms_vjp_head(struct rms_vjp_row *c)
{
    int64_t head = 0;
    if (c->dx) head = norm_head(c->x_type, c->dx, c->dim, c->stream);
    if (c->dresidual) {
        int64_t other = norm_head(c->residual_type, c->dresidual, c->dim, c->stream);
        if (c->dx && head != other) return c->stream = false, 0;
        head = other;
    }
    return head;
}

VEC void rms_vjp_rows(enum rms_vjp_kind kind, enum smelt_dtype residual_type, enum smelt_dtype x_type,
                      enum smelt_dtype out_type, const struct smelt_norm_rows *rows)
{
    enum smelt_dtype sum_type = residual_type == x_type ? x_type : SMELT_F32;
    for (int64_t r = 0; r < rows->rows; r++) {
        struct rms_vjp_row c = {kind, residual_type, x_type, out_type, sum_type, .stream = rows->stream};
        c.dim = rows->dim, c.gain = rows->gain, c.factor = rows->scale;
        c.by_norm = rows->by_norm, c.by_dout = rows->by_dout;
        rms_vjp_locate(&c, rows, r);
        if (c.dout) rms_vjp_statistics(&c, rows->eps);
        NORM_WRITE(rms_vjp_write_step, &c, rms_vjp_head(&c), rows->dim);
    }
    if (rows->stream) vec_stream_fence();
}

#define RMS_VJP_KERNEL(kind, residual, x, out)                                                               \
    static void rms_vjp_##residual##_##x##_##out(const struct smelt_norm_rows *rows)                         \
    {                                                                                                        \
        rms_vjp_rows(kind, SMELT_##residual, SMELT_##x, SMELT_##out, rows);                                  \
    }
#define RMS_VJP_ROW(residual, x, out)                                                                        \
    [SMELT_##residual][SMELT_##x][SMELT_##out] = rms_vjp_##residual##_##x##_##out

#endif
