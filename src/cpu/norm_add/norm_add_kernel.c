/* SPDX-License-Identifier: Apache-2.0 */
/* norm_add, compiled once per ISA: x is read from memory for its squares and then from the cache, residual
 * once. */
#include "cpu/norm_add/norm_add_kernel.h"

#include "cpu/norm/norm_vec.h"

struct add_row {
    enum smelt_dtype residual_type, x_type, out_type;
    bool stream;
    const char *residual, *x, *next_residual, *next_x;
    char *out;
    int64_t dim;
    struct smelt_norm_column gain, factor;
    vf scale;
};

VEC void write_step(const struct add_row *c, int64_t i, int64_t n, bool whole)
{
    vf y[2], residual[2], gain[2], factor[2];
    norm_prefetch(c->x_type, c->next_x, c->dim, i, 1, 3);
    norm_prefetch(c->residual_type, c->next_residual, c->dim, i, 1, 3);
    norm_load(c->x_type, c->x, i, n, whole, y);
    norm_load(c->residual_type, c->residual, i, n, whole, residual);
    norm_column(c->gain, i, n, whole, gain);
    norm_column(c->factor, i, n, whole, factor);
    for (int k = 0; k < 2; k++)
        y[k] = vec_mul(vec_fma(vec_mul(y[k], c->scale), gain[k], residual[k]), factor[k]);
    norm_store(c->out_type, c->out, i, y, n, whole, c->stream);
}

VEC void add_rows(enum smelt_dtype residual_type, enum smelt_dtype x_type, enum smelt_dtype out_type,
                  const struct smelt_norm_rows *rows)
{
    int64_t dim = rows->dim, group = smelt_norm_group(dim), count;
    for (int64_t first = 0; first < rows->rows; first += count) {
        float scale[SMELT_NORM_GROUP];
        count = norm_least(group, rows->rows - first);
        for (int64_t g = 0; g < count; g++) {
            struct norm_squares s = {.dtype = x_type, .other_type = residual_type, .dim = dim};
            s.x = norm_row(rows, SMELT_NORM_X, first + g);
            s.next = norm_next(rows, SMELT_NORM_X, first + g, group);
            s.next_other = norm_next(rows, SMELT_NORM_RESIDUAL, first + g, group);
            scale[g] = norm_scale(norm_sum_of_squares(s), dim, rows->eps);
        }
        for (int64_t g = 0; g < count; g++) {
            struct add_row c = {residual_type, x_type, out_type, rows->stream, .dim = dim};
            c.gain = rows->gain, c.factor = rows->scale;
            c.x = norm_row(rows, SMELT_NORM_X, first + g);
            c.next_x = norm_next(rows, SMELT_NORM_X, first + g, group);
            c.residual = norm_row(rows, SMELT_NORM_RESIDUAL, first + g);
            c.next_residual = norm_next(rows, SMELT_NORM_RESIDUAL, first + g, group);
            c.out = norm_row(rows, SMELT_NORM_OUT, first + g);
            c.scale = vec_set(scale[g]);
            NORM_WRITE(write_step, &c, norm_head(out_type, c.out, dim, c.stream), dim);
        }
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
