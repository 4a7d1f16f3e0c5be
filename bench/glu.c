/* SPDX-License-Identifier: Apache-2.0 */
/* glu on the gate and up projections of a feed-forward block. */
#include "bench.h"

struct call {
    DLTensor *out, *gate, *up;
};

static smelt_status run(void *argument)
{
    struct call *call = argument;
    return smelt_glu(call->out, call->gate, call->up, SMELT_SILU, NULL);
}

static void forward(struct bench *b, int rows, int dim, enum bench_limit limit)
{
    int64_t shape[] = {rows, dim};
    if (!bench_begin(b, "glu silu", "%d x %d", rows, dim)) return;
    struct call call = {bench_output(b, b->dtype, 2, shape), bench_input(b, b->dtype, 2, shape),
                        bench_input(b, b->dtype, 2, shape)};
    struct bench_work work = {.limit = limit, .inputs = 2, .outputs = 1, .bytes = 3 * bench_bytes(call.out)};
    bench_time(b, &work, run, &call);
}

void bench_glu(struct bench *b)
{
    forward(b, 8192, 4096, BENCH_MEMORY);
    forward(b, 64, 1024, BENCH_CACHE);
}
