/* SPDX-License-Identifier: Apache-2.0 */
/* norm_add against its definition. */
#include "norm.h"

static void check_values(struct check *c, const char *variant, bool special,
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
        bool on_residual = dtype == residual_dtype && check_chance(c, 25);
        bool on_x = !on_residual && dtype == c->dtype && check_chance(c, 25);
        DLTensor *residual = (on_residual ? norm_in_place : norm_input)(c, &k, residual_dtype, 1);
        DLTensor *x = (on_x ? norm_in_place : norm_input)(c, &k, c->dtype, k.size);
        if (special) norm_special(c, &k, x);
        DLTensor *out = on_residual ? residual : on_x ? x : norm_output(c, &k, dtype);
        ref_norm_add(check_wide(c, out), residual, x, weight, scalar, &k.options);
        check_status(c, smelt_norm_add(out, residual, x, weight, scalar, &k.options, NULL));
        norm_close(c, out, 3);
    }
}

void check_norm_add(struct check *c)
{
    check_values(c, "", false, norm_case);
    check_values(c, "special values", true, norm_case);
    check_values(c, "long rows", false, norm_long_case);
}
