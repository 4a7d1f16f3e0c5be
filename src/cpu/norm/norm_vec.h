/* SPDX-License-Identifier: Apache-2.0 */
/* For the kernels of the norm family: sweeps over a row, loads and stores of whole and last vectors,
 * statistics.
 *
 * A step is an always-inline function of a context: step(context, i, n, whole, ...) works on elements i to i
 * + n, two vectors; whole: n is NORM_STEP. The sweeps repeat it as little as they can: its code is compiled
 * for every dtype. */
#ifndef SMELT_CPU_NORM_VEC_H
#define SMELT_CPU_NORM_VEC_H

#include "cpu/norm/norm.h"
#include "cpu/vec/vec.h"

#define NORM_STEP (2 * VEC_WIDTH)
enum { NORM_SUMS = 4 };

/* Elements begin to end of a row: step(context, i, n, whole, u), u being one of NORM_SUMS independent
 * accumulators. */
#define NORM_READ(step, context, begin, end)                                                                 \
    do {                                                                                                     \
        int64_t i_ = (begin);                                                                                \
        for (; i_ + NORM_SUMS * NORM_STEP <= (end); i_ += NORM_SUMS * NORM_STEP) NORM_UNROLL                 \
        for (int u_ = 0; u_ < NORM_SUMS; u_++) step(context, i_ + u_ * NORM_STEP, NORM_STEP, true, u_);      \
        for (; i_ + NORM_STEP <= (end); i_ += NORM_STEP) step(context, i_, NORM_STEP, true, 0);              \
        if (i_ < (end)) step(context, i_, (end)-i_, false, 0);                                               \
    } while (0)
/* A sanitizer's checks fill the code: there the sums stay in memory, and the step is compiled once. */
#ifdef SMELT_SANITIZED
#    define NORM_UNROLL
#else
#    define NORM_UNROLL _Pragma("GCC unroll 4")
#endif

/* A row that is written: step(context, i, n, whole). The first `head` elements, fewer than a step, stand
 * before memory is aligned. */
#define NORM_WRITE(step, context, head, dim)                                                                 \
    do {                                                                                                     \
        int64_t i_ = 0, part_ = (head);                                                                      \
        do {                                                                                                 \
            if (part_) step(context, i_, part_, false), i_ += part_;                                         \
            for (; i_ + NORM_STEP <= (dim); i_ += NORM_STEP) step(context, i_, NORM_STEP, true);             \
            part_ = (dim)-i_;                                                                                \
        } while (part_);                                                                                     \
    } while (0)

/* Float32 sums run over so many elements, 32 to a lane; the sums of these pieces are added in float64. */
#define NORM_PIECE (256 * VEC_WIDTH)

VEC void norm_load(enum smelt_dtype dtype, const void *base, int64_t i, int64_t n, bool whole, vf v[2])
{
    if (whole) {
        v[0] = vec_load(dtype, base, i), v[1] = vec_load(dtype, base, i + VEC_WIDTH);
    } else {
        int64_t first = n < VEC_WIDTH ? n : VEC_WIDTH;
        v[0] = vec_load_part(dtype, base, i, first), v[1] = vec_load_part(dtype, base, i + first, n - first);
    }
}
VEC void norm_store(enum smelt_dtype dtype, void *base, int64_t i, const vf v[2], int64_t n, bool whole,
                    bool stream)
{
    if (whole) {
        vec_store_two(dtype, base, i, v, stream);
    } else {
        int64_t first = n < VEC_WIDTH ? n : VEC_WIDTH;
        vec_store_part(dtype, base, i, v[0], first), vec_store_part(dtype, base, i + first, v[1], n - first);
    }
}
/* Elements of a step where their order does not matter as long as all operands have it: those that are 16-bit
 * alike. */
enum norm_order { NORM_IN_ORDER, NORM_ANY_ORDER };
VEC void norm_load_as(enum norm_order order, enum smelt_dtype dtype, const void *base, int64_t i, int64_t n,
                      bool whole, vf v[2])
{
    if (whole && order == NORM_ANY_ORDER)
        vec_load_pair(dtype, base, i, v);
    else
        norm_load(dtype, base, i, n, whole, v);
}
VEC void norm_store_as(enum norm_order order, enum smelt_dtype dtype, void *base, int64_t i, const vf v[2],
                       int64_t n, bool whole, bool stream)
{
    if (whole && order == NORM_ANY_ORDER)
        vec_store_pair(dtype, base, i, v, stream);
    else
        norm_store(dtype, base, i, v, n, whole, stream);
}
/* sums[i] += a * b */
VEC void norm_accumulate(float *sums, int64_t i, const vf a[2], const vf b[2], int64_t n, bool whole)
{
    vf sum[2];
    norm_load(SMELT_F32, sums, i, n, whole, sum);
    for (int k = 0; k < 2; k++) sum[k] = vec_fma(a[k], b[k], sum[k]);
    norm_store(SMELT_F32, sums, i, sum, n, whole, false);
}
VEC void norm_column_as(enum norm_order order, enum smelt_dtype dtype, struct smelt_norm_column column,
                        int64_t i, int64_t n, bool whole, vf v[2])
{
    norm_load_as(order, dtype, column.values, i & column.mask, n, whole, v);
}
VEC void norm_column(struct smelt_norm_column column, int64_t i, int64_t n, bool whole, vf v[2])
{
    norm_column_as(NORM_IN_ORDER, SMELT_F32, column, i, n, whole, v);
}

/* What stands before the first whole cache line, or vector, of a row that streams. */
VEC int64_t norm_head(enum smelt_dtype dtype, const void *p, int64_t dim, bool stream)
{
    int64_t head = stream ? vec_pair_head(dtype, p) : 0;
    return head < dim ? head : dim;
}

/* Row `r + ahead`, to be fetched while row `r` is worked on; row `r` itself where there is none, or where
 * rows would push each other out of the cache. */
VEC const char *norm_next(const struct smelt_norm_rows *rows, enum smelt_norm_operand operand, int64_t r,
                          int64_t ahead)
{
    enum { LONG = 128 << 10 }; /* bytes */
    bool last = r + ahead >= rows->rows || rows->dim * 4 > LONG;
    return rows->data[operand] + (last ? r : r + ahead) * rows->step[operand];
}
/* Every sweep over a row fetches its share of the next one, so that memory never rests: quarters [from, from
 * + share), while the sweep is at element i. */
VEC void norm_prefetch(enum smelt_dtype dtype, const char *next, int64_t dim, int64_t i, int from, int share)
{
    const int64_t item = dtype == SMELT_F32 ? 4 : 2;
    const char *at = next + (dim * from + i * share) * item / 4;
    for (int64_t b = 0; b < NORM_STEP * item * share / 4; b += 64) __builtin_prefetch(at + b);
}
VEC char *norm_row(const struct smelt_norm_rows *rows, enum smelt_norm_operand operand, int64_t r)
{
    return rows->data[operand] + r * rows->step[operand];
}
VEC int64_t norm_least(int64_t a, int64_t b) { return a < b ? a : b; }

VEC double norm_total(const vf sum[2 * NORM_SUMS])
{
    vf low = vec_add(vec_add(sum[0], sum[1]), vec_add(sum[2], sum[3]));
    return vec_sum(vec_add(low, vec_add(vec_add(sum[4], sum[5]), vec_add(sum[6], sum[7]))));
}
VEC void norm_clear(vf sum[2 * NORM_SUMS])
{
    for (int k = 0; k < 2 * NORM_SUMS; k++) sum[k] = vec_zero();
}
VEC int64_t norm_piece_end(int64_t at, int64_t dim) { return norm_least(at + NORM_PIECE, dim); }

/* 1 / sqrt(mean square + eps) */
VEC float norm_scale(double squares, int64_t dim, float eps)
{
    return (float)(1.0 / sqrt(squares / (double)dim + (double)eps));
}

/* The sum of the squares of a row, which fetches quarters of the next one's operands as they are listed. */
struct norm_squares {
    enum smelt_dtype dtype, other_type;
    enum norm_order order;
    const char *x, *next, *next_other; /* next_other: or NULL */
    int64_t dim;
    vf sum[2 * NORM_SUMS];
};
VEC void norm_squares_step(struct norm_squares *c, int64_t i, int64_t n, bool whole, int u)
{
    vf x[2];
    norm_prefetch(c->dtype, c->next, c->dim, i, 0, 1);
    if (c->next_other) norm_prefetch(c->other_type, c->next_other, c->dim, i, 0, 1);
    norm_load_as(c->order, c->dtype, c->x, i, n, whole, x);
    for (int k = 0; k < 2; k++) c->sum[2 * u + k] = vec_fma(x[k], x[k], c->sum[2 * u + k]);
}
VEC double norm_sum_of_squares(struct norm_squares c)
{
    double total = 0;
    for (int64_t at = 0; at < c.dim; at += NORM_PIECE) {
        norm_clear(c.sum);
        NORM_READ(norm_squares_step, &c, at, norm_piece_end(at, c.dim));
        total += norm_total(c.sum);
    }
    return total;
}

#endif
