/* SPDX-License-Identifier: Apache-2.0 */
/* sdpa against its definition, and what must not change a bit: lse or not, threads, and whatever hides behind
 * masks. Tolerances of the specification, section 5.12. */
#include <math.h>
#include <stdlib.h>

#include "attention.h"
#include "ref/sdpa.h"

static double tolerance(enum smelt_dtype dtype)
{
#ifdef SMELT_CHECK_ON_DEVICE /* tensor cores take probabilities in the type itself */
    return dtype == SMELT_F32 ? 2e-5 : dtype == SMELT_F16 ? 1e-3 : 8e-3;
#else
    return dtype == SMELT_F32 ? 2e-5 : dtype == SMELT_F16 ? 3e-4 : 5e-3;
#endif
}

static DLTensor *lse_or_null(struct check *c, const struct attention *a, bool with)
{
    return with ? attention_lse(c, a) : NULL;
}

/* Runs the case and compares it; returns out, and lse through the pointer where it is asked for. */
static DLTensor *compare(struct check *c, const struct attention *a, enum smelt_dtype dtype, DLTensor **lse)
{
    DLTensor *out = attention_out(c, a, dtype), *sums = lse_or_null(c, a, lse || check_chance(c, 50));
    ref_sdpa(check_wide(c, out), sums ? check_wide(c, sums) : NULL, a->q, a->k, a->v, &a->options);
    check_status(c, smelt_sdpa(out, sums, a->q, a->k, a->v, &a->options, NULL));
    check_close(c, out, tolerance(dtype), tolerance(dtype));
    if (sums) check_close(c, sums, 2e-5, 2e-5);
    if (lse) *lse = sums;
    return out;
}

static void check_kinds(struct check *c, unsigned kinds, const char *variant)
{
    struct attention a;
    if (!check_begin(c, variant)) return;
    while (check_case(c)) {
        attention_sizes(c, &a);
        attention_inputs(c, &a, c->dtype, c->dtype, c->dtype);
        attention_options(c, &a, kinds);
        compare(c, &a, c->dtype, NULL);
    }
}

static void check_mixed(struct check *c)
{
    struct attention a;
    if (!check_begin(c, "mixed dtypes")) return;
    while (check_case(c)) {
        enum smelt_dtype q = (enum smelt_dtype)check_range(c, 0, 2),
                         v = (enum smelt_dtype)check_range(c, 0, 2);
        attention_sizes(c, &a);
        attention_inputs(c, &a, q, c->dtype, v);
        attention_options(c, &a, ATTENTION_ALL);
        compare(c, &a, smelt_promote(smelt_promote(q, c->dtype), v), NULL);
    }
}

/* Few queries against many keys, as in decoding. */
static void check_decode(struct check *c)
{
    struct attention a;
    if (!check_begin(c, "few queries")) return;
    while (check_case(c)) {
        attention_sizes(c, &a);
        a.q_len = check_chance(c, 50) ? 1 : check_range(c, 2, 8);
        a.kv_len = check_range(c, 300, 2500);
        a.batch = check_range(c, 1, 2), a.kv_heads = 1;
        a.heads = a.kv_heads * check_range(c, 1, 4);
        attention_inputs(c, &a, c->dtype, c->dtype, c->dtype);
        attention_options(c, &a, check_chance(c, 50) ? ATTENTION_CAUSAL : ATTENTION_ALL);
        compare(c, &a, c->dtype, NULL);
    }
}

/* Which keys each query sees. */
static bool *visibility(const struct attention *a)
{
    struct ref_attention ref = ref_attention(a->q, a->k, a->v, &a->options);
    int64_t rows = a->batch * a->heads * a->q_len;
    bool *visible = malloc((size_t)(rows * a->kv_len));
    if (!visible) abort();
    for (int64_t row = 0; row < rows; row++)
        for (int64_t j = 0; j < a->kv_len; j++)
            visible[row * a->kv_len + j] =
                ref_visible(&ref, row / a->q_len / a->heads, row / a->q_len % a->heads, row % a->q_len, j);
    ref_attention_free(&ref);
    return visible;
}

static bool sees(const struct attention *a, const bool *visible, int64_t b, int64_t h, int64_t i, int64_t j)
{
    return visible[((b * a->heads + h) * a->q_len + i) * a->kv_len + j];
}

/* NaN in every row of k and v that a query must not see, one in three at random: what a query does not see
 * changes no bit of its row, and one that sees a planted key gives NaN. */
static void plant(struct check *c, const struct attention *a, const bool *visible, bool everywhere,
                  const DLTensor *before, DLTensor *after)
{
    static const double bad[] = {NAN, INFINITY, -INFINITY};
    int64_t rows = a->batch * a->kv_heads * a->kv_len, group = a->heads / a->kv_heads;
    bool *planted = calloc((size_t)rows, sizeof *planted);
    if (!planted) abort();
    for (int64_t row = 0; row < rows; row++) {
        int64_t j = row % a->kv_len, head = row / a->kv_len % a->kv_heads, b = row / a->kv_len / a->kv_heads;
        bool hidden = true;
        for (int64_t n = 0; n < group * a->q_len; n++)
            hidden &= !sees(a, visible, b, head * group + n / a->q_len, n % a->q_len, j);
        planted[row] = hidden || (everywhere && check_chance(c, 5));
        double value = hidden ? bad[check_range(c, 0, 2)] : NAN;
        for (int64_t d = 0; planted[row] && d < a->dim; d++) ref_store(a->k, row * a->dim + d, value);
        for (int64_t d = 0; planted[row] && d < a->value_dim; d++)
            ref_store(a->v, row * a->value_dim + d, value);
    }
    check_filled(c, a->k);
    check_filled(c, a->v);
    check_status(c, smelt_sdpa(after, NULL, a->q, a->k, a->v, &a->options, NULL));
    for (int64_t at = 0, count = ref_count(after); at < count && !c->failure[0]; at++) {
        int64_t i = at / a->value_dim % a->q_len, h = at / a->value_dim / a->q_len % a->heads;
        int64_t b = at / a->value_dim / a->q_len / a->heads, row = (b * a->kv_heads + h / group) * a->kv_len;
        bool met = false;
        for (int64_t j = 0; j < a->kv_len; j++) met |= planted[row + j] && sees(a, visible, b, h, i, j);
        double got = ref_load(after, at), expected = met ? NAN : ref_load(before, at);
        if (got != expected && !(isnan(got) && isnan(expected)))
            check_fail(c, "head %lld query %lld: NaN planted in keys it %s: expected %.9g, got %.9g",
                       (long long)h, (long long)i, met ? "sees" : "does not see", expected, got);
    }
    free(planted);
}

static void check_hidden(struct check *c, unsigned kinds, bool everywhere, const char *variant)
{
    struct attention a;
    if (!check_begin(c, variant)) return;
    while (check_case(c)) {
        attention_sizes(c, &a);
        a.distinct = true;
        attention_inputs(c, &a, c->dtype, c->dtype, c->dtype);
        attention_options(c, &a, kinds);
        DLTensor *before = compare(c, &a, c->dtype, NULL), *after = attention_out(c, &a, c->dtype);
        bool *visible = visibility(&a);
        plant(c, &a, visible, everywhere, before, after);
        free(visible);
    }
}

/* The tasks of a call one after the other, the last first. */
static void backwards(void *pool, int64_t tasks, void (*task)(void *argument, int64_t index), void *argument)
{
    (void)pool;
    while (tasks > 0) task(argument, --tasks);
}

/* One answer: with lse and without, for any number of threads, in the caller's workspace, in place of q. */
static void check_bits(struct check *c)
{
    struct attention a;
    if (!check_begin(c, "same bits")) return;
    while (check_case(c)) {
        attention_sizes(c, &a);
        if (check_chance(c, 30)) a.q_len = 1, a.kv_len = check_range(c, 1000, 3000);
        if (check_chance(c, 50)) a.value_dim = a.dim;
        attention_inputs(c, &a, c->dtype, c->dtype, c->dtype);
        attention_options(c, &a, ATTENTION_ALL);
        DLTensor *lse, *again = attention_lse(c, &a), *out = compare(c, &a, c->dtype, &lse);
        smelt_stream stream = SMELT_STREAM_INIT;
        for (int threads = 1; threads <= 7; threads += threads == 1 ? 1 : 5) {
            DLTensor *other = attention_out(c, &a, c->dtype);
            stream.num_threads = threads;
            stream.parallel_for = check_chance(c, 30) ? backwards : NULL;
            check_status(c,
                         smelt_sdpa(other, threads == 2 ? again : NULL, a.q, a.k, a.v, &a.options, &stream));
            attention_same(c, other, out, "threads");
        }
        attention_same(c, again, lse, "lse with 2 threads");
        DLTensor *other = attention_out(c, &a, c->dtype);
        check_status(c, smelt_sdpa_workspace_size(&stream.workspace_size, other, NULL, a.q, a.k, a.v,
                                                  &a.options, &stream));
        stream.workspace = aligned_alloc(64, (stream.workspace_size + 127) & ~(size_t)63);
        check_status(c, smelt_sdpa(other, NULL, a.q, a.k, a.v, &a.options, &stream));
        free(stream.workspace);
        attention_same(c, other, out, "workspace");
        if (a.dim != a.value_dim) continue;
        const int64_t shape[4] = {a.batch, a.heads, a.q_len, a.dim};
        DLTensor *in_place = check_packed(c, c->dtype, 4, shape);
        for (int64_t i = 0; i < ref_count(a.q); i++) ref_store(in_place, i, ref_load(a.q, i));
        check_filled(c, in_place);
        check_in_place(c, in_place);
#ifdef SMELT_CHECK_ON_DEVICE /* where another layout of q may be another kernel's */
        out = other;
        check_status(c, smelt_sdpa(out, NULL, in_place, a.k, a.v, &a.options, NULL));
#endif
        check_status(c, smelt_sdpa(in_place, NULL, in_place, a.k, a.v, &a.options, NULL));
        attention_same(c, in_place, out, "in place");
    }
}

static void check_empty(struct check *c)
{
    struct attention a;
    if (!check_begin(c, "empty")) return;
    while (check_case(c)) {
        attention_sizes(c, &a);
        int64_t *const sizes[] = {&a.kv_len, &a.kv_len, &a.value_dim, &a.q_len, &a.batch, &a.heads};
        *sizes[check_range(c, 0, 5)] = 0;
        c->plain = true;
        attention_inputs(c, &a, c->dtype, c->dtype, c->dtype);
        attention_options(c, &a, ATTENTION_EXTRA | (a.kv_len ? ATTENTION_CAUSAL : 0));
        DLTensor *lse;
        compare(c, &a, c->dtype, &lse);
    }
}

/* Scores of -inf from an infinite key weigh nothing; one of +inf or NaN gives NaN; large scores overflow
 * nothing. */
static void check_special(struct check *c)
{
    struct attention a;
    if (!check_begin(c, "special values")) return;
    while (check_case(c)) {
        attention_sizes(c, &a);
        attention_inputs(c, &a, c->dtype, c->dtype, c->dtype);
        int kind = (int)check_range(c, 0, 3);
        int64_t rows = ref_count(a.k) / a.dim;
        for (int64_t i = 0; i < ref_count(a.q); i++) ref_store(a.q, i, fabs(ref_load(a.q, i)) + 0.1);
        for (int64_t row = 0; row < rows; row++)
            for (int64_t d = 0; d < a.dim && row % 5 == 0; d++)
                ref_store(a.k, row * a.dim + d,
                          kind == 0   ? -INFINITY
                          : kind == 1 ? NAN
                          : kind == 2 ? INFINITY
                                      : 60 * ref_load(a.k, row * a.dim + d));
        check_filled(c, a.q);
        check_filled(c, a.k);
        if (kind == 3) a.options.scale = (float)(1 / sqrt((double)a.dim) / 8);
        DLTensor *out = attention_out(c, &a, c->dtype);
        ref_sdpa(check_wide(c, out), NULL, a.q, a.k, a.v, &a.options);
        check_status(c, smelt_sdpa(out, NULL, a.q, a.k, a.v, &a.options, NULL));
        check_close(c, out, tolerance(c->dtype), tolerance(c->dtype));
    }
}

void check_sdpa(struct check *c)
{
    check_kinds(c, ATTENTION_PLAIN, "plain");
    check_kinds(c, ATTENTION_CAUSAL, "causal and windows");
    check_kinds(c, ATTENTION_MASK, "mask");
    check_kinds(c, ATTENTION_KEYS, "key mask and lengths");
    check_kinds(c, ATTENTION_EXTRA, "sinks and softcap");
    check_kinds(c, ATTENTION_ALL, "everything");
    check_mixed(c);
    check_decode(c);
    check_hidden(c, ATTENTION_CAUSAL, true, "NaN behind causal");
    check_hidden(c, ATTENTION_MASK, true, "NaN behind mask");
    check_hidden(c, ATTENTION_KEYS, false, "NaN behind key mask");
    check_hidden(c, ATTENTION_ALL, true, "NaN behind everything");
    check_bits(c);
    check_empty(c);
    check_special(c);
}
