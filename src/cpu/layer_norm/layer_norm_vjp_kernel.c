/* SPDX-License-Identifier: Apache-2.0 */
/* The gradient of layer_norm, compiled once per ISA. With c = x - mean(x), s = 1 / sqrt(variance + eps), h =
 * dout * gain: dx = s * (h - mean(h)) - c * s^3 * mean(h * c)       by_norm += dout * c * s       by_dout +=
 * dout */
#include "cpu/layer_norm/layer_norm_kernel.h"

#include "cpu/layer_norm/layer_norm_vec.h"

struct vjp_row {
    enum smelt_dtype x_type, out_type;
    const char *x, *dout, *next_x, *next_dout;
    char *dx; /* or NULL */
    float *by_norm, *by_dout;
    struct smelt_norm_column gain;
    vf mean, correction, scale, offset, pull; /* offset: -s * mean(h); pull: s^3 * mean(h * c) */
    vf sum[4], squares[4], total[4], products[4];
};

VEC void sum_step(struct vjp_row *c, int64_t i, int64_t n, bool whole, int u)
{
    vf centred = layer_centred(c->x_type, c->x, c->mean, i, n, whole);
    vf h = vec_mul(norm_load(c->out_type, c->dout, i, n, whole), norm_column(c->gain, i, n, whole));
    c->sum[u] = vec_add(c->sum[u], centred);
    c->squares[u] = vec_fma(centred, centred, c->squares[u]);
    c->total[u] = vec_add(c->total[u], h);
    c->products[u] = vec_fma(h, centred, c->products[u]);
}

VEC void write_step(const struct vjp_row *c, int64_t i, int64_t n, bool whole, bool stream)
{
    norm_prefetch(c->x_type, c->next_x, i);
    norm_prefetch(c->out_type, c->next_dout, i);
    vf g = norm_load(c->out_type, c->dout, i, n, whole);
    vf h = vec_mul(g, norm_column(c->gain, i, n, whole));
    vf centred = vec_sub(vec_sub(norm_load(c->x_type, c->x, i, n, whole), c->mean), c->correction);
    if (c->by_norm) norm_accumulate(c->by_norm, i, vec_mul(g, vec_mul(centred, c->scale)), n, whole);
    if (c->by_dout) norm_accumulate(c->by_dout, i, g, n, whole);
    vf dx = vec_fnma(centred, c->pull, vec_fma(h, c->scale, c->offset));
    if (c->dx) norm_store(c->x_type, c->dx, i, dx, n, whole, stream);
}

VEC void statistics(struct vjp_row *c, int64_t dim, float eps)
{
    float mean = layer_mean(c->x_type, c->x, dim);
    double sum = 0, squares = 0, total = 0, products = 0;
    c->mean = vec_set(mean);
    for (int64_t at = 0; at < dim; at += NORM_PIECE) {
        for (int u = 0; u < 4; u++) c->sum[u] = c->squares[u] = c->total[u] = c->products[u] = vec_zero();
        NORM_READ(sum_step, c, at, norm_piece_end(at, dim));
        sum += norm_total(c->sum), squares += norm_total(c->squares);
        total += norm_total(c->total), products += norm_total(c->products);
    }
    struct layer_moments m = layer_moments_of(mean, sum, squares, dim, eps);
    double scale = m.scale, mean_product = (products - m.correction * total) / (double)dim;
    c->correction = vec_set(m.correction), c->scale = vec_set(m.scale);
    c->offset = vec_set((float)(-scale * (total / (double)dim)));
    c->pull = vec_set((float)(scale * scale * scale * mean_product));
}

VEC void layer_vjp_rows(enum smelt_dtype x_type, enum smelt_dtype out_type,
                        const struct smelt_norm_rows *rows)
{
    int64_t dim = rows->dim;
    for (int64_t r = 0; r < rows->rows; r++) {
        struct vjp_row c = {x_type, out_type, .gain = rows->gain};
        c.by_norm = rows->by_norm, c.by_dout = rows->by_dout;
        c.x = norm_row(rows, SMELT_NORM_X, r), c.next_x = norm_next(rows, SMELT_NORM_X, r);
        c.dout = norm_row(rows, SMELT_NORM_OUT, r), c.next_dout = norm_next(rows, SMELT_NORM_OUT, r);
        c.dx = rows->data[SMELT_NORM_DX] ? norm_row(rows, SMELT_NORM_DX, r) : NULL;
        statistics(&c, dim, rows->eps);
        bool stream = rows->stream && c.dx;
        NORM_WRITE(write_step, &c, norm_head(x_type, c.dx, dim), dim, stream);
    }
    if (rows->stream) vec_stream_fence();
}

#define KERNEL(x, out)                                                                                       \
    static void layer_vjp_##x##_##out(const struct smelt_norm_rows *rows)                                    \
    {                                                                                                        \
        layer_vjp_rows(SMELT_##x, SMELT_##out, rows);                                                        \
    }
KERNEL(F32, F32)
KERNEL(F16, F16)
KERNEL(F16, F32)
KERNEL(BF16, BF16)
KERNEL(BF16, F32)

#define ROW(x, out) [SMELT_##x][SMELT_##x][SMELT_##out] = layer_vjp_##x##_##out
#define ROWS                                                                                                 \
    {                                                                                                        \
        ROW(F32, F32), ROW(F16, F16), ROW(F16, F32), ROW(BF16, BF16), ROW(BF16, F32)                         \
    }
const struct smelt_norm_kernels SMELT_ISA_NAME(smelt_layer_norm_vjp) = {.run = {[1] = ROWS}};
