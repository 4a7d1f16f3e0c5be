/* SPDX-License-Identifier: Apache-2.0 */
/* The gradient of norm_add, of residual, x and weight. */
#include "norm.h"

struct call {
    DLTensor *dresidual, *dx, *dweight, *residual, *x, *weight, *dout;
};

static smelt_status run(void *argument)
{
    struct call *a = argument;
    return smelt_norm_add_vjp(a->dresidual, a->dx, a->dweight, NULL, a->residual, a->x, a->weight, NULL,
                              a->dout, NULL, NULL);
}

void bench_norm_add_vjp(struct bench *b)
{
    for (const struct norm_shape *s = norm_shapes; s < norm_shapes + NORM_SHAPES; s++) {
        if (!bench_begin(b, "norm_add_vjp", "%d x %d", s->rows, s->dim)) continue;
        struct call a = {.dresidual = norm_rows(b, s, true),
                         .dx = norm_rows(b, s, true),
                         .dweight = norm_column(b, s, true),
                         .residual = norm_rows(b, s, false),
                         .x = norm_rows(b, s, false),
                         .weight = norm_column(b, s, false),
                         .dout = norm_rows(b, s, false)};
        struct bench_work work = norm_work(s, 2, 2, a.dresidual);
        bench_time(b, &work, run, &a);
    }
}
