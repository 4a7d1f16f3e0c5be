/* SPDX-License-Identifier: Apache-2.0 */
/* rms_norm with a weight. */
#include "norm.h"

struct call {
    DLTensor *out, *x, *weight;
};

static smelt_status run(void *argument)
{
    struct call *a = argument;
    return smelt_rms_norm(a->out, a->x, a->weight, NULL, NULL);
}

void bench_rms_norm(struct bench *b)
{
    for (const struct norm_shape *s = norm_shapes; s < norm_shapes + NORM_SHAPES; s++) {
        if (!bench_begin(b, "rms_norm", "%d x %d", s->rows, s->dim)) continue;
        struct call a = {
            .out = norm_rows(b, s, true), .x = norm_rows(b, s, false), .weight = norm_column(b, s, false)};
        struct bench_work work = norm_work(s, 1, 1, a.out);
        bench_time(b, &work, run, &a);
    }
}
