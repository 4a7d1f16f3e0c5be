/* SPDX-License-Identifier: Apache-2.0 */
/* norm_add with a weight. */
#include "norm.h"

struct call {
    DLTensor *out, *residual, *x, *weight;
};

static smelt_status run(void *argument)
{
    struct call *a = argument;
    return smelt_norm_add(a->out, a->residual, a->x, a->weight, NULL, NULL, NULL);
}

void bench_norm_add(struct bench *b)
{
    for (const struct norm_shape *s = norm_shapes; s < norm_shapes + NORM_SHAPES; s++) {
        if (!bench_begin(b, "norm_add", "%d x %d", s->rows, s->dim)) continue;
        struct call a = {.out = norm_rows(b, s, true),
                         .residual = norm_rows(b, s, false),
                         .x = norm_rows(b, s, false),
                         .weight = norm_column(b, s, false)};
        struct bench_work work = norm_work(s, 2, 1, a.out);
        bench_time(b, &work, run, &a);
    }
}
