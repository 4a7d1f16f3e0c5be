/* SPDX-License-Identifier: Apache-2.0 */
/* The gradient of layer_norm, of x, weight and bias. */
#include "norm.h"

struct call {
    DLTensor *dx, *dweight, *dbias, *x, *weight, *dout;
};

static smelt_status run(void *argument)
{
    struct call *a = argument;
    return smelt_layer_norm_vjp(a->dx, a->dweight, a->dbias, a->x, a->weight, a->dout, NULL, NULL);
}

void bench_layer_norm_vjp(struct bench *b)
{
    for (const struct norm_shape *s = norm_shapes; s < norm_shapes + NORM_SHAPES; s++) {
        if (!bench_begin(b, "layer_norm_vjp", "%d x %d", s->rows, s->dim)) continue;
        struct call a = {.dx = norm_rows(b, s, true),
                         .dweight = norm_column(b, s, true),
                         .dbias = norm_column(b, s, true),
                         .x = norm_rows(b, s, false),
                         .weight = norm_column(b, s, false),
                         .dout = norm_rows(b, s, false)};
        struct bench_work work = norm_work(s, 2, 1, a.dx);
        bench_time(b, &work, run, &a);
    }
}
