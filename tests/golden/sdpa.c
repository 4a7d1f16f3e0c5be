/* SPDX-License-Identifier: Apache-2.0 */
/* Attention, its logsumexp and its gradient against MLX: sdpa_*, lse_*, sdpa_vjp_*. */
#include <stddef.h>

#include "golden.h"
#include "ref/ref.h"

struct problem {
    DLTensor *q, *k, *v;
    smelt_sdpa_options options;
};

/* The inputs of most vectors, with this number of key heads. */
static struct problem problem(enum smelt_dtype dtype, int kv_heads)
{
    struct problem p = {.q = golden_wave(dtype, 0.31, 0.2, 4, 1, 4, 3, 8),
                        .k = golden_wave(dtype, 0.23, 0.6, 4, 1, kv_heads, 5, 8),
                        .v = golden_wave(dtype, 0.41, -0.3, 4, 1, kv_heads, 5, 8),
                        .options = SMELT_SDPA_OPTIONS_INIT};
    p.options.scale = 0.75f;
    return p;
}

/* Library and reference, with the logsumexp in the second form. */
static void run_from(const char *name, const struct problem *p, int64_t first)
{
    DLTensor *out = golden_output(name), *again = golden_output(name);
    golden_status(smelt_sdpa(out, NULL, p->q, p->k, p->v, &p->options, NULL));
    golden_compare_from(name, out, first);
    ref_sdpa(again, NULL, p->q, p->k, p->v, &p->options);
    golden_compare_from(name, again, first);
}
static void run(const char *name, const struct problem *p) { run_from(name, p, 0); }

static void run_lse(const char *name, const struct problem *p)
{
    DLTensor *out = golden_output("sdpa_gqa"), *lse = golden_output(name);
    golden_status(smelt_sdpa(out, lse, p->q, p->k, p->v, &p->options, NULL));
    golden_compare(name, lse);
    DLTensor *again = golden_output(name);
    ref_sdpa(out, again, p->q, p->k, p->v, &p->options);
    golden_compare(name, again);
}

static DLTensor *bool_mask(void)
{
    const int64_t shape[4] = {1, 4, 3, 5};
    DLTensor *wave = golden_wave(SMELT_F32, 0.7, 0.1, 4, 1, 4, 3, 5);
    DLTensor *mask = golden_empty(SMELT_BOOL, 4, shape);
    for (int64_t i = 0; i < 60; i++) ref_store(mask, i, ref_load(wave, i) > -0.3f);
    return mask;
}

static void forward(void)
{
    struct problem p = problem(SMELT_F32, 4);
    run("sdpa_mha", &p);
    p = problem(SMELT_F32, 1);
    run("sdpa_mqa", &p);
    p = problem(SMELT_F32, 2);
    run("sdpa_gqa", &p);
    run_lse("lse_gqa", &p);
    p.options.causal = 1;
    run("sdpa_gqa_causal", &p);
    run_lse("lse_gqa_causal", &p);
    p.options.sinks = golden_wave(SMELT_F32, 0.8, 0.5, 1, 4);
    run("sdpa_gqa_causal_sinks", &p);
    p.options.causal = 0;
    run("sdpa_gqa_sinks", &p);
    run_lse("lse_gqa_sinks", &p);
    p = problem(SMELT_F32, 2);
    p.options.mask = bool_mask();
    run("sdpa_gqa_bool", &p);
    p.options.mask = golden_wave(SMELT_F32, 0.6, 0.2, 3, 4, 3, 5);
    run("sdpa_gqa_add", &p);
    p = problem(SMELT_F32, 2);
    p.v = golden_wave(SMELT_F32, 0.41, -0.3, 4, 1, 2, 5, 6);
    run("sdpa_dv6", &p);
    p = problem(SMELT_F16, 2);
    p.options.causal = 1;
    run("sdpa_gqa_f16_causal", &p);
    p.q = golden_wave(SMELT_F32, 0.31, 0.2, 4, 1, 1, 4, 8);
    p.k = golden_wave(SMELT_F32, 0.23, 0.6, 4, 1, 1, 2, 8);
    p.v = golden_wave(SMELT_F32, 0.41, -0.3, 4, 1, 1, 2, 8);
    run_from("sdpa_causal_qL_gt_kL", &p, 2 * 8); /* MLX leaves the first two rows undefined */
}

/* The library and the reference, from the out and lse of the forward call. NULL names are not asked for. */
static void run_vjp(const struct problem *p, const char *const names[5])
{
    DLTensor *out = golden_output("sdpa_gqa"), *lse = golden_output("lse_gqa"), *gradients[2][5];
    DLTensor *dout = golden_wave(SMELT_F32, 0.29, 1.1, 4, 1, 4, 3, 8);
    golden_status(smelt_sdpa(out, lse, p->q, p->k, p->v, &p->options, NULL));
    for (int i = 0; i < 10; i++) gradients[i / 5][i % 5] = names[i % 5] ? golden_output(names[i % 5]) : NULL;
    DLTensor **g = gradients[0];
    golden_status(smelt_sdpa_vjp(g[0], g[1], g[2], g[3], g[4], p->q, p->k, p->v, out, lse, dout, NULL,
                                 &p->options, NULL));
    g = gradients[1];
    ref_sdpa_vjp(g[0], g[1], g[2], g[3], g[4], p->q, p->k, p->v, out, lse, dout, NULL, &p->options);
    for (int i = 0; i < 10; i++)
        if (names[i % 5]) golden_compare(names[i % 5], gradients[i / 5][i % 5]);
}

static void backward(void)
{
    struct problem p = problem(SMELT_F32, 2);
    p.options.causal = 1;
    run_vjp(&p, (const char *const[5]){"sdpa_vjp_causal_q", "sdpa_vjp_causal_k", "sdpa_vjp_causal_v"});
    p.options.causal = 0;
    p.options.mask = golden_wave(SMELT_F32, 0.6, 0.2, 3, 4, 3, 5);
    p.options.sinks = golden_wave(SMELT_F32, 0.8, 0.5, 1, 4);
    run_vjp(&p, (const char *const[5]){"sdpa_vjp_add_sinks_q", NULL, NULL, "sdpa_vjp_add_sinks_mask",
                                       "sdpa_vjp_add_sinks_sinks"});
}

void golden_sdpa(void)
{
    forward();
    backward();
}
