/* SPDX-License-Identifier: Apache-2.0 */
/* The rows of smelt demo that work token by token: norms, routing, and the activation of the experts. */
#include "demo.h"

struct call {
    DLTensor *out, *sum, *x, *residual, *weight, *bias;
};

static smelt_status run_rms_norm(void *argument)
{
    struct call *c = argument;
    return smelt_rms_norm(c->out, c->x, c->weight, NULL, NULL);
}
static smelt_status run_layer_norm(void *argument)
{
    struct call *c = argument;
    return smelt_layer_norm(c->out, c->x, c->weight, c->bias, NULL, NULL);
}
static smelt_status run_norm_add(void *argument)
{
    struct call *c = argument;
    return smelt_norm_add(c->out, c->residual, c->x, c->weight, NULL, NULL, NULL);
}
static smelt_status run_residual_norm(void *argument)
{
    struct call *c = argument;
    return smelt_residual_norm(c->out, c->sum, c->residual, c->x, c->weight, NULL, NULL, NULL);
}

/* The reference of one row of each. */
static void ref_one_rms_norm(struct demo *d, const struct call *c)
{
    ref_rms_norm(demo_wide(d, c->out), c->x, c->weight, NULL);
}
static void ref_one_layer_norm(struct demo *d, const struct call *c)
{
    ref_layer_norm(demo_wide(d, c->out), c->x, c->weight, c->bias, NULL);
}
static void ref_one_norm_add(struct demo *d, const struct call *c)
{
    ref_norm_add(demo_wide(d, c->out), c->residual, c->x, c->weight, NULL, NULL);
}
static void ref_one_residual_norm(struct demo *d, const struct call *c)
{
    ref_residual_norm(demo_wide(d, c->out), demo_wide(d, c->sum), c->residual, c->x, c->weight, NULL, NULL);
}

static const struct norm {
    const char *name;
    smelt_status (*run)(void *);
    void (*reference)(struct demo *, const struct call *);
    int inputs, outputs; /* of the size of x */
} norms[] = {
    {"rms_norm", run_rms_norm, ref_one_rms_norm, 1, 1},
    {"layer_norm", run_layer_norm, ref_one_layer_norm, 1, 1},
    {"norm_add", run_norm_add, ref_one_norm_add, 2, 1},
    {"residual_norm", run_residual_norm, ref_one_residual_norm, 2, 2},
};

static void norm_row(struct demo *d, const struct norm *norm, int64_t tokens)
{
    char text[32];
    int64_t shape[] = {tokens, HIDDEN}, dim[] = {HIDDEN};
    snprintf(text, sizeof text, "%lld x %d", (long long)tokens, HIDDEN);
    demo_begin(d, norm->name, text);
    struct call c = {.out = demo_output(d, SMELT_BF16, 2, shape),
                     .x = demo_input(d, SMELT_BF16, 2, shape),
                     .weight = demo_input(d, SMELT_BF16, 1, dim),
                     .bias = demo_input(d, SMELT_BF16, 1, dim)};
    if (norm->outputs > 1) c.sum = demo_output(d, SMELT_BF16, 2, shape);
    if (norm->inputs > 1) c.residual = demo_input(d, SMELT_BF16, 2, shape);
    if (!demo_run(d, norm->run, &c)) return;
    for (int s = 0; s < DEMO_SAMPLES; s++) {
        const int64_t first[] = {demo_sample(d, s, tokens), 0}, count[] = {1, HIDDEN};
        struct call one = c;
        one.out = demo_slice(d, c.out, first, count), one.x = demo_slice(d, c.x, first, count);
        if (c.sum) one.sum = demo_slice(d, c.sum, first, count);
        if (c.residual) one.residual = demo_slice(d, c.residual, first, count);
        norm->reference(d, &one);
        demo_compare(d, 1e-2);
    }
    struct bench_work work = {.limit = tokens > 1 ? BENCH_MEMORY : BENCH_CALL,
                              .inputs = norm->inputs,
                              .outputs = norm->outputs,
                              .bytes = (norm->inputs + norm->outputs) * bench_bytes(c.x)};
    demo_time(d, &work, norm->run, &c);
}

void demo_norms(struct demo *d, int64_t tokens)
{
    for (size_t i = 0; i < sizeof norms / sizeof *norms; i++) norm_row(d, &norms[i], tokens);
}

struct glu_call {
    DLTensor *out, *gate, *up;
};
static smelt_status run_glu(void *argument)
{
    struct glu_call *c = argument;
    return smelt_glu(c->out, c->gate, c->up, SMELT_SILU, NULL);
}

static void glu_row(struct demo *d, int64_t tokens)
{
    char text[48];
    int64_t rows = tokens * TOP_K, shape[] = {rows, EXPERT_HIDDEN};
    snprintf(text, sizeof text, "%lld x %d, SwiGLU of the experts", (long long)rows, EXPERT_HIDDEN);
    demo_begin(d, "glu", text);
    struct glu_call c = {demo_output(d, SMELT_BF16, 2, shape), demo_input(d, SMELT_BF16, 2, shape),
                         demo_input(d, SMELT_BF16, 2, shape)};
    if (!demo_run(d, run_glu, &c)) return;
    for (int s = 0; s < DEMO_SAMPLES; s++) {
        const int64_t first[] = {demo_sample(d, s, rows), 0}, count[] = {1, EXPERT_HIDDEN};
        DLTensor *out = demo_slice(d, c.out, first, count);
        ref_glu(demo_wide(d, out), demo_slice(d, c.gate, first, count), demo_slice(d, c.up, first, count),
                SMELT_SILU);
        demo_compare(d, 1e-2);
    }
    struct bench_work work = {.limit = tokens > 1 ? BENCH_MEMORY : BENCH_CALL,
                              .inputs = 2,
                              .outputs = 1,
                              .bytes = 3 * bench_bytes(c.out)};
    demo_time(d, &work, run_glu, &c);
}

struct routing_call {
    DLTensor *ids, *weights, *logits, *scale;
};
static smelt_status run_routing(void *argument)
{
    struct routing_call *c = argument;
    return smelt_moe_routing(c->ids, c->weights, c->logits, c->scale, NULL, NULL);
}

static void routing_row(struct demo *d, int64_t tokens)
{
    char text[32];
    int64_t shape[] = {tokens, EXPERTS}, chosen[] = {tokens, TOP_K}, experts[] = {EXPERTS};
    snprintf(text, sizeof text, "%lld x %d top %d", (long long)tokens, EXPERTS, TOP_K);
    demo_begin(d, "moe_routing", text);
    struct routing_call c = {demo_output(d, SMELT_I32, 2, chosen), demo_output(d, SMELT_F32, 2, chosen),
                             demo_input(d, SMELT_BF16, 2, shape), demo_input(d, SMELT_BF16, 1, experts)};
    if (!demo_run(d, run_routing, &c)) return;
    for (int s = 0; s < DEMO_SAMPLES; s++) {
        int64_t row = demo_sample(d, s, tokens);
        const int64_t first[] = {row, 0}, count[] = {1, EXPERTS}, top[] = {1, TOP_K};
        DLTensor *ids = demo_slice(d, c.ids, first, top), *weights = demo_slice(d, c.weights, first, top);
        ref_moe_routing(demo_wide(d, ids), demo_wide(d, weights), demo_slice(d, c.logits, first, count),
                        c.scale, NULL);
        demo_compare(d, 1e-5);
    }
    struct bench_work work = {.limit = tokens > 1 ? BENCH_READ : BENCH_CALL, .bytes = bench_bytes(c.logits)};
    demo_time(d, &work, run_routing, &c);
}

void demo_feed_forward(struct demo *d, int64_t tokens)
{
    routing_row(d, tokens);
    glu_row(d, tokens);
}
