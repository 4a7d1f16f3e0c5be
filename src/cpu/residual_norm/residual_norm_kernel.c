/* SPDX-License-Identifier: Apache-2.0 */
/* residual_norm, compiled once per ISA: the sum of a row is kept in float32, unrounded, while its squares are
 * added up. */
#include "cpu/residual_norm/residual_norm_kernel.h"

#include "cpu/norm/norm_vec.h"

struct sum_row {
    enum smelt_dtype residual_type, x_type, sum_type;
    bool stream, apart; /* apart: `kept` is not `sum` itself */
    const char *residual, *x, *next_residual, *next_x;
    char *sum; /* or NULL */
    float *kept;
    int64_t dim;
    vf squares[2 * NORM_SUMS];
};

VEC void sum_step(struct sum_row *c, int64_t i, int64_t n, bool whole, int u)
{
    vf v[2], residual[2];
    norm_prefetch(c->x_type, c->next_x, c->dim, i, 0, 2);
    norm_prefetch(c->residual_type, c->next_residual, c->dim, i, 0, 2);
    norm_load(c->x_type, c->x, i, n, whole, v);
    norm_load(c->residual_type, c->residual, i, n, whole, residual);
    for (int k = 0; k < 2; k++) {
        v[k] = vec_add(residual[k], v[k]);
        c->squares[2 * u + k] = vec_fma(v[k], v[k], c->squares[2 * u + k]);
    }
    if (c->apart) norm_store(SMELT_F32, c->kept, i, v, n, whole, false);
    if (c->sum) norm_store(c->sum_type, c->sum, i, v, n, whole, c->stream);
}

VEC double sum_pieces(struct sum_row c)
{
    double total = 0;
    int64_t head = c.sum ? norm_head(c.sum_type, c.sum, c.dim, c.stream) : 0, end;
    for (int64_t at = 0; at < c.dim; at = end, head = 0) {
        end = norm_piece_end(at + head, c.dim);
        norm_clear(c.squares);
        if (head) sum_step(&c, at, head, false, 0);
        NORM_READ(sum_step, &c, at + head, end);
        total += norm_total(c.squares);
    }
    return total;
}

struct out_row {
    enum smelt_dtype residual_type, x_type, out_type;
    bool stream;
    const char *next_residual, *next_x;
    const float *kept;
    char *out;
    int64_t dim;
    struct smelt_norm_column gain, factor;
    vf scale;
};

VEC void write_step(const struct out_row *c, int64_t i, int64_t n, bool whole)
{
    vf y[2], gain[2], factor[2];
    norm_prefetch(c->x_type, c->next_x, c->dim, i, 2, 2);
    norm_prefetch(c->residual_type, c->next_residual, c->dim, i, 2, 2);
    norm_load(SMELT_F32, c->kept, i, n, whole, y);
    norm_column(c->gain, i, n, whole, gain);
    norm_column(c->factor, i, n, whole, factor);
    for (int k = 0; k < 2; k++) y[k] = vec_mul(vec_mul(vec_mul(y[k], c->scale), gain[k]), factor[k]);
    norm_store(c->out_type, c->out, i, y, n, whole, c->stream);
}

/* Where the sum of row `r`, the g-th of its group, is found again: in its output where that is float32 and
 * stays in the cache. */
VEC float *kept_row(const struct smelt_norm_rows *rows, enum smelt_dtype sum_type, int64_t r, int64_t g)
{
    if (sum_type == SMELT_F32 && rows->data[SMELT_NORM_SUM] && !rows->stream)
        return (void *)norm_row(rows, SMELT_NORM_SUM, r);
    return rows->row + g * rows->row_step;
}

VEC void residual_rows(enum smelt_dtype residual_type, enum smelt_dtype x_type, enum smelt_dtype out_type,
                       const struct smelt_norm_rows *rows)
{
    enum smelt_dtype sum_type = residual_type == x_type ? x_type : SMELT_F32;
    int64_t dim = rows->dim, group = smelt_norm_group(dim), count;
    for (int64_t first = 0; first < rows->rows; first += count) {
        float scale[SMELT_NORM_GROUP];
        count = norm_least(group, rows->rows - first);
        for (int64_t g = 0; g < count; g++) {
            struct sum_row s = {residual_type, x_type, sum_type, rows->stream, .dim = dim};
            s.residual = norm_row(rows, SMELT_NORM_RESIDUAL, first + g);
            s.next_residual = norm_next(rows, SMELT_NORM_RESIDUAL, first + g, group);
            s.x = norm_row(rows, SMELT_NORM_X, first + g);
            s.next_x = norm_next(rows, SMELT_NORM_X, first + g, group);
            s.sum = rows->data[SMELT_NORM_SUM] ? norm_row(rows, SMELT_NORM_SUM, first + g) : NULL;
            s.kept = kept_row(rows, sum_type, first + g, g);
            s.apart = (void *)s.kept != (void *)s.sum;
            scale[g] = norm_scale(sum_pieces(s), dim, rows->eps);
        }
        for (int64_t g = 0; g < count; g++) {
            struct out_row c = {residual_type, x_type, out_type, rows->stream, .dim = dim};
            c.gain = rows->gain, c.factor = rows->scale;
            c.next_x = norm_next(rows, SMELT_NORM_X, first + g, group);
            c.next_residual = norm_next(rows, SMELT_NORM_RESIDUAL, first + g, group);
            c.kept = kept_row(rows, sum_type, first + g, g);
            c.out = norm_row(rows, SMELT_NORM_OUT, first + g);
            c.scale = vec_set(scale[g]);
            NORM_WRITE(write_step, &c, norm_head(out_type, c.out, dim, c.stream), dim);
        }
    }
    if (rows->stream) vec_stream_fence();
}

#define KERNEL(residual, x, out)                                                                             \
    static void residual_##residual##_##x##_##out(const struct smelt_norm_rows *rows)                        \
    {                                                                                                        \
        residual_rows(SMELT_##residual, SMELT_##x, SMELT_##out, rows);                                       \
    }
KERNEL(F32, F32, F32)
KERNEL(F16, F16, F16)
KERNEL(F16, F16, F32)
KERNEL(F32, F16, F32)
KERNEL(BF16, BF16, BF16)
KERNEL(BF16, BF16, F32)
KERNEL(F32, BF16, F32)

#define ROW(residual, x, out) [SMELT_##residual][SMELT_##x][SMELT_##out] = residual_##residual##_##x##_##out
const struct smelt_norm_kernels SMELT_ISA_NAME(smelt_residual_norm) = {
    .run = {[1] = {ROW(F32, F32, F32), ROW(F16, F16, F16), ROW(F16, F16, F32), ROW(F32, F16, F32),
                   ROW(BF16, BF16, BF16), ROW(BF16, BF16, F32), ROW(F32, BF16, F32)}}};
