/* SPDX-License-Identifier: Apache-2.0 */
/* The gradient of layer_norm, compiled once per ISA. With c = x - mean(x), s = 1 / sqrt(variance + eps), h =
 * dout * gain: dx = s * (h - mean(h)) - c * s^3 * mean(h * c)       by_norm += dout * c * s       by_dout +=
 * dout */
#include "cpu/layer_norm/layer_norm_kernel.h"

#include "cpu/layer_norm/layer_norm_vec.h"

struct vjp_row {
    enum smelt_dtype out_type;
    bool stream;
    struct layer_row row;
    const char *dout, *next_dout;
    char *dx; /* or NULL */
    float *by_norm, *by_dout;
    struct smelt_norm_column gain;
    vf mean, correction, scale, offset, pull; /* offset: -s * mean(h); pull: s^3 * mean(h * c) */
    vf sum[2 * NORM_SUMS], squares[2 * NORM_SUMS], total[2 * NORM_SUMS], products[2 * NORM_SUMS];
};

VEC void sum_step(struct vjp_row *c, int64_t i, int64_t n, bool whole, int u)
{
    vf centred[2], h[2], gain[2];
    layer_prefetch(&c->row, i);
    norm_prefetch(c->out_type, c->next_dout, c->row.dim, i, 0, 2);
    layer_centred(&c->row, c->mean, i, n, whole, centred);
    norm_load(c->out_type, c->dout, i, n, whole, h);
    norm_column(c->gain, i, n, whole, gain);
    for (int k = 0; k < 2; k++) {
        int at = (2 * u + k) % 4; /* sixteen sums are as many as registers can hold */
        h[k] = vec_mul(h[k], gain[k]);
        c->sum[at] = vec_add(c->sum[at], centred[k]);
        c->squares[at] = vec_fma(centred[k], centred[k], c->squares[at]);
        c->total[at] = vec_add(c->total[at], h[k]);
        c->products[at] = vec_fma(h[k], centred[k], c->products[at]);
    }
}

VEC void write_step(const struct vjp_row *c, int64_t i, int64_t n, bool whole)
{
    vf centred[2], g[2], gain[2], dx[2], normal[2], ones[2] = {vec_set(1.0f), vec_set(1.0f)};
    norm_prefetch(c->row.dtype, c->row.next, c->row.dim, i, 2, 2);
    norm_prefetch(c->out_type, c->next_dout, c->row.dim, i, 2, 2);
    layer_centred(&c->row, c->mean, i, n, whole, centred);
    norm_load(c->out_type, c->dout, i, n, whole, g);
    norm_column(c->gain, i, n, whole, gain);
    for (int k = 0; k < 2; k++) {
        centred[k] = vec_sub(centred[k], c->correction);
        normal[k] = vec_mul(centred[k], c->scale);
        dx[k] = vec_fnma(centred[k], c->pull, vec_fma(vec_mul(g[k], gain[k]), c->scale, c->offset));
    }
    if (c->by_norm) norm_accumulate(c->by_norm, i, g, normal, n, whole);
    if (c->by_dout) norm_accumulate(c->by_dout, i, g, ones, n, whole);
    if (c->dx) norm_store(c->row.dtype, c->dx, i, dx, n, whole, c->stream);
}

VEC void statistics(struct vjp_row *c, int64_t dim, float eps)
{
    float mean = layer_mean(c->row);
    double sum = 0, squares = 0, total = 0, products = 0;
    c->mean = vec_set(mean);
    for (int64_t at = 0; at < dim; at += NORM_PIECE) {
        norm_clear(c->sum), norm_clear(c->squares), norm_clear(c->total), norm_clear(c->products);
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
        struct vjp_row c = {out_type, rows->stream, .gain = rows->gain};
        c.row = layer_row_at(x_type, out_type, NORM_IN_ORDER, rows, r, 1);
        c.by_norm = rows->by_norm, c.by_dout = rows->by_dout;
        c.dout = norm_row(rows, SMELT_NORM_OUT, r), c.next_dout = norm_next(rows, SMELT_NORM_OUT, r, 1);
        c.dx = rows->data[SMELT_NORM_DX] ? norm_row(rows, SMELT_NORM_DX, r) : NULL;
        statistics(&c, dim, rows->eps);
        NORM_WRITE(write_step, &c, c.dx ? norm_head(x_type, c.dx, dim, c.stream) : 0, dim);
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
