/* SPDX-License-Identifier: Apache-2.0 */
/* For the kernels of the norm family: sweeps over a row, loads and stores of whole and last vectors,
 * statistics.
 *
 * A step is an always-inline function of a context: step(context, i, n, whole, ...) works on elements i to i
 * + n; whole: n is VEC_WIDTH. The sweeps repeat it as little as they can: its code is compiled for every
 * dtype. */
#ifndef SMELT_CPU_NORM_VEC_H
#define SMELT_CPU_NORM_VEC_H

#include "cpu/norm/norm.h"
#include "cpu/vec/vec.h"

/* Elements begin to end of a row: step(context, i, n, whole, u), u being one of four independent
 * accumulators. */
#define NORM_READ(step, context, begin, end)                                                                 \
    do {                                                                                                     \
        int64_t i_ = (begin);                                                                                \
        for (; i_ + 4 * VEC_WIDTH <= (end); i_ += 4 * VEC_WIDTH) {                                           \
            step(context, i_, VEC_WIDTH, true, 0);                                                           \
            step(context, i_ + VEC_WIDTH, VEC_WIDTH, true, 1);                                               \
            step(context, i_ + 2 * VEC_WIDTH, VEC_WIDTH, true, 2);                                           \
            step(context, i_ + 3 * VEC_WIDTH, VEC_WIDTH, true, 3);                                           \
        }                                                                                                    \
        for (; i_ + VEC_WIDTH <= (end); i_ += VEC_WIDTH) step(context, i_, VEC_WIDTH, true, 0);              \
        if (i_ < (end)) step(context, i_, (end)-i_, false, 0);                                               \
    } while (0)

/* A row that is written: step(context, i, n, whole, stream). Where it streams, the first `head` elements
 * stand before memory is aligned for that. */
#define NORM_WRITE(step, context, head, dim, stream)                                                         \
    do {                                                                                                     \
        int64_t i_ = 0;                                                                                      \
        const bool stream_ = (stream);                                                                       \
        if (stream_ && (head) > 0) step(context, 0, head, false, false), i_ = (head);                        \
        for (; i_ + VEC_WIDTH <= (dim); i_ += VEC_WIDTH) step(context, i_, VEC_WIDTH, true, stream_);        \
        if (i_ < (dim)) step(context, i_, (dim)-i_, false, false);                                           \
    } while (0)

/* Float32 sums run over so many elements, 64 to a lane; the sums of these pieces are added in float64. */
#define NORM_PIECE (256 * VEC_WIDTH)

VEC vf norm_load(enum smelt_dtype dtype, const void *base, int64_t i, int64_t n, bool whole)
{
    return whole ? vec_load(dtype, base, i) : vec_load_part(dtype, base, i, n);
}
VEC void norm_store(enum smelt_dtype dtype, void *base, int64_t i, vf v, int64_t n, bool whole, bool stream)
{
    if (!whole)
        vec_store_part(dtype, base, i, v, n);
    else if (stream)
        vec_stream(dtype, base, i, v);
    else
        vec_store(dtype, base, i, v);
}
/* sums[i] += v */
VEC void norm_accumulate(float *sums, int64_t i, vf v, int64_t n, bool whole)
{
    norm_store(SMELT_F32, sums, i, vec_add(norm_load(SMELT_F32, sums, i, n, whole), v), n, whole, false);
}
VEC vf norm_column(struct smelt_norm_column column, int64_t i, int64_t n, bool whole)
{
    return norm_load(SMELT_F32, column.values, i & column.mask, n, whole);
}
VEC void norm_prefetch(enum smelt_dtype dtype, const void *base, int64_t i)
{
    __builtin_prefetch(vec_at(dtype, base, i));
}

VEC int64_t norm_head(enum smelt_dtype dtype, const void *p, int64_t dim)
{
    int64_t head = vec_stream_head(dtype, p);
    return head < dim ? head : dim;
}

/* The row after `r`, to be fetched while row `r` is written; row `r` itself where there is none, or where
 * rows would push each other out of the cache. */
VEC const char *norm_next(const struct smelt_norm_rows *rows, enum smelt_norm_operand operand, int64_t r)
{
    enum { LONG = 128 << 10 }; /* bytes */
    int64_t step = rows->step[operand];
    bool last = r + 1 == rows->rows || rows->dim * 4 > LONG;
    return rows->data[operand] + (last ? r : r + 1) * step;
}
VEC char *norm_row(const struct smelt_norm_rows *rows, enum smelt_norm_operand operand, int64_t r)
{
    return rows->data[operand] + r * rows->step[operand];
}

VEC double norm_total(const vf sum[4])
{
    return vec_sum(vec_add(vec_add(sum[0], sum[1]), vec_add(sum[2], sum[3])));
}
VEC int64_t norm_piece_end(int64_t at, int64_t dim) { return at + NORM_PIECE < dim ? at + NORM_PIECE : dim; }

/* 1 / sqrt(mean square + eps) */
VEC float norm_scale(double squares, int64_t dim, float eps)
{
    return (float)(1.0 / sqrt(squares / (double)dim + (double)eps));
}

struct norm_squares {
    enum smelt_dtype dtype;
    const char *x;
    vf sum[4];
};
VEC void norm_squares_step(struct norm_squares *c, int64_t i, int64_t n, bool whole, int u)
{
    vf x = norm_load(c->dtype, c->x, i, n, whole);
    c->sum[u] = vec_fma(x, x, c->sum[u]);
}
VEC double norm_sum_of_squares(enum smelt_dtype dtype, const char *x, int64_t dim)
{
    double total = 0;
    for (int64_t at = 0; at < dim; at += NORM_PIECE) {
        struct norm_squares c = {dtype, x, {vec_zero(), vec_zero(), vec_zero(), vec_zero()}};
        NORM_READ(norm_squares_step, &c, at, norm_piece_end(at, dim));
        total += norm_total(c.sum);
    }
    return total;
}

#endif
