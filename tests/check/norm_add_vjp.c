/* SPDX-License-Identifier: Apache-2.0 */
/* The gradient of norm_add against its definition. */
#include "norm.h"

static void check_values(struct check *c, const char *variant,
                         void (*draw)(struct check *, struct norm_case *))
{
    if (!check_begin(c, variant)) return;
    while (check_case(c)) {
        struct norm_case k;
        draw(c, &k);
        enum smelt_dtype residual_dtype = norm_dtype(c), dtype = smelt_promote(residual_dtype, c->dtype);
        DLTensor *weight = check_chance(c, 70) ? norm_column(c, &k, norm_dtype(c), false) : NULL;
        DLTensor *scalar =
            check_chance(c, 60) ? norm_column(c, &k, norm_dtype(c), check_chance(c, 50)) : NULL;
        if (weight) dtype = smelt_promote(dtype, ref_dtype(weight));
        if (scalar) dtype = smelt_promote(dtype, ref_dtype(scalar));
        bool dx_on_dout = dtype == c->dtype && check_chance(c, 20);
        bool dresidual_on_dout = !dx_on_dout && dtype == residual_dtype && check_chance(c, 20);
        DLTensor *residual = norm_input(c, &k, residual_dtype, 1), *x = norm_input(c, &k, c->dtype, k.size);
        DLTensor *dout = (dx_on_dout || dresidual_on_dout ? norm_in_place : norm_input)(c, &k, dtype, 1);
        DLTensor *dx = NULL, *dresidual = NULL, *dweight = NULL, *dscalar = NULL;
        if (dx_on_dout || check_chance(c, 85)) dx = dx_on_dout ? dout : norm_output(c, &k, c->dtype);
        if (dresidual_on_dout || check_chance(c, 85))
            dresidual = dresidual_on_dout ? dout : norm_output(c, &k, residual_dtype);
        if (weight && check_chance(c, 80)) dweight = norm_column_output(c, weight);
        if (scalar && check_chance(c, 80)) dscalar = norm_column_output(c, scalar);
        ref_norm_add_vjp(norm_wide(c, dresidual), norm_wide(c, dx), norm_wide(c, dweight),
                         norm_wide(c, dscalar), residual, x, weight, scalar, dout, &k.options);
        check_status(c, smelt_norm_add_vjp(dresidual, dx, dweight, dscalar, residual, x, weight, scalar, dout,
                                           &k.options, NULL));
        norm_close(c, dresidual, 1);
        norm_close(c, dx, 20 / k.size);
        norm_close(c, dweight, 20);
        norm_close(c, dscalar, scalar && scalar->shape[0] == 1 ? 1000 : 20);
    }
}

void check_norm_add_vjp(struct check *c)
{
    check_values(c, "", norm_case);
    check_values(c, "long rows", norm_long_case);
}
