/* SPDX-License-Identifier: Apache-2.0 */
/* The gradient of attention: 5 products of the size of a forward one, of which there are 2. Causal counts the
 * visible half. */
#include "bench.h"

struct call {
    DLTensor *dq, *dk, *dv, *q, *k, *v, *out, *lse, *dout;
    smelt_sdpa_options options;
};

static smelt_status run(void *argument)
{
    struct call *c = argument;
    return smelt_sdpa_vjp(c->dq, c->dk, c->dv, NULL, NULL, c->q, c->k, c->v, c->out, c->lse, c->dout, NULL,
                          &c->options, NULL);
}

static void backward(struct bench *b, int heads, int kv_heads, int length, int dim, bool causal)
{
    int64_t q[] = {1, heads, length, dim}, k[] = {1, kv_heads, length, dim};
    char names[16];
    snprintf(names, sizeof names, heads == kv_heads ? "H%d" : "H%d/%d", heads, kv_heads);
    if (!bench_begin(b, "sdpa_vjp", "%s T%d D%d%s", names, length, dim, causal ? " causal" : "")) return;
    struct call c = {bench_output(b, b->dtype, 4, q), bench_output(b, b->dtype, 4, k),
                     bench_output(b, b->dtype, 4, k), bench_input(b, b->dtype, 4, q),
                     bench_input(b, b->dtype, 4, k),  bench_input(b, b->dtype, 4, k),
                     bench_output(b, b->dtype, 4, q), bench_output(b, SMELT_F32, 3, q),
                     bench_input(b, b->dtype, 4, q),  SMELT_SDPA_OPTIONS_INIT};
    c.options.causal = causal;
    smelt_sdpa(c.out, c.lse, c.q, c.k, c.v, &c.options, NULL);
    double flops = 10.0 * heads * length * length * dim / (causal ? 2 : 1);
    struct bench_work work = {.limit = BENCH_FMA, .flops = flops};
    bench_time(b, &work, run, &c);
}

void bench_sdpa_vjp(struct bench *b)
{
    if (b->quick) {
        backward(b, 4, 4, 1024, 128, false);
        return;
    }
    backward(b, 32, 32, 2048, 128, false);
    backward(b, 32, 32, 2048, 128, true);
    backward(b, 32, 8, 2048, 128, true);
    backward(b, 8, 8, 2048, 64, false);
}
