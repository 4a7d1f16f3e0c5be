/* SPDX-License-Identifier: Apache-2.0 */
/* Shapes of the norm family: rows far beyond the last-level cache, rows in the second level, one row. */
#ifndef SMELT_BENCH_NORM_H
#define SMELT_BENCH_NORM_H

#include "bench.h"

struct norm_shape {
    int rows, dim;
    enum bench_limit limit;
};
static const struct norm_shape norm_shapes[] = {
    {8192, 4096, BENCH_MEMORY}, {64, 1024, BENCH_CACHE}, {1, 4096, BENCH_CALL}};
enum { NORM_SHAPES = sizeof norm_shapes / sizeof *norm_shapes };

static inline DLTensor *norm_rows(struct bench *b, const struct norm_shape *s, bool output)
{
    int64_t shape[] = {s->rows, s->dim};
    return (output ? bench_output : bench_input)(b, b->dtype, 2, shape);
}
static inline DLTensor *norm_column(struct bench *b, const struct norm_shape *s, bool output)
{
    int64_t shape[] = {s->dim};
    return (output ? bench_output : bench_input)(b, b->dtype, 1, shape);
}

/* Of a call that reads `inputs` and writes `outputs` tensors of rows, beside columns that stay in the cache.
 */
static inline struct bench_work norm_work(const struct norm_shape *s, int inputs, int outputs,
                                          const DLTensor *rows)
{
    return (struct bench_work){.limit = s->limit,
                               .inputs = inputs,
                               .outputs = outputs,
                               .bytes = (inputs + outputs) * bench_bytes(rows)};
}

#endif
