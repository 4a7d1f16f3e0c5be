/* SPDX-License-Identifier: Apache-2.0 */
/* residual_norm with both outputs. */
#include "norm.h"

struct call {
    DLTensor *out, *sum, *residual, *x, *weight;
};

static smelt_status run(void *argument)
{
    struct call *a = argument;
    return smelt_residual_norm(a->out, a->sum, a->residual, a->x, a->weight, NULL, NULL, NULL);
}

void bench_residual_norm(struct bench *b)
{
    for (const struct norm_shape *s = norm_shapes; s < norm_shapes + NORM_SHAPES; s++) {
        if (!bench_begin(b, "residual_norm", "%d x %d", s->rows, s->dim)) continue;
        struct call a = {.out = norm_rows(b, s, true),
                         .sum = norm_rows(b, s, true),
                         .residual = norm_rows(b, s, false),
                         .x = norm_rows(b, s, false),
                         .weight = norm_column(b, s, false)};
        struct bench_work work = norm_work(s, 2, 2, a.out);
        bench_time(b, &work, run, &a);
    }
}
