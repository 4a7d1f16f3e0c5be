/* SPDX-License-Identifier: Apache-2.0 */
/* moe_routing and its gradient against the definition. Experts may differ from the reference only where their
 * float32 probabilities agree within the rounding of exp; equal logits must go to the lower index. */
#include <math.h>

#include "check.h"

static void fill_logits(struct check *c, DLTensor *logits)
{
    static const double special[] = {NAN, INFINITY, -INFINITY, 3e38, -3e38};
    int64_t experts = logits->shape[logits->ndim - 1], rows = experts ? ref_count(logits) / experts : 0;
    for (int64_t row = 0; row < rows; row++) {
        int kind = (int)check_range(c, 0, 11);
        double few = special[check_range(c, 0, 4)];
        for (int64_t e = 0; e < experts; e++) {
            double value = check_normal(c) * 2;
            if (kind == 0) value = (double)check_range(c, -2, 2);    /* ties */
            if (kind == 1) value = value * 60;                       /* probabilities of 0 */
            if (kind == 2) value = -INFINITY;                        /* nothing at all */
            if (kind == 3 && check_chance(c, 60)) value = -INFINITY; /* fewer than K */
            if (kind == 4 && check_chance(c, 5)) value = few;        /* no number */
            if (kind == 5) value = 1;                                /* all the same */
            ref_store(logits, row * experts + e, value);
        }
    }
    check_filled(c, logits);
}

/* Experts and inner size of a case; fills the shape of the logits. */
static int random_shape(struct check *c, int64_t *shape, int64_t *chosen)
{
    static const int64_t usual[] = {8, 60, 64, 128, 160, 256, 600};
    int rank = (int)check_range(c, 1, 4);
    int64_t experts = check_chance(c, 60) ? usual[check_range(c, 0, 6)] : check_range(c, 1, 70);
    check_shape(c, rank, experts, 60, shape);
    *chosen = check_chance(c, 70) ? check_range(c, 1, experts < 8 ? experts : 8) : check_range(c, 1, experts);
    if (rank > 1 && check_chance(c, 4)) shape[0] = 0;
    return rank;
}

static DLTensor *random_scale(struct check *c, int64_t experts)
{
    if (check_chance(c, 40)) return NULL;
    return check_input(c, (enum smelt_dtype)check_range(c, 0, SMELT_FLOAT_DTYPES - 1), 1, &experts);
}

/* The probabilities of a row, unrounded; false where there are none. */
static bool probabilities(const DLTensor *logits, int64_t row, int64_t experts, double *p)
{
    double largest = -INFINITY, sum = 0;
    for (int64_t e = 0; e < experts; e++) {
        p[e] = ref_load(logits, row * experts + e);
        if (isnan(p[e]) || p[e] == INFINITY) return false;
        if (p[e] > largest) largest = p[e];
    }
    for (int64_t e = 0; e < experts; e++) sum += p[e] = exp(p[e] - largest);
    for (int64_t e = 0; e < experts; e++) p[e] /= sum;
    return largest > -INFINITY;
}

static void check_row(struct check *c, const DLTensor *logits, const DLTensor *expected, const DLTensor *got,
                      int64_t row, int64_t experts, int64_t chosen)
{
    double p[600];
    bool usual = probabilities(logits, row, experts, p);
    for (int64_t k = 0; k < chosen; k++) {
        int64_t right = (int64_t)ref_load(expected, row * chosen + k),
                id = (int64_t)ref_load(got, row * chosen + k);
        for (int64_t j = 0; j < k; j++)
            if ((int64_t)ref_load(got, row * chosen + j) == id)
                check_fail(c, "row %lld: expert %lld twice", (long long)row, (long long)id);
        if (id == right) continue;
        bool tied = usual && id >= 0 && id < experts && fabs(p[id] - p[right]) <= 4e-6 * p[right] + 3e-45 &&
                    ref_load(logits, row * experts + id) != ref_load(logits, row * experts + right);
        if (!tied)
            check_fail(c, "row %lld, choice %lld: expected expert %lld, got %lld", (long long)row,
                       (long long)k, (long long)right, (long long)id);
    }
}

/* The exact weights of the experts that were chosen. */
static void expect_weights(DLTensor *wide, const DLTensor *logits, const DLTensor *ids, const DLTensor *scale,
                           bool renormalize)
{
    int64_t experts = logits->shape[logits->ndim - 1], chosen = ids->shape[ids->ndim - 1];
    for (int64_t row = 0; row < ref_count(ids) / chosen; row++) {
        double p[600], sum = 0;
        bool usual = probabilities(logits, row, experts, p);
        for (int64_t k = 0; k < chosen; k++) sum += p[(int64_t)ref_load(ids, row * chosen + k)];
        for (int64_t k = 0; k < chosen; k++) {
            int64_t id = (int64_t)ref_load(ids, row * chosen + k);
            double weight = renormalize ? p[id] / sum : p[id];
            ref_store(wide, row * chosen + k, usual ? weight * (scale ? ref_load(scale, id) : 1) : 0);
        }
    }
}

void check_moe_routing(struct check *c)
{
    static const enum smelt_dtype id_types[] = {SMELT_I32, SMELT_U32, SMELT_I64};
    if (!check_begin(c, "")) return;
    while (check_case(c)) {
        int64_t shape[CHECK_RANK], chosen;
        int rank = random_shape(c, shape, &chosen);
        int64_t experts = shape[rank - 1];
        DLTensor *logits = check_input(c, c->dtype, rank, shape), *scale = random_scale(c, experts);
        fill_logits(c, logits);
        shape[rank - 1] = chosen;
        DLTensor *ids = check_output(c, id_types[check_range(c, 0, 2)], rank, shape);
        DLTensor *weights = check_output(c, SMELT_F32, rank, shape);
        smelt_moe_options options = SMELT_MOE_OPTIONS_INIT;
        options.renormalize = check_chance(c, 70);
        ref_moe_routing(check_wide(c, ids), check_wide(c, weights), logits, scale, &options);
        check_status(c, smelt_moe_routing(ids, weights, logits, scale, &options, NULL));
        for (int64_t row = 0; row < ref_count(ids) / chosen && !c->failure[0]; row++)
            check_row(c, logits, check_wide(c, ids), ids, row, experts, chosen);
        if (c->failure[0]) continue;
        expect_weights(check_wide(c, weights), logits, ids, scale, options.renormalize);
        check_close(c, weights, 2e-7, 1e-5);
    }
}

void check_moe_routing_vjp(struct check *c)
{
    double tolerance = c->dtype == SMELT_F32 ? 1e-5 : c->dtype == SMELT_F16 ? 1e-3 : 8e-3;
    if (!check_begin(c, "")) return;
    while (check_case(c)) {
        int64_t shape[CHECK_RANK], chosen;
        int rank = random_shape(c, shape, &chosen), wanted = (int)check_range(c, 1, 3);
        int64_t experts = shape[rank - 1];
        DLTensor *logits = check_input(c, c->dtype, rank, shape), *scale = random_scale(c, experts);
        fill_logits(c, logits);
        DLTensor *dlogits = wanted & 1 || !scale ? check_output(c, c->dtype, rank, shape) : NULL,
                 *dscale = NULL;
        if (scale && wanted & 2) dscale = check_output(c, ref_dtype(scale), 1, &experts);
        shape[rank - 1] = chosen;
        DLTensor *ids = check_input(c, check_chance(c, 50) ? SMELT_I64 : SMELT_U32, rank, shape);
        DLTensor *weights = check_output(c, SMELT_F32, rank, shape);
        DLTensor *dweights = check_input(c, SMELT_F32, rank, shape);
        smelt_moe_options options = SMELT_MOE_OPTIONS_INIT;
        options.renormalize = check_chance(c, 70);
        /* through a packed tensor: an input may be a broadcast */
        DLTensor *packed = check_packed(c, SMELT_I64, rank, shape);
        check_in_place(c, packed);
        ref_moe_routing(packed, weights, logits, scale, &options);
        for (int64_t i = 0; i < ref_count(ids); i++) ref_store(ids, i, ref_load(packed, i));
        check_filled(c, ids);
        ref_moe_routing_vjp(dlogits ? check_wide(c, dlogits) : NULL, dscale ? check_wide(c, dscale) : NULL,
                            logits, scale, ids, dweights, &options);
        check_status(c, smelt_moe_routing_vjp(dlogits, dscale, logits, scale, ids, dweights, &options, NULL));
        if (dlogits) check_close(c, dlogits, tolerance, tolerance);
        if (dscale) check_close(c, dscale, 2e-5, ref_dtype(scale) == SMELT_F32 ? 1e-5 : 8e-3);
    }
}
