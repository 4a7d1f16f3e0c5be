/* SPDX-License-Identifier: Apache-2.0 */
/* moe_routing on the experts of a large mixture; the limit is reading the logits. */
#include "bench.h"

struct call {
    DLTensor *ids, *weights, *logits;
};

static smelt_status run(void *argument)
{
    struct call *call = argument;
    return smelt_moe_routing(call->ids, call->weights, call->logits, NULL, NULL, NULL);
}

static void route(struct bench *b, int rows, int experts, int chosen)
{
    int64_t shape[] = {rows, experts}, small[] = {rows, chosen};
    if (!bench_begin(b, "moe_routing", "%d x %d top %d", rows, experts, chosen)) return;
    struct call call = {bench_output(b, SMELT_U32, 2, small), bench_output(b, SMELT_F32, 2, small),
                        bench_input(b, b->dtype, 2, shape)};
    struct bench_work work = {.limit = rows == 1 ? BENCH_CALL : BENCH_READ,
                              .inputs = 1,
                              .outputs = 1,
                              .bytes = bench_bytes(call.logits)};
    bench_time(b, &work, run, &call);
}

void bench_moe_routing(struct bench *b)
{
    route(b, 4096, 128, 8);
    route(b, 1, 128, 8);
}

struct gradient {
    DLTensor *dlogits, *logits, *ids, *dweights;
};

static smelt_status run_gradient(void *argument)
{
    struct gradient *call = argument;
    return smelt_moe_routing_vjp(call->dlogits, NULL, call->logits, NULL, call->ids, call->dweights, NULL,
                                 NULL);
}

void bench_moe_routing_vjp(struct bench *b)
{
    int64_t shape[] = {4096, 128}, small[] = {4096, 8};
    if (!bench_begin(b, "moe_routing_vjp", "4096 x 128 top 8")) return;
    struct gradient call = {bench_output(b, b->dtype, 2, shape), bench_input(b, b->dtype, 2, shape),
                            bench_input(b, SMELT_I64, 2, small), bench_input(b, SMELT_F32, 2, small)};
    struct bench_work work = {
        .limit = BENCH_MEMORY, .inputs = 1, .outputs = 1, .bytes = 2 * bench_bytes(call.logits)};
    bench_time(b, &work, run_gradient, &call);
}
