/* SPDX-License-Identifier: Apache-2.0 */
/* sdpa_merge of the chunks of a long context. */
#include "bench.h"

struct call {
    DLTensor *out, *lse, *outs, *lses;
};

static smelt_status run(void *argument)
{
    struct call *call = argument;
    return smelt_sdpa_merge(call->out, call->lse, call->outs, call->lses, NULL);
}

void bench_sdpa_merge(struct bench *b)
{
    int64_t shape[] = {4, 1, 32, 4096, 128};
    if (!bench_begin(b, "sdpa_merge", "4 x 1 x 32 x 4096 x 128")) return;
    struct call call = {bench_output(b, b->dtype, 4, shape + 1), bench_output(b, SMELT_F32, 3, shape + 1),
                        bench_input(b, b->dtype, 5, shape), bench_input(b, SMELT_F32, 4, shape)};
    struct bench_work work = {.limit = BENCH_MEMORY,
                              .inputs = 4,
                              .outputs = 1,
                              .bytes = bench_bytes(call.out) + bench_bytes(call.outs)};
    bench_time(b, &work, run, &call);
}
