/* SPDX-License-Identifier: Apache-2.0 */
/* The gradient of residual_norm from both cotangents, of x and weight. */
#include "norm.h"

struct call {
    DLTensor *dx, *dweight, *residual, *x, *weight, *dout, *dsum;
};

static smelt_status run(void *argument)
{
    struct call *a = argument;
    return smelt_residual_norm_vjp(NULL, a->dx, a->dweight, NULL, a->residual, a->x, a->weight, NULL, a->dout,
                                   a->dsum, NULL, NULL);
}

void bench_residual_norm_vjp(struct bench *b)
{
    for (const struct norm_shape *s = norm_shapes; s < norm_shapes + NORM_SHAPES; s++) {
        if (!bench_begin(b, "residual_norm_vjp", "%d x %d", s->rows, s->dim)) continue;
        struct call a = {.dx = norm_rows(b, s, true),
                         .dweight = norm_column(b, s, true),
                         .residual = norm_rows(b, s, false),
                         .x = norm_rows(b, s, false),
                         .weight = norm_column(b, s, false),
                         .dout = norm_rows(b, s, false),
                         .dsum = norm_rows(b, s, false)};
        struct bench_work work = norm_work(s, 4, 1, a.dx);
        bench_time(b, &work, run, &a);
    }
}
