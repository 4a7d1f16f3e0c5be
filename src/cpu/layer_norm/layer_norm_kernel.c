/* SPDX-License-Identifier: Apache-2.0 */
/* layer_norm, compiled once per ISA. The variance is taken around the mean as float32 has it; what rounding
 * took from the mean is the mean of those differences, and corrects both the variance and the output. */
#include "cpu/layer_norm/layer_norm_kernel.h"

#include "cpu/layer_norm/layer_norm_vec.h"

struct layer_row {
    enum smelt_dtype x_type, out_type;
    bool once;
    const char *x, *next;
    char *out;
    struct smelt_norm_column gain, shift;
    vf mean, scale, offset;
};

VEC void write_step(const struct layer_row *c, int64_t i, int64_t n, bool whole, bool stream)
{
    norm_prefetch(c->x_type, c->next, i);
    vf centred = vec_sub(norm_load(c->x_type, c->x, i, n, whole), c->mean);
    vf y = vec_fma(centred, c->scale, c->offset);
    if (!c->once) y = vec_rounded(c->out_type, y);
    y = vec_mul(y, norm_column(c->gain, i, n, whole));
    if (!c->once) y = vec_rounded(c->out_type, y);
    y = vec_add(y, norm_column(c->shift, i, n, whole));
    norm_store(c->out_type, c->out, i, y, n, whole, stream);
}

VEC void layer_rows(enum smelt_dtype x_type, enum smelt_dtype out_type, bool once,
                    const struct smelt_norm_rows *rows)
{
    int64_t dim = rows->dim;
    for (int64_t r = 0; r < rows->rows; r++) {
        struct layer_row c = {x_type, out_type, once, .gain = rows->gain, .shift = rows->shift};
        c.x = norm_row(rows, SMELT_NORM_X, r);
        c.next = norm_next(rows, SMELT_NORM_X, r);
        c.out = norm_row(rows, SMELT_NORM_OUT, r);
        struct layer_moments m = layer_moments(x_type, c.x, dim, rows->eps);
        c.mean = vec_set(m.mean), c.scale = vec_set(m.scale), c.offset = vec_set(-m.correction * m.scale);
        NORM_WRITE(write_step, &c, norm_head(out_type, c.out, dim), dim, rows->stream);
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
