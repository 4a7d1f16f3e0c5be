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
    const char *residual, *x, *dout, *dsum; /* dsum, and residual for ADD, may be NULL */
    const char *next_residual, *next_x, *next_dout, *next_dsum;
    char *dresidual, *dx; /* each may be NULL */
    float *by_norm, *by_dout;
    struct smelt_norm_column gain, factor;
    vf scale, pull; /* pull: s^3 * mean(h * v) */
    vf squares[4], products[4];
};

VEC vf rms_vjp_value(const struct rms_vjp_row *c, int64_t i, int64_t n, bool whole)
{
    vf x = norm_load(c->x_type, c->x, i, n, whole);
    if (c->kind != RMS_VJP_RESIDUAL) return x;
    return vec_add(norm_load(c->residual_type, c->residual, i, n, whole), x);
}

VEC void rms_vjp_sum_step(struct rms_vjp_row *c, int64_t i, int64_t n, bool whole, int u)
{
    vf v = rms_vjp_value(c, i, n, whole);
    vf h = vec_mul(norm_load(c->out_type, c->dout, i, n, whole), norm_column(c->gain, i, n, whole));
    c->squares[u] = vec_fma(v, v, c->squares[u]);
    c->products[u] = vec_fma(h, v, c->products[u]);
}

/* Without dout (NULL) the gradient is dsum. */
VEC void rms_vjp_write_step(const struct rms_vjp_row *c, int64_t i, int64_t n, bool whole, bool stream)
{
    vf dv = vec_zero(), g = dv;
    norm_prefetch(c->x_type, c->next_x, i);
    if (c->dout) {
        norm_prefetch(c->out_type, c->next_dout, i);
        g = norm_load(c->out_type, c->dout, i, n, whole);
        vf v = rms_vjp_value(c, i, n, whole), h = vec_mul(g, norm_column(c->gain, i, n, whole));
        dv = vec_fnma(v, c->pull, vec_mul(h, c->scale));
        if (c->by_norm) norm_accumulate(c->by_norm, i, vec_mul(g, vec_mul(v, c->scale)), n, whole);
    }
    if (c->kind == RMS_VJP_RESIDUAL) {
        norm_prefetch(c->residual_type, c->next_residual, i);
        if (c->dsum) {
            norm_prefetch(c->sum_type, c->next_dsum, i);
            dv = vec_add(dv, norm_load(c->sum_type, c->dsum, i, n, whole));
        }
        if (c->dresidual) norm_store(c->residual_type, c->dresidual, i, dv, n, whole, stream);
    }
    if (c->kind == RMS_VJP_ADD) {
        if (c->by_dout) {
            norm_prefetch(c->residual_type, c->next_residual, i);
            vf residual = norm_load(c->residual_type, c->residual, i, n, whole);
            norm_accumulate(c->by_dout, i, vec_mul(g, residual), n, whole);
        }
        vf dresidual = vec_mul(g, norm_column(c->factor, i, n, whole));
        if (c->dresidual) norm_store(c->residual_type, c->dresidual, i, dresidual, n, whole, stream);
    }
    if (c->dx) norm_store(c->x_type, c->dx, i, dv, n, whole, stream);
}

VEC void rms_vjp_statistics(struct rms_vjp_row *c, int64_t dim, float eps)
{
    double squares = 0, products = 0;
    for (int64_t at = 0; at < dim; at += NORM_PIECE) {
        for (int u = 0; u < 4; u++) c->squares[u] = c->products[u] = vec_zero();
        NORM_READ(rms_vjp_sum_step, c, at, norm_piece_end(at, dim));
        squares += norm_total(c->squares), products += norm_total(c->products);
    }
    double scale = 1.0 / sqrt(squares / (double)dim + (double)eps);
    c->scale = vec_set((float)scale);
    c->pull = vec_set((float)(scale * scale * scale * (products / (double)dim)));
}

VEC void rms_vjp_locate(struct rms_vjp_row *c, const struct smelt_norm_rows *rows, int64_t r)
{
    c->x = norm_row(rows, SMELT_NORM_X, r), c->next_x = norm_next(rows, SMELT_NORM_X, r);
    if (rows->data[SMELT_NORM_RESIDUAL]) {
        c->residual = norm_row(rows, SMELT_NORM_RESIDUAL, r);
        c->next_residual = norm_next(rows, SMELT_NORM_RESIDUAL, r);
    }
    if (rows->data[SMELT_NORM_OUT])
        c->dout = norm_row(rows, SMELT_NORM_OUT, r), c->next_dout = norm_next(rows, SMELT_NORM_OUT, r);
    if (rows->data[SMELT_NORM_SUM])
        c->dsum = norm_row(rows, SMELT_NORM_SUM, r), c->next_dsum = norm_next(rows, SMELT_NORM_SUM, r);
    if (rows->data[SMELT_NORM_DX]) c->dx = norm_row(rows, SMELT_NORM_DX, r);
    if (rows->data[SMELT_NORM_DRESIDUAL]) c->dresidual = norm_row(rows, SMELT_NORM_DRESIDUAL, r);
}

VEC void rms_vjp_rows(enum rms_vjp_kind kind, enum smelt_dtype residual_type, enum smelt_dtype x_type,
                      enum smelt_dtype out_type, const struct smelt_norm_rows *rows)
{
    enum smelt_dtype sum_type = residual_type == x_type ? x_type : SMELT_F32;
    for (int64_t r = 0; r < rows->rows; r++) {
        struct rms_vjp_row c = {kind, residual_type, x_type, out_type, sum_type, .gain = rows->gain};
        c.factor = rows->scale, c.by_norm = rows->by_norm, c.by_dout = rows->by_dout;
        rms_vjp_locate(&c, rows, r);
        if (c.dout) rms_vjp_statistics(&c, rows->dim, rows->eps);
        /* Two outputs stream together where they are aligned alike. */
        int64_t head = 0, dim = rows->dim;
        bool stream = rows->stream;
        if (c.dx) head = norm_head(x_type, c.dx, dim);
        if (c.dresidual) {
            int64_t other = norm_head(residual_type, c.dresidual, dim);
            stream = stream && (!c.dx || head == other);
            head = other;
        }
        NORM_WRITE(rms_vjp_write_step, &c, head, dim, stream);
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
