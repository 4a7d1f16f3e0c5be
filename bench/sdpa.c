/* SPDX-License-Identifier: Apache-2.0 */
/* Attention: prompts of 2,048 and 8,192 tokens, and one token against a long cache. Causal counts the visible
 * half. */
#include "bench.h"

struct call {
    DLTensor *out, *q, *k, *v;
    smelt_sdpa_options options;
};

static smelt_status run(void *argument)
{
    struct call *c = argument;
    return smelt_sdpa(c->out, NULL, c->q, c->k, c->v, &c->options, NULL);
}

static void prompt(struct bench *b, int heads, int tokens, int dim, bool causal)
{
    int64_t shape[] = {1, heads, tokens, dim};
    if (!bench_begin(b, "sdpa", "H%d T%d D%d%s", heads, tokens, dim, causal ? " causal" : "")) return;
    struct call c = {bench_output(b, b->dtype, 4, shape), bench_input(b, b->dtype, 4, shape),
                     bench_input(b, b->dtype, 4, shape), bench_input(b, b->dtype, 4, shape),
                     SMELT_SDPA_OPTIONS_INIT};
    c.options.causal = causal;
    double flops = 4.0 * heads * tokens * tokens * dim / (causal ? 2 : 1);
    struct bench_work work = {.limit = b->dtype == SMELT_BF16 ? BENCH_DOT : BENCH_FMA,
                              .bytes = 4 * bench_bytes(c.q),
                              .flops = flops};
    bench_time(b, &work, run, &c);
}

static void decode(struct bench *b, int heads, int kv_heads, int keys, int dim)
{
    int64_t q[] = {1, heads, 1, dim}, k[] = {1, kv_heads, keys, dim};
    if (!bench_begin(b, "sdpa", "H%d/%d K%d D%d", heads, kv_heads, keys, dim)) return;
    struct call c = {bench_output(b, b->dtype, 4, q), bench_input(b, b->dtype, 4, q),
                     bench_input(b, b->dtype, 4, k), bench_input(b, b->dtype, 4, k), SMELT_SDPA_OPTIONS_INIT};
    struct bench_work work = {.limit = BENCH_READ, .bytes = 2 * bench_bytes(c.k)};
    bench_time(b, &work, run, &c);
}

void bench_sdpa(struct bench *b)
{
    for (int dim = 64; dim <= 128; dim *= 2)
        for (int causal = 0; causal < 2; causal++) {
            prompt(b, 32, 2048, dim, causal);
            if (!b->quick) prompt(b, 8, 8192, dim, causal);
        }
    decode(b, 32, 8, 32768, 128);
    if (!b->quick) decode(b, 32, 8, 131072, 128);
}
