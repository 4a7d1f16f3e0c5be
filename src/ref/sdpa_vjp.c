/* SPDX-License-Identifier: Apache-2.0 */
/* The gradient of attention, by definition, from the out and lse of the forward call:
 *   P = exp(S - lse)   delta = sum(dout out)   dS = P (dout v - delta + dlse)   dx = dS (1 - tanh^2) */
#include <math.h>
#include <stdlib.h>

#include "ref/sdpa.h"

struct gradients {
    double *q, *k, *v, *mask, *sinks; /* row-major sums; NULL where not asked for */
};

static double *zeros(const DLTensor *like)
{
    double *sums = like ? calloc((size_t)ref_count(like) + 1, sizeof *sums) : NULL;
    if (like && !sums) abort();
    return sums;
}

static void finish(DLTensor *tensor, double *sums)
{
    for (int64_t i = 0; tensor && i < ref_count(tensor); i++) ref_store(tensor, i, sums[i]);
    free(sums);
}

static void add_scaled(double *sums, double factor, const double *row, int64_t n)
{
    for (int64_t d = 0; sums && d < n; d++) sums[d] += factor * row[d];
}

/* One query and one key that it sees. `left` is dlse - delta. */
static void pair(const struct ref_attention *a, struct gradients *g, int64_t b, int64_t h, int64_t i,
                 int64_t j, double lse, double left, const double *dout)
{
    const DLTensor *mask = a->options.mask;
    int64_t row = (b * a->heads + h) * a->q_len + i, key = ref_key_row(a, b, h, j);
    const double *v = a->v + key * a->value_dim;
    double score = ref_score(a, b, h, i, j), p = exp(score - lse), dp = left;
    if (score == -INFINITY) return;
    for (int64_t d = 0; dout && d < a->value_dim; d++) dp += dout[d] * v[d];
    double ds = p * dp, slope = 1, cap = (double)a->options.softcap;
    if (cap > 0) slope = ref_capped(a, b, h, i, j) / cap, slope = 1 - slope * slope;
    double dx = ds * slope * a->scale;
    if (g->mask) g->mask[ref_mask_element(mask, b, h, i, j)] += ds;
    add_scaled(g->q ? g->q + row * a->dim : NULL, dx, a->k + key * a->dim, a->dim);
    add_scaled(g->k ? g->k + key * a->dim : NULL, dx, a->q + row * a->dim, a->dim);
    add_scaled(g->v && dout ? g->v + key * a->value_dim : NULL, p, dout, a->value_dim);
}

static void query(const struct ref_attention *a, struct gradients *g, int64_t b, int64_t h, int64_t i,
                  double lse, double dlse, const double *out, const double *dout)
{
    double left = dlse;
    if (lse == -INFINITY) return; /* it sees nothing, and depends on nothing */
    for (int64_t d = 0; dout && d < a->value_dim; d++) left -= out[d] * dout[d];
    if (g->sinks) g->sinks[h] += exp(ref_load(a->options.sinks, h) - lse) * left;
    for (int64_t j = 0; j < a->kv_len; j++)
        if (ref_visible(a, b, h, i, j)) pair(a, g, b, h, i, j, lse, left, dout);
}

void ref_sdpa_vjp(DLTensor *dq, DLTensor *dk, DLTensor *dv, DLTensor *dmask, DLTensor *dsinks,
                  const DLTensor *q, const DLTensor *k, const DLTensor *v, const DLTensor *out,
                  const DLTensor *lse, const DLTensor *dout, const DLTensor *dlse,
                  const smelt_sdpa_options *options)
{
    struct ref_attention a = ref_attention(q, k, v, options);
    struct gradients g = {zeros(dq), zeros(dk), zeros(dv), zeros(dmask), zeros(dsinks)};
    double *values = ref_copy(out), *cotangent = dout ? ref_copy(dout) : NULL;
    for (int64_t row = 0; row < ref_count(lse); row++)
        query(&a, &g, row / a.q_len / a.heads, row / a.q_len % a.heads, row % a.q_len, ref_load(lse, row),
              dlse ? ref_load(dlse, row) : 0, values + row * a.value_dim,
              cotangent ? cotangent + row * a.value_dim : NULL);
    finish(dq, g.q);
    finish(dk, g.k);
    finish(dv, g.v);
    finish(dmask, g.mask);
    finish(dsinks, g.sinks);
    free(values);
    free(cotangent);
    ref_attention_free(&a);
}
