/* SPDX-License-Identifier: Apache-2.0 */
/* sdpa_vjp against its definition, and what must not change a bit: threads, other outputs, and whatever hides
 * behind masks. */
#include <math.h>
#include <stdlib.h>

#include "attention.h"
#include "ref/sdpa.h"

enum { GRADIENTS = 5 };

struct gradient {
    struct attention a;
    DLTensor *out, *lse, *dout, *dlse;
    DLTensor *to[GRADIENTS]; /* dq, dk, dv, dmask, dsinks */
};

static double tolerance(enum smelt_dtype dtype)
{
#ifdef SMELT_CHECK_ON_DEVICE /* tensor cores take probabilities and their changes in the type itself */
    return dtype == SMELT_F32 ? 5e-5 : dtype == SMELT_F16 ? 3e-3 : 2.4e-2;
#else
    return dtype == SMELT_F32 ? 5e-5 : dtype == SMELT_F16 ? 1e-3 : 8e-3;
#endif
}

static DLTensor *copy(struct check *c, DLTensor *to, const DLTensor *from)
{
    for (int64_t i = 0; i < ref_count(to); i++) ref_store(to, i, ref_load(from, i));
    check_filled(c, to);
    return to;
}

static enum smelt_dtype dtype_of(const struct attention *a)
{
    return smelt_promote(smelt_promote(ref_dtype(a->q), ref_dtype(a->k)), ref_dtype(a->v));
}

/* out and lse as the forward call gives them, and cotangents. */
static void forward(struct check *c, struct gradient *g)
{
    struct attention *a = &g->a;
    const int64_t shape[4] = {a->batch, a->heads, a->q_len, a->value_dim};
    DLTensor *out = attention_out(c, a, dtype_of(a)), *lse = attention_lse(c, a);
    ref_sdpa(out, lse, a->q, a->k, a->v, &a->options);
    g->out = copy(c, check_packed(c, dtype_of(a), 4, shape), out);
    g->lse = copy(c, check_packed(c, SMELT_F32, 3, shape), lse);
    g->dout = check_chance(c, 85) ? check_input(c, dtype_of(a), 4, shape) : NULL;
    g->dlse = !g->dout || check_chance(c, 40) ? check_input(c, SMELT_F32, 3, shape) : NULL;
}

static bool may_ask(const struct gradient *g, int which)
{
    const DLTensor *mask = g->a.options.mask;
    if (which == 3) return mask && ref_dtype(mask) != SMELT_BOOL;
    return which < 3 || g->a.options.sinks;
}

static DLTensor *output(struct check *c, const struct gradient *g, int which)
{
    const DLTensor *const like[] = {g->a.q, g->a.k, g->a.v, g->a.options.mask, g->a.options.sinks};
    const DLTensor *of = like[which];
    if (which < 3) return attention_output(c, ref_dtype(of), of->shape);
    return check_output(c, ref_dtype(of), of->ndim, of->shape);
}

static void call(struct check *c, const struct gradient *g, DLTensor *const to[GRADIENTS],
                 const smelt_stream *stream)
{
    const struct attention *a = &g->a;
    check_status(c, smelt_sdpa_vjp(to[0], to[1], to[2], to[3], to[4], a->q, a->k, a->v, g->out, g->lse,
                                   g->dout, g->dlse, &a->options, stream));
}

/* Runs the case and compares it. */
static void compare(struct check *c, struct gradient *g, bool all)
{
    struct attention *a = &g->a;
    DLTensor *wide[GRADIENTS];
    for (int i = 0; i < GRADIENTS; i++) {
        bool asked = may_ask(g, i) && (all || check_chance(c, 80));
        g->to[i] = asked ? output(c, g, i) : NULL;
        wide[i] = asked ? check_wide(c, g->to[i]) : NULL;
    }
    ref_sdpa_vjp(wide[0], wide[1], wide[2], wide[3], wide[4], a->q, a->k, a->v, g->out, g->lse, g->dout,
                 g->dlse, &a->options);
    call(c, g, g->to, NULL);
    for (int i = 0; i < GRADIENTS; i++)
        if (g->to[i]) {
            double t = tolerance(ref_dtype(g->to[i]));
            check_close(c, g->to[i], t, t);
        }
}

static void sizes(struct check *c, struct attention *a)
{
    attention_sizes(c, a);
    if (!check_chance(c, 25)) return; /* several blocks each way */
    a->batch = 1, a->kv_heads = 1, a->heads = check_range(c, 1, 2);
    a->q_len = check_range(c, 90, 300), a->kv_len = check_range(c, 90, 300);
    a->dim = check_range(c, 1, 20), a->value_dim = check_range(c, 1, 20);
}

static void check_kinds(struct check *c, unsigned kinds, bool mixed, const char *variant)
{
    struct gradient g;
    if (!check_begin(c, variant)) return;
    while (check_case(c)) {
        enum smelt_dtype q = mixed ? (enum smelt_dtype)check_range(c, 0, 2) : c->dtype;
        enum smelt_dtype v = mixed ? (enum smelt_dtype)check_range(c, 0, 2) : c->dtype;
        sizes(c, &g.a);
        attention_inputs(c, &g.a, q, c->dtype, v);
        attention_options(c, &g.a, kinds);
        forward(c, &g);
        compare(c, &g, false);
    }
}

/* More rows than are packed at a time, and fewer key heads than items. */
static void check_long(struct check *c)
{
    struct gradient g;
    if (!check_begin(c, "long")) return;
    while (check_case(c)) {
        if (c->done > 3) continue;
        attention_sizes(c, &g.a);
        g.a.batch = 1, g.a.kv_heads = c->done == 1 ? 1 : 20, g.a.heads = g.a.kv_heads;
        g.a.q_len = c->done == 1 ? 2500 : 2150, g.a.kv_len = check_range(c, 1, 6);
        g.a.dim = check_range(c, 1, 5), g.a.value_dim = check_range(c, 1, 5);
        attention_inputs(c, &g.a, c->dtype, c->dtype, c->dtype);
        forward(c, &g);
        compare(c, &g, true);
    }
}

/* NaN and infinities in keys that no query sees and in queries that see no key: no bit changes. */
static void plant(struct check *c, const struct gradient *g)
{
    static const double bad[] = {NAN, INFINITY, -INFINITY};
    const struct attention *a = &g->a;
    struct ref_attention ref = ref_attention(a->q, a->k, a->v, &a->options);
    int64_t group = a->heads / a->kv_heads, queries = a->batch * a->heads * a->q_len;
    bool *seen = calloc((size_t)(a->batch * a->kv_heads * a->kv_len), sizeof *seen);
    if (!seen) abort();
    for (int64_t row = 0; row < queries; row++) {
        int64_t h = row / a->q_len % a->heads, b = row / a->q_len / a->heads;
        bool sees = false;
        for (int64_t j = 0; j < a->kv_len; j++)
            if (ref_visible(&ref, b, h, row % a->q_len, j))
                seen[(b * a->kv_heads + h / group) * a->kv_len + j] = sees = true;
        double value = bad[check_range(c, 0, 2)];
        for (int64_t d = 0; d < a->dim && !sees; d++) ref_store(a->q, row * a->dim + d, value);
    }
    for (int64_t row = 0; row < a->batch * a->kv_heads * a->kv_len; row++) {
        double value = bad[check_range(c, 0, 2)];
        for (int64_t d = 0; d < a->dim && !seen[row]; d++) ref_store(a->k, row * a->dim + d, value);
        for (int64_t d = 0; d < a->value_dim && !seen[row]; d++)
            ref_store(a->v, row * a->value_dim + d, value);
    }
    check_filled(c, a->q);
    check_filled(c, a->k);
    check_filled(c, a->v);
    free(seen);
    ref_attention_free(&ref);
}

static void check_hidden(struct check *c, unsigned kinds, const char *variant)
{
    static const char *const names[] = {"dq", "dk", "dv", "dmask", "dsinks"};
    struct gradient g;
    if (!check_begin(c, variant)) return;
    while (check_case(c)) {
        sizes(c, &g.a);
        g.a.distinct = true;
        attention_inputs(c, &g.a, c->dtype, c->dtype, c->dtype);
        attention_options(c, &g.a, kinds);
        forward(c, &g);
        compare(c, &g, true);
        DLTensor *after[GRADIENTS];
        for (int i = 0; i < GRADIENTS; i++) after[i] = g.to[i] ? output(c, &g, i) : NULL;
        plant(c, &g);
        call(c, &g, after, NULL);
        for (int i = 0; i < GRADIENTS; i++)
            if (after[i]) attention_same(c, after[i], g.to[i], names[i]);
    }
}

/* A NaN or an infinity that is seen: what meets it is not finite, the rest is as the reference has it. */
static void check_seen(struct check *c)
{
    struct gradient g;
    if (!check_begin(c, "NaN that is seen")) return;
    while (check_case(c)) {
        sizes(c, &g.a);
        g.a.distinct = true;
        attention_inputs(c, &g.a, c->dtype, c->dtype, c->dtype);
        attention_options(c, &g.a, ATTENTION_CAUSAL | ATTENTION_MASK);
        DLTensor *const in[] = {g.a.q, g.a.k, g.a.v};
        int which = (int)check_range(c, 0, 3);
        if (which < 3) {
            ref_store(in[which], check_range(c, 0, ref_count(in[which]) - 1), NAN);
            check_filled(c, in[which]);
        }
        c->plain = true; /* dout without a broadcast */
        forward(c, &g);
        if (which == 3 && g.dout) {
            ref_store(g.dout, check_range(c, 0, ref_count(g.dout) - 1), NAN);
            check_filled(c, g.dout);
        }
        compare(c, &g, true);
    }
}

static void backwards(void *pool, int64_t tasks, void (*task)(void *argument, int64_t index), void *argument)
{
    (void)pool;
    while (tasks > 0) task(argument, --tasks);
}

/* One answer for any number of threads, and for each gradient alone. */
static void check_bits(struct check *c)
{
    struct gradient g;
    if (!check_begin(c, "same bits")) return;
    while (check_case(c)) {
        sizes(c, &g.a);
        attention_inputs(c, &g.a, c->dtype, c->dtype, c->dtype);
        attention_options(c, &g.a, ATTENTION_ALL);
        forward(c, &g);
        compare(c, &g, true);
        smelt_stream stream = SMELT_STREAM_INIT;
        for (int threads = 1; threads <= 7; threads += threads == 1 ? 1 : 5) {
            DLTensor *again[GRADIENTS];
            for (int i = 0; i < GRADIENTS; i++)
                again[i] = g.to[i] && check_chance(c, 70) ? output(c, &g, i) : NULL;
            stream.num_threads = threads;
            stream.parallel_for = check_chance(c, 30) ? backwards : NULL;
            call(c, &g, again, &stream);
            for (int i = 0; i < GRADIENTS; i++)
                if (again[i]) attention_same(c, again[i], g.to[i], "threads");
        }
    }
}

static void check_empty(struct check *c)
{
    struct gradient g;
    if (!check_begin(c, "empty")) return;
    while (check_case(c)) {
        attention_sizes(c, &g.a);
        int64_t *const zero[] = {&g.a.kv_len, &g.a.value_dim, &g.a.q_len, &g.a.batch, &g.a.heads};
        *zero[check_range(c, 0, 4)] = 0;
        c->plain = true;
        attention_inputs(c, &g.a, c->dtype, c->dtype, c->dtype);
        attention_options(c, &g.a, ATTENTION_EXTRA);
        forward(c, &g);
        compare(c, &g, true);
    }
}

void check_sdpa_vjp(struct check *c)
{
    check_kinds(c, ATTENTION_PLAIN, false, "plain");
    check_kinds(c, ATTENTION_CAUSAL, false, "causal and windows");
    check_kinds(c, ATTENTION_MASK, false, "mask");
    check_kinds(c, ATTENTION_KEYS, false, "key mask and lengths");
    check_kinds(c, ATTENTION_EXTRA, false, "sinks and softcap");
    check_kinds(c, ATTENTION_ALL, false, "everything");
    check_kinds(c, ATTENTION_ALL, true, "mixed dtypes");
    check_long(c);
    check_hidden(c, ATTENTION_CAUSAL, "NaN behind causal");
    check_hidden(c, ATTENTION_MASK, "NaN behind mask");
    check_hidden(c, ATTENTION_ALL, "NaN behind everything");
    check_seen(c);
    check_bits(c);
    check_empty(c);
}
