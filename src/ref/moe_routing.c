/* SPDX-License-Identifier: Apache-2.0 */
/* The K largest of softmax(logits), and what their weights are worth. Probabilities are rounded to float32,
 * as the selection sees them. */
#include <math.h>
#include <stdlib.h>

#include "ref/ref.h"

/* False where the row has no probabilities. */
static int softmax(double *p, const DLTensor *logits, int64_t first, int64_t experts)
{
    double largest = -INFINITY, sum = 0;
    for (int64_t e = 0; e < experts; e++) {
        p[e] = ref_load(logits, first + e);
        if (isnan(p[e]) || p[e] == INFINITY) return 0;
        if (p[e] > largest) largest = p[e];
    }
    if (largest == -INFINITY) return 0;
    for (int64_t e = 0; e < experts; e++) sum += exp(p[e] - largest);
    for (int64_t e = 0; e < experts; e++) p[e] = (float)(exp(p[e] - largest) / sum);
    return 1;
}

static void route_row(DLTensor *ids, DLTensor *weights, double *p, int64_t row, int64_t experts,
                      int64_t chosen, const DLTensor *scale, int renormalize)
{
    double sum = 0;
    for (int64_t k = 0; k < chosen; k++) {
        int64_t best = -1;
        for (int64_t e = 0; e < experts; e++)
            if (p[e] >= 0 && (best < 0 || p[e] > p[best])) best = e;
        ref_store(ids, row * chosen + k, (double)best);
        ref_store(weights, row * chosen + k, p[best]);
        sum += p[best];
        p[best] = -1;
    }
    for (int64_t k = 0; k < chosen; k++) {
        double weight = ref_load(weights, row * chosen + k);
        if (renormalize) weight = sum > 0 ? weight / sum : 0;
        if (scale) weight *= ref_load(scale, (int64_t)ref_load(ids, row * chosen + k));
        ref_store(weights, row * chosen + k, weight);
    }
}

void ref_moe_routing(DLTensor *expert_ids, DLTensor *weights, const DLTensor *logits,
                     const DLTensor *per_expert_scale, const smelt_moe_options *options)
{
    int64_t experts = logits->shape[logits->ndim - 1], chosen = weights->shape[weights->ndim - 1];
    int64_t rows = ref_count(logits) / experts;
    double *p = malloc((size_t)experts * sizeof *p);
    for (int64_t row = 0; p && row < rows; row++) {
        if (softmax(p, logits, row * experts, experts)) {
            route_row(expert_ids, weights, p, row, experts, chosen, per_expert_scale,
                      !options || options->renormalize);
            continue;
        }
        for (int64_t k = 0; k < chosen; k++) {
            ref_store(expert_ids, row * chosen + k, (double)k);
            ref_store(weights, row * chosen + k, 0);
        }
    }
    free(p);
}

/* Sums of one row: dlogits where given, and onto dscale. */
static void row_gradient(DLTensor *dlogits, double *dscale, const double *p, const DLTensor *scale,
                         const DLTensor *ids, const DLTensor *dweights, int64_t row, int64_t experts,
                         int64_t chosen, int renormalize)
{
    double total = 1, mean = 0;
    if (renormalize) total = 0;
    for (int64_t k = 0; renormalize && k < chosen; k++) total += p[(int64_t)ref_load(ids, row * chosen + k)];
    for (int64_t e = 0; e < experts; e++)
        for (int64_t k = 0; k < chosen; k++) {
            if ((int64_t)ref_load(ids, row * chosen + k) != e || !(total > 0)) continue;
            mean += p[e] / total * ref_load(dweights, row * chosen + k) * (scale ? ref_load(scale, e) : 1);
            dscale[e] += p[e] / total * ref_load(dweights, row * chosen + k);
        }
    for (int64_t e = 0; dlogits && e < experts; e++) {
        double sum = renormalize ? 0 : -p[e] * mean;
        for (int64_t k = 0; k < chosen; k++) {
            if ((int64_t)ref_load(ids, row * chosen + k) != e || !(total > 0)) continue;
            double direct = ref_load(dweights, row * chosen + k) * (scale ? ref_load(scale, e) : 1);
            sum += p[e] / total * (renormalize ? direct - mean : direct);
        }
        ref_store(dlogits, row * experts + e, sum);
    }
}

void ref_moe_routing_vjp(DLTensor *dlogits, DLTensor *dper_expert_scale, const DLTensor *logits,
                         const DLTensor *per_expert_scale, const DLTensor *expert_ids,
                         const DLTensor *dweights, const smelt_moe_options *options)
{
    int64_t experts = logits->shape[logits->ndim - 1], chosen = dweights->shape[dweights->ndim - 1];
    int64_t rows = ref_count(logits) / experts;
    double *p = malloc((size_t)experts * sizeof *p), *dscale = calloc((size_t)experts, sizeof *dscale);
    for (int64_t row = 0; p && dscale && row < rows; row++) {
        if (softmax(p, logits, row * experts, experts))
            row_gradient(dlogits, dscale, p, per_expert_scale, expert_ids, dweights, row, experts, chosen,
                         !options || options->renormalize);
        else
            for (int64_t e = 0; dlogits && e < experts; e++) ref_store(dlogits, row * experts + e, 0);
    }
    for (int64_t e = 0; dscale && dper_expert_scale && e < experts; e++)
        ref_store(dper_expert_scale, e, dscale[e]);
    free(p);
    free(dscale);
}
