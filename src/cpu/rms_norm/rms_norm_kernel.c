/* SPDX-License-Identifier: Apache-2.0 */
/* rms_norm, compiled once per ISA: a row is read from memory for its squares, and from the cache to be
 * written. */
#include "cpu/rms_norm/rms_norm_kernel.h"

#include "cpu/norm/norm_vec.h"

struct rms_row {
    enum smelt_dtype x_type, out_type, column_type;
    enum norm_order order;
    bool once, stream;
    const char *x, *next;
    char *out;
    int64_t dim;
    struct smelt_norm_column gain;
    vf scale;
};

VEC void write_step(const struct rms_row *c, int64_t i, int64_t n, bool whole)
{
    vf y[2], gain[2];
    norm_prefetch(c->x_type, c->next, c->dim, i, 1, 3);
    norm_load_as(c->order, c->x_type, c->x, i, n, whole, y);
    norm_column_as(c->order, c->column_type, c->gain, i, n, whole, gain);
    for (int k = 0; k < 2; k++) {
        y[k] = vec_mul(y[k], c->scale);
        if (!c->once) y[k] = vec_rounded(c->out_type, y[k]);
        y[k] = vec_mul(y[k], gain[k]);
    }
    norm_store_as(c->order, c->out_type, c->out, i, y, n, whole, c->stream);
}

VEC void rms_rows(enum smelt_dtype x_type, enum smelt_dtype out_type, bool once,
                  const struct smelt_norm_rows *rows)
{
    const enum norm_order order = once ? NORM_IN_ORDER : NORM_ANY_ORDER; /* by the columns */
    const enum smelt_dtype column_type = once ? SMELT_F32 : out_type;
    int64_t dim = rows->dim, group = smelt_norm_group(dim), count;
    for (int64_t first = 0; first < rows->rows; first += count) {
        float scale[SMELT_NORM_GROUP];
        count = norm_least(group, rows->rows - first);
        for (int64_t g = 0; g < count; g++) {
            struct norm_squares s = {.dtype = x_type, .order = order, .dim = dim};
            s.x = norm_row(rows, SMELT_NORM_X, first + g);
            s.next = norm_next(rows, SMELT_NORM_X, first + g, group);
            scale[g] = norm_scale(norm_sum_of_squares(s), dim, rows->eps);
        }
        for (int64_t g = 0; g < count; g++) {
            struct rms_row c = {x_type, out_type, column_type, order, once, rows->stream, .dim = dim};
            c.gain = rows->gain;
            c.x = norm_row(rows, SMELT_NORM_X, first + g);
            c.next = norm_next(rows, SMELT_NORM_X, first + g, group);
            c.out = norm_row(rows, SMELT_NORM_OUT, first + g);
            c.scale = vec_set(scale[g]);
            NORM_WRITE(write_step, &c, norm_head(out_type, c.out, dim, c.stream), dim);
        }
    }
    if (rows->stream) vec_stream_fence();
}

#define KERNEL(x, out, once)                                                                                 \
    static void rms_##x##_##out##_##once(const struct smelt_norm_rows *rows)                                 \
    {                                                                                                        \
        rms_rows(SMELT_##x, SMELT_##out, once, rows);                                                        \
    }
KERNEL(F32, F32, 1)
KERNEL(F16, F16, 0)
KERNEL(F16, F16, 1)
KERNEL(F16, F32, 1)
KERNEL(BF16, BF16, 0)
KERNEL(BF16, BF16, 1)
KERNEL(BF16, F32, 1)

/* Rounding to float32 in between changes nothing: those rows serve both rules. */
#define ROW(x, out, once) [SMELT_##x][SMELT_##x][SMELT_##out] = rms_##x##_##out##_##once
#define COMMON            ROW(F32, F32, 1), ROW(F16, F32, 1), ROW(BF16, F32, 1)
const struct smelt_norm_kernels SMELT_ISA_NAME(smelt_rms_norm) = {
    .run = {{COMMON, ROW(F16, F16, 0), ROW(BF16, BF16, 0)}, {COMMON, ROW(F16, F16, 1), ROW(BF16, BF16, 1)}}};
