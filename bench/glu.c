/* SPDX-License-Identifier: Apache-2.0 */
/* glu on the gate and up projections of a feed-forward block. */
#include "bench.h"

struct call {
    DLTensor *out, *gate, *up;
    smelt_activation activation;
};

static const char *const names[] = {"glu silu", "glu gelu", "glu gelu_tanh"};
static const char *const gradient_names[] = {"glu_vjp silu", "glu_vjp gelu", "glu_vjp gelu_tanh"};

static smelt_status run(void *argument)
{
    struct call *call = argument;
    return smelt_glu(call->out, call->gate, call->up, call->activation, NULL);
}

static void forward(struct bench *b, smelt_activation activation, int rows, int dim, enum bench_limit limit)
{
    int64_t shape[] = {rows, dim};
    if (!bench_begin(b, names[activation], "%d x %d", rows, dim)) return;
    struct call call = {bench_output(b, b->dtype, 2, shape), bench_input(b, b->dtype, 2, shape),
                        bench_input(b, b->dtype, 2, shape), activation};
    struct bench_work work = {.limit = limit, .inputs = 2, .outputs = 1, .bytes = 3 * bench_bytes(call.out)};
    bench_time(b, &work, run, &call);
}

void bench_glu(struct bench *b)
{
    for (int activation = 0; activation <= SMELT_GELU_TANH; activation++) {
        forward(b, (smelt_activation)activation, 8192, 4096, BENCH_MEMORY);
        forward(b, (smelt_activation)activation, 64, 1024, BENCH_CACHE);
    }
}

struct gradient {
    DLTensor *dgate, *dup, *gate, *up, *dout;
    smelt_activation activation;
};

static smelt_status run_gradient(void *argument)
{
    struct gradient *call = argument;
    return smelt_glu_vjp(call->dgate, call->dup, call->gate, call->up, call->dout, call->activation, NULL);
}

void bench_glu_vjp(struct bench *b)
{
    int64_t shape[] = {8192, 4096};
    for (int activation = 0; activation <= SMELT_GELU_TANH; activation++) {
        if (!bench_begin(b, gradient_names[activation], "8192 x 4096")) continue;
        struct gradient call = {bench_output(b, b->dtype, 2, shape), bench_output(b, b->dtype, 2, shape),
                                bench_input(b, b->dtype, 2, shape),  bench_input(b, b->dtype, 2, shape),
                                bench_input(b, b->dtype, 2, shape),  (smelt_activation)activation};
        struct bench_work work = {
            .limit = BENCH_MEMORY, .inputs = 3, .outputs = 2, .bytes = 5 * bench_bytes(call.dgate)};
        bench_time(b, &work, run_gradient, &call);
    }
}
