/* SPDX-License-Identifier: Apache-2.0 */
/* residual_norm, compiled once per ISA: the sum of a row is kept in float32, unrounded, while its squares are
 * added up. */
#include "cpu/residual_norm/residual_norm_kernel.h"

#include "cpu/norm/norm_vec.h"

struct sum_row {
    enum smelt_dtype residual_type, x_type, sum_type;
    const char *residual, *x;
    char *sum; /* or NULL */
    float *kept;
    bool stream;
    vf squares[4];
};

VEC void sum_step(struct sum_row *c, int64_t i, int64_t n, bool whole, int u)
{
    vf x = norm_load(c->x_type, c->x, i, n, whole);
    vf v = vec_add(norm_load(c->residual_type, c->residual, i, n, whole), x);
    norm_store(SMELT_F32, c->kept, i, v, n, whole, false);
    if (c->sum) norm_store(c->sum_type, c->sum, i, v, n, whole, c->stream);
    c->squares[u] = vec_fma(v, v, c->squares[u]);
}

VEC double sum_pieces(struct sum_row c, int64_t dim)
{
    double total = 0;
    int64_t head = c.sum && c.stream ? norm_head(c.sum_type, c.sum, dim) : 0, end;
    for (int64_t at = 0; at < dim; at = end, head = 0) {
        end = norm_piece_end(at + head, dim);
        for (int u = 0; u < 4; u++) c.squares[u] = vec_zero();
        if (head) sum_step(&c, at, head, false, 0);
        NORM_READ(sum_step, &c, at + head, end);
        total += norm_total(c.squares);
    }
    return total;
}

struct out_row {
    enum smelt_dtype residual_type, x_type, out_type;
    const char *next_residual, *next_x;
    const float *kept;
    char *out;
    struct smelt_norm_column gain, factor;
    vf scale;
};

VEC void write_step(const struct out_row *c, int64_t i, int64_t n, bool whole, bool stream)
{
    norm_prefetch(c->x_type, c->next_x, i);
    norm_prefetch(c->residual_type, c->next_residual, i);
    vf y = vec_mul(norm_load(SMELT_F32, c->kept, i, n, whole), c->scale);
    y = vec_mul(y, norm_column(c->gain, i, n, whole));
    y = vec_mul(y, norm_column(c->factor, i, n, whole));
    norm_store(c->out_type, c->out, i, y, n, whole, stream);
}

VEC void residual_rows(enum smelt_dtype residual_type, enum smelt_dtype x_type, enum smelt_dtype out_type,
                       const struct smelt_norm_rows *rows)
{
    enum smelt_dtype sum_type = residual_type == x_type ? x_type : SMELT_F32;
    int64_t dim = rows->dim;
    for (int64_t r = 0; r < rows->rows; r++) {
        struct sum_row s = {residual_type, x_type, sum_type, .kept = rows->row, .stream = rows->stream};
        s.residual = norm_row(rows, SMELT_NORM_RESIDUAL, r);
        s.x = norm_row(rows, SMELT_NORM_X, r);
        s.sum = rows->data[SMELT_NORM_SUM] ? norm_row(rows, SMELT_NORM_SUM, r) : NULL;
        double squares = sum_pieces(s, dim);
        struct out_row c = {residual_type, x_type, out_type, .kept = rows->row, .gain = rows->gain};
        c.factor = rows->scale;
        c.next_x = norm_next(rows, SMELT_NORM_X, r);
        c.next_residual = norm_next(rows, SMELT_NORM_RESIDUAL, r);
        c.out = norm_row(rows, SMELT_NORM_OUT, r);
        c.scale = vec_set(norm_scale(squares, dim, rows->eps));
        NORM_WRITE(write_step, &c, norm_head(out_type, c.out, dim), dim, rows->stream);
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
