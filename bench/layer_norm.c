/* SPDX-License-Identifier: Apache-2.0 */
/* layer_norm with weight and bias. */
#include "norm.h"

struct call {
    DLTensor *out, *x, *weight, *bias;
};

static smelt_status run(void *argument)
{
    struct call *a = argument;
    return smelt_layer_norm(a->out, a->x, a->weight, a->bias, NULL, NULL);
}

void bench_layer_norm(struct bench *b)
{
    for (const struct norm_shape *s = norm_shapes; s < norm_shapes + NORM_SHAPES; s++) {
        if (!bench_begin(b, "layer_norm", "%d x %d", s->rows, s->dim)) continue;
        struct call a = {.out = norm_rows(b, s, true),
                         .x = norm_rows(b, s, false),
                         .weight = norm_column(b, s, false),
                         .bias = norm_column(b, s, false)};
        struct bench_work work = norm_work(s, 1, 1, a.out);
        bench_time(b, &work, run, &a);
    }
}
