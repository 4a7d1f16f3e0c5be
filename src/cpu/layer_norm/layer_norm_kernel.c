/* SPDX-License-Identifier: Apache-2.0 */
/* layer_norm, compiled once per ISA. The variance is taken around a value near the mean; the mean of those
 * differences corrects both the variance and the output. */
#include "cpu/layer_norm/layer_norm_kernel.h"

#include "cpu/layer_norm/layer_norm_vec.h"

VEC void square_step(struct layer_sums *c, int64_t i, int64_t n, bool whole, int u)
{
    vf v[2];
    layer_prefetch(&c->row, i);
    layer_centred(&c->row, c->mean, i, n, whole, v);
    for (int k = 0; k < 2; k++) {
        c->sum[2 * u + k] = vec_add(c->sum[2 * u + k], v[k]);
        c->squares[2 * u + k] = vec_fma(v[k], v[k], c->squares[2 * u + k]);
    }
}
VEC struct layer_moments moments(struct layer_row row, float mean, float eps)
{
    double sum = 0, squares = 0;
    for (int64_t at = 0; at < row.dim; at += NORM_PIECE) {
        struct layer_sums c = {.row = row, .mean = vec_set(mean)};
        norm_clear(c.sum), norm_clear(c.squares);
        NORM_READ(square_step, &c, at, norm_piece_end(at, row.dim));
        sum += norm_total(c.sum), squares += norm_total(c.squares);
    }
    return layer_moments_of(mean, sum, squares, row.dim, eps);
}

struct out_row {
    enum smelt_dtype out_type, column_type;
    bool once, stream;
    struct layer_row row;
    char *out;
    struct smelt_norm_column gain, shift;
    vf mean, scale, offset;
};

VEC void write_step(const struct out_row *c, int64_t i, int64_t n, bool whole)
{
    vf y[2], gain[2], shift[2];
    norm_prefetch(c->row.dtype, c->row.next, c->row.dim, i, 2, 2);
    layer_centred(&c->row, c->mean, i, n, whole, y);
    norm_column_as(c->row.order, c->column_type, c->gain, i, n, whole, gain);
    norm_column_as(c->row.order, c->column_type, c->shift, i, n, whole, shift);
    for (int k = 0; k < 2; k++) {
        y[k] = vec_fma(y[k], c->scale, c->offset);
        if (!c->once) y[k] = vec_rounded(c->out_type, y[k]);
        y[k] = vec_mul(y[k], gain[k]);
        if (!c->once) y[k] = vec_rounded(c->out_type, y[k]);
        y[k] = vec_add(y[k], shift[k]);
    }
    norm_store_as(c->row.order, c->out_type, c->out, i, y, n, whole, c->stream);
}

VEC void layer_rows(enum smelt_dtype x_type, enum smelt_dtype out_type, bool once,
                    const struct smelt_norm_rows *rows)
{
    const enum norm_order order = once ? NORM_IN_ORDER : NORM_ANY_ORDER; /* by the columns */
    int64_t dim = rows->dim, group = smelt_norm_group(dim), count;
    for (int64_t first = 0; first < rows->rows; first += count) {
        struct layer_moments m[SMELT_NORM_GROUP];
        count = norm_least(group, rows->rows - first);
        for (int64_t g = 0; g < count; g++)
            m[g].mean = layer_mean(layer_row_at(x_type, out_type, order, rows, first + g, group));
        for (int64_t g = 0; g < count; g++)
            m[g] =
                moments(layer_row_at(x_type, out_type, order, rows, first + g, group), m[g].mean, rows->eps);
        for (int64_t g = 0; g < count; g++) {
            struct out_row c = {out_type,     once ? SMELT_F32 : out_type, once,
                                rows->stream, .gain = rows->gain,          .shift = rows->shift};
            c.row = layer_row_at(x_type, out_type, order, rows, first + g, group);
            c.out = norm_row(rows, SMELT_NORM_OUT, first + g);
            c.mean = vec_set(m[g].mean), c.scale = vec_set(m[g].scale);
            c.offset = vec_set(-m[g].correction * m[g].scale);
            NORM_WRITE(write_step, &c, norm_head(out_type, c.out, dim, c.stream), dim);
        }
    }
    if (rows->stream) vec_stream_fence();
}

#define KERNEL(x, out, once)                                                                                 \
    static void layer_##x##_##out##_##once(const struct smelt_norm_rows *rows)                               \
    {                                                                                                        \
        layer_rows(SMELT_##x, SMELT_##out, once, rows);                                                      \
    }
KERNEL(F32, F32, 1)
KERNEL(F16, F16, 0)
KERNEL(F16, F16, 1)
KERNEL(F16, F32, 1)
KERNEL(BF16, BF16, 0)
KERNEL(BF16, BF16, 1)
KERNEL(BF16, F32, 1)

/* Rounding to float32 in between changes nothing: those rows serve both rules. */
#define ROW(x, out, once) [SMELT_##x][SMELT_##x][SMELT_##out] = layer_##x##_##out##_##once
#define COMMON            ROW(F32, F32, 1), ROW(F16, F32, 1), ROW(BF16, F32, 1)
const struct smelt_norm_kernels SMELT_ISA_NAME(smelt_layer_norm) = {
    .run = {{COMMON, ROW(F16, F16, 0), ROW(BF16, BF16, 0)}, {COMMON, ROW(F16, F16, 1), ROW(BF16, BF16, 1)}}};
