/* SPDX-License-Identifier: Apache-2.0 */
/* The gradient of rms_norm, of x and of the weight. */
#include "norm.h"

struct call {
    DLTensor *dx, *dweight, *x, *weight, *dout;
};

static smelt_status run(void *argument)
{
    struct call *a = argument;
    return smelt_rms_norm_vjp(a->dx, a->dweight, a->x, a->weight, a->dout, NULL, NULL);
}

void bench_rms_norm_vjp(struct bench *b)
{
    for (const struct norm_shape *s = norm_shapes; s < norm_shapes + NORM_SHAPES; s++) {
        if (!bench_begin(b, "rms_norm_vjp", "%d x %d", s->rows, s->dim)) continue;
        struct call a = {.dx = norm_rows(b, s, true),
                         .dweight = norm_column(b, s, true),
                         .x = norm_rows(b, s, false),
                         .weight = norm_column(b, s, false),
                         .dout = norm_rows(b, s, false)};
        struct bench_work work = norm_work(s, 2, 1, a.dx);
        bench_time(b, &work, run, &a);
    }
}
