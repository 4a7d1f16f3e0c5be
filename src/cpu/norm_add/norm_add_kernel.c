/* SPDX-License-Identifier: Apache-2.0 */
/* norm_add, compiled once per ISA: x is read from memory for its squares and then from the cache, residual
 * once. */
#include "cpu/norm_add/norm_add_kernel.h"

#include "cpu/norm/norm_vec.h"

struct add_row {
    enum smelt_dtype residual_type, x_type, out_type;
    const char *residual, *x, *next_residual, *next_x;
    char *out;
    struct smelt_norm_column gain, factor;
    vf scale;
};

VEC void write_step(const struct add_row *c, int64_t i, int64_t n, bool whole, bool stream)
{
    norm_prefetch(c->x_type, c->next_x, i);
    norm_prefetch(c->residual_type, c->next_residual, i);
    vf y = vec_mul(norm_load(c->x_type, c->x, i, n, whole), c->scale);
    y = vec_fma(y, norm_column(c->gain, i, n, whole), norm_load(c->residual_type, c->residual, i, n, whole));
    y = vec_mul(y, norm_column(c->factor, i, n, whole));
    norm_store(c->out_type, c->out, i, y, n, whole, stream);
}

VEC void add_rows(enum smelt_dtype residual_type, enum smelt_dtype x_type, enum smelt_dtype out_type,
                  const struct smelt_norm_rows *rows)
{
    int64_t dim = rows->dim;
    for (int64_t r = 0; r < rows->rows; r++) {
        struct add_row c = {residual_type, x_type, out_type, .gain = rows->gain, .factor = rows->scale};
        c.x = norm_row(rows, SMELT_NORM_X, r), c.next_x = norm_next(rows, SMELT_NORM_X, r);
        c.residual = norm_row(rows, SMELT_NORM_RESIDUAL, r);
        c.next_residual = norm_next(rows, SMELT_NORM_RESIDUAL, r);
        c.out = norm_row(rows, SMELT_NORM_OUT, r);
        c.scale = vec_set(norm_scale(norm_sum_of_squares(x_type, c.x, dim), dim, rows->eps));
        NORM_WRITE(write_step, &c, norm_head(out_type, c.out, dim), dim, rows->stream);
    }
    if (rows->stream) vec_stream_fence();
}

#define KERNEL(residual, x, out)                                                                             \
    static void add_##residual##_##x##_##out(const struct smelt_norm_rows *rows)                             \
    {                                                                                                        \
        add_rows(SMELT_##residual, SMELT_##x, SMELT_##out, rows);                                            \
    }
KERNEL(F32, F32, F32)
KERNEL(F16, F16, F16)
KERNEL(F16, F16, F32)
KERNEL(F32, F16, F32)
KERNEL(BF16, BF16, BF16)
KERNEL(BF16, BF16, F32)
KERNEL(F32, BF16, F32)

#define ROW(residual, x, out) [SMELT_##residual][SMELT_##x][SMELT_##out] = add_##residual##_##x##_##out
const struct smelt_norm_kernels SMELT_ISA_NAME(smelt_norm_add) = {
    .run = {[1] = {ROW(F32, F32, F32), ROW(F16, F16, F16), ROW(F16, F16, F32), ROW(F32, F16, F32),
                   ROW(BF16, BF16, BF16), ROW(BF16, BF16, F32), ROW(F32, BF16, F32)}}};
