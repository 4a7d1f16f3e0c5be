/* SPDX-License-Identifier: Apache-2.0 */
/* The gradient of residual_norm against its definition. */
#include "norm.h"

struct gradients {
    DLTensor *dresidual, *dx, *dweight, *dscalar;
};

static void compare(struct check *c, const struct norm_case *k, const struct gradients *g)
{
    norm_close(c, g->dresidual, 20 / k->size + 1);
    norm_close(c, g->dx, 20 / k->size + 1);
    norm_close(c, g->dweight, 20);
    norm_close(c, g->dscalar, g->dscalar && g->dscalar->shape[0] == 1 ? 1000 : 20);
}

static void check_values(struct check *c, const char *variant, int dout_percent, int dsum_percent,
                         void (*draw)(struct check *, struct norm_case *))
{
    if (!check_begin(c, variant)) return;
    while (check_case(c)) {
        struct norm_case k;
        struct gradients g = {0};
        draw(c, &k);
        enum smelt_dtype residual_dtype = norm_dtype(c), sum_dtype = smelt_promote(residual_dtype, c->dtype);
        DLTensor *weight = check_chance(c, 70) ? norm_column(c, &k, norm_dtype(c), false) : NULL;
        DLTensor *scalar =
            check_chance(c, 60) ? norm_column(c, &k, norm_dtype(c), check_chance(c, 50)) : NULL;
        enum smelt_dtype dtype = weight ? smelt_promote(sum_dtype, ref_dtype(weight)) : sum_dtype;
        if (scalar) dtype = smelt_promote(dtype, ref_dtype(scalar));
        bool with_dout = check_chance(c, dout_percent);
        bool dx_on_dout = with_dout && dtype == c->dtype && check_chance(c, 20);
        bool dresidual_on_dout = with_dout && !dx_on_dout && dtype == residual_dtype && check_chance(c, 20);
        DLTensor *residual = norm_input(c, &k, residual_dtype, 0.1 * k.size);
        DLTensor *x = norm_input(c, &k, c->dtype, k.size), *dout = NULL, *dsum = NULL;
        if (with_dout) dout = (dx_on_dout || dresidual_on_dout ? norm_in_place : norm_input)(c, &k, dtype, 1);
        if (!dout || check_chance(c, dsum_percent)) dsum = norm_input(c, &k, sum_dtype, 1);
        if (dx_on_dout || check_chance(c, 85)) g.dx = dx_on_dout ? dout : norm_output(c, &k, c->dtype);
        if (dresidual_on_dout || check_chance(c, 85))
            g.dresidual = dresidual_on_dout ? dout : norm_output(c, &k, residual_dtype);
        if (weight && check_chance(c, 80)) g.dweight = norm_column_output(c, weight);
        if (scalar && check_chance(c, 80)) g.dscalar = norm_column_output(c, scalar);
        ref_residual_norm_vjp(norm_wide(c, g.dresidual), norm_wide(c, g.dx), norm_wide(c, g.dweight),
                              norm_wide(c, g.dscalar), residual, x, weight, scalar, dout, dsum, &k.options);
        check_status(c, smelt_residual_norm_vjp(g.dresidual, g.dx, g.dweight, g.dscalar, residual, x, weight,
                                                scalar, dout, dsum, &k.options, NULL));
        compare(c, &k, &g);
    }
}

void check_residual_norm_vjp(struct check *c)
{
    check_values(c, "", 100, 60, norm_case);
    check_values(c, "dsum alone", 0, 100, norm_case);
    check_values(c, "long rows", 100, 60, norm_long_case);
}
