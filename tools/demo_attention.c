/* SPDX-License-Identifier: Apache-2.0 */
/* The rows of smelt demo around attention: rotary embedding, prefill, one step of decoding, and the merge of
 * its chunks. */
#include <string.h>

#include "demo.h"

struct rope_call {
    DLTensor *out, *x;
    smelt_rope_options options;
};
static smelt_status run_rope(void *argument)
{
    struct rope_call *c = argument;
    return smelt_rope(c->out, c->x, &c->options, NULL);
}

/* (B, T, H, D), as the projections leave it. */
static void rope_row(struct demo *d, int64_t tokens, int64_t heads, int64_t offset)
{
    char text[48];
    int64_t shape[] = {1, tokens, heads, HEAD_DIM};
    snprintf(text, sizeof text, "T%lld H%lld D%d", (long long)tokens, (long long)heads, HEAD_DIM);
    demo_begin(d, "rope", text);
    struct rope_call c = {demo_output(d, SMELT_BF16, 4, shape), demo_input(d, SMELT_BF16, 4, shape),
                          SMELT_ROPE_OPTIONS_INIT};
    c.options.base = 1e6f, c.options.sequence_axis = 1, c.options.offset = offset;
    if (!demo_run(d, run_rope, &c)) return;
    for (int s = 0; s < DEMO_SAMPLES; s++) {
        int64_t token = demo_sample(d, s, tokens), head = demo_sample(d, s, heads);
        const int64_t first[] = {0, token, head, 0}, count[] = {1, 1, 1, HEAD_DIM};
        DLTensor *out = demo_slice(d, c.out, first, count);
        smelt_rope_options options = c.options;
        options.offset = offset + token;
        ref_rope(demo_wide(d, out), demo_slice(d, c.x, first, count), &options);
        demo_compare(d, 1e-2);
    }
    struct bench_work work = {.limit = tokens > 1 ? BENCH_MEMORY : BENCH_CALL,
                              .inputs = 1,
                              .outputs = 1,
                              .bytes = 2 * bench_bytes(c.x)};
    demo_time(d, &work, run_rope, &c);
}

struct sdpa_call {
    DLTensor *out, *lse, *q, *k, *v;
    smelt_sdpa_options options;
};
static smelt_status run_sdpa(void *argument)
{
    struct sdpa_call *c = argument;
    return smelt_sdpa(c->out, c->lse, c->q, c->k, c->v, &c->options, NULL);
}

/* Query `i` of head `h`, with the keys and values of its head. */
static void compare_query(struct demo *d, const struct sdpa_call *c, int64_t h, int64_t i)
{
    int64_t keys = c->k->shape[2];
    const int64_t at[] = {0, h, i, 0}, kv_at[] = {0, h / (HEADS / KV_HEADS), 0, 0};
    const int64_t one[] = {1, 1, 1, HEAD_DIM}, all[] = {1, 1, keys, HEAD_DIM};
    smelt_sdpa_options options = c->options;
    options.kv_offset = keys - c->q->shape[2] + i;
    DLTensor *out = demo_slice(d, c->out, at, one);
    ref_sdpa(demo_wide(d, out), NULL, demo_slice(d, c->q, at, one), demo_slice(d, c->k, kv_at, all),
             demo_slice(d, c->v, kv_at, all), &options);
    demo_compare(d, 1e-2);
}

/* Makes (1, T, H, D) memory a (1, H, T, D) tensor. */
static DLTensor *by_head(DLTensor *tensor, int64_t strides[4])
{
    int64_t tokens = tensor->shape[1], heads = tensor->shape[2], dim = tensor->shape[3];
    const int64_t transposed[] = {tokens * heads * dim, dim, heads * dim, 1};
    memcpy(strides, transposed, sizeof transposed);
    tensor->shape[1] = heads, tensor->shape[2] = tokens, tensor->strides = strides;
    return tensor;
}

void demo_prefill(struct demo *d)
{
    rope_row(d, PROMPT, HEADS, 0);
    rope_row(d, PROMPT, KV_HEADS, 0);
    int64_t shape[] = {1, PROMPT, HEADS, HEAD_DIM}, kv_shape[] = {1, PROMPT, KV_HEADS, HEAD_DIM},
            strides[4][4];
    demo_begin(d, "sdpa", "H32/8 T2048 D128 causal");
    struct sdpa_call c = {.out = by_head(demo_output(d, SMELT_BF16, 4, shape), strides[0]),
                          .q = by_head(demo_input(d, SMELT_BF16, 4, shape), strides[1]),
                          .k = by_head(demo_input(d, SMELT_BF16, 4, kv_shape), strides[2]),
                          .v = by_head(demo_input(d, SMELT_BF16, 4, kv_shape), strides[3]),
                          .options = SMELT_SDPA_OPTIONS_INIT};
    c.options.causal = 1;
    if (!demo_run(d, run_sdpa, &c)) return;
    for (int s = 0; s < DEMO_SAMPLES; s++)
        compare_query(d, &c, demo_sample(d, s, HEADS), demo_sample(d, s, PROMPT));
    struct bench_work work = {.limit = BENCH_DOT,
                              .bytes = 2 * bench_bytes(c.q) + 2 * bench_bytes(c.k),
                              .flops = 2.0 * HEADS * PROMPT * PROMPT * HEAD_DIM}; /* the visible half */
    demo_time(d, &work, run_sdpa, &c);
}

struct merge_call {
    DLTensor *out, *lse, *outs, *lses;
};
static smelt_status run_merge(void *argument)
{
    struct merge_call *c = argument;
    return smelt_sdpa_merge(c->out, c->lse, c->outs, c->lses, NULL);
}

/* The cache in chunks, as context-parallel machines hold it: attention over each, then the merge. */
static void merge_row(struct demo *d, const struct sdpa_call *whole)
{
    enum { CHUNKS = 8 };
    demo_continue(d, "sdpa_merge", "8 chunks H32 D128");
    int64_t outs[] = {CHUNKS, 1, HEADS, 1, HEAD_DIM}, lses[] = {CHUNKS, 1, HEADS, 1};
    struct merge_call c = {demo_output(d, SMELT_BF16, 4, outs + 1), demo_output(d, SMELT_F32, 3, lses + 1),
                           demo_output(d, SMELT_BF16, 5, outs), demo_output(d, SMELT_F32, 4, lses)};
    for (int64_t n = 0; n < CHUNKS; n++) {
        const int64_t keys[] = {0, 0, n * (CACHE / CHUNKS), 0},
                      kv_count[] = {1, KV_HEADS, CACHE / CHUNKS, HEAD_DIM};
        struct sdpa_call chunk = *whole;
        DLTensor out = *c.out, lse = *c.lse;
        out.data = (char *)c.outs->data + n * HEADS * HEAD_DIM * 2;
        lse.data = (char *)c.lses->data + n * HEADS * 4;
        chunk.out = &out, chunk.lse = &lse;
        chunk.k = demo_slice(d, whole->k, keys, kv_count), chunk.v = demo_slice(d, whole->v, keys, kv_count);
        if (!demo_run(d, run_sdpa, &chunk)) return;
        demo_compare(d, 0);
    }
    if (!demo_run(d, run_merge, &c)) return;
    struct sdpa_call merged = *whole;
    merged.out = c.out;
    for (int s = 0; s < DEMO_SAMPLES / 2; s++) compare_query(d, &merged, demo_sample(d, s, HEADS), 0);
    struct bench_work work = {.limit = BENCH_CALL, .bytes = bench_bytes(c.outs) + bench_bytes(c.out)};
    demo_time(d, &work, run_merge, &c);
}

void demo_decode(struct demo *d)
{
    rope_row(d, 1, HEADS, CACHE - 1);
    rope_row(d, 1, KV_HEADS, CACHE - 1);
    int64_t shape[] = {1, HEADS, 1, HEAD_DIM}, kv_shape[] = {1, KV_HEADS, CACHE, HEAD_DIM};
    demo_begin(d, "sdpa", "H32/8 K32768 D128, one query");
    struct sdpa_call c = {.out = demo_output(d, SMELT_BF16, 4, shape),
                          .q = demo_input(d, SMELT_BF16, 4, shape),
                          .k = demo_input(d, SMELT_BF16, 4, kv_shape),
                          .v = demo_input(d, SMELT_BF16, 4, kv_shape),
                          .options = SMELT_SDPA_OPTIONS_INIT};
    if (!demo_run(d, run_sdpa, &c)) return;
    for (int s = 0; s < DEMO_SAMPLES / 2; s++) compare_query(d, &c, demo_sample(d, s, HEADS), 0);
    struct bench_work work = {.limit = BENCH_READ, .bytes = 2 * bench_bytes(c.k)};
    demo_time(d, &work, run_sdpa, &c);
    merge_row(d, &c);
}
