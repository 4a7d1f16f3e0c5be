/* SPDX-License-Identifier: Apache-2.0 */
/* rope and its gradient on the heads of a layer, in both layouts, and on one token. */
#include "bench.h"

struct call {
    DLTensor *out, *x;
    smelt_rope_options options;
    bool backward;
};

static smelt_status run(void *argument)
{
    struct call *call = argument;
    return (call->backward ? smelt_rope_vjp : smelt_rope)(call->out, call->x, &call->options, NULL);
}

static void rotate(struct bench *b, const char *operation, const int64_t shape[4], int axis, bool backward,
                   enum bench_limit limit)
{
    if (!bench_begin(b, operation, "%s%d x %d x %d x %d", axis == 1 ? "BTHD " : "", (int)shape[0],
                     (int)shape[1], (int)shape[2], (int)shape[3]))
        return;
    struct call call = {bench_output(b, b->dtype, 4, shape), bench_input(b, b->dtype, 4, shape),
                        SMELT_ROPE_OPTIONS_INIT, backward};
    call.options.base = 1e4f, call.options.sequence_axis = axis;
    struct bench_work work = {.limit = limit, .inputs = 1, .outputs = 1, .bytes = 2 * bench_bytes(call.out)};
    bench_time(b, &work, run, &call);
}

void bench_rope(struct bench *b)
{
    static const int64_t heads_first[] = {4, 32, 2048, 128}, tokens_first[] = {4, 2048, 32, 128};
    static const int64_t cached[] = {1, 8, 64, 128}, decode[] = {1, 32, 1, 128};
    rotate(b, "rope", heads_first, 2, false, BENCH_MEMORY);
    rotate(b, "rope", tokens_first, 1, false, BENCH_MEMORY);
    rotate(b, "rope", cached, 2, false, BENCH_CACHE);
    rotate(b, "rope", decode, 2, false, BENCH_CALL);
}

void bench_rope_vjp(struct bench *b)
{
    static const int64_t shape[] = {4, 32, 2048, 128};
    rotate(b, "rope_vjp", shape, 2, true, BENCH_MEMORY);
}
