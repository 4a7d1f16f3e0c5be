/* SPDX-License-Identifier: Apache-2.0 */
/* rms_norm, compiled once per ISA: a row is read from memory for its squares, and from the cache to be
 * written. */
#include "cpu/rms_norm/rms_norm_kernel.h"

#include "cpu/norm/norm_vec.h"

struct rms_row {
    enum smelt_dtype x_type, out_type;
    bool once;
    const char *x, *next;
    char *out;
    struct smelt_norm_column gain;
    vf scale;
};

VEC void write_step(const struct rms_row *c, int64_t i, int64_t n, bool whole, bool stream)
{
    norm_prefetch(c->x_type, c->next, i);
    vf y = vec_mul(norm_load(c->x_type, c->x, i, n, whole), c->scale);
    if (!c->once) y = vec_rounded(c->out_type, y);
    y = vec_mul(y, norm_column(c->gain, i, n, whole));
    norm_store(c->out_type, c->out, i, y, n, whole, stream);
}

VEC void rms_rows(enum smelt_dtype x_type, enum smelt_dtype out_type, bool once,
                  const struct smelt_norm_rows *rows)
{
    int64_t dim = rows->dim;
    for (int64_t r = 0; r < rows->rows; r++) {
        struct rms_row c = {x_type, out_type, once, .gain = rows->gain};
        c.x = norm_row(rows, SMELT_NORM_X, r);
        c.next = norm_next(rows, SMELT_NORM_X, r);
        c.out = norm_row(rows, SMELT_NORM_OUT, r);
        c.scale = vec_set(norm_scale(norm_sum_of_squares(x_type, c.x, dim), dim, rows->eps));
        NORM_WRITE(write_step, &c, norm_head(out_type, c.out, dim), dim, rows->stream);
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
