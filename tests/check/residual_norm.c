/* SPDX-License-Identifier: Apache-2.0 */
/* residual_norm against its definition. */
#include "norm.h"

static void check_values(struct check *c, const char *variant, bool special,
                         void (*draw)(struct check *, struct norm_case *))
{
    if (!check_begin(c, variant)) return;
    while (check_case(c)) {
        struct norm_case k;
        draw(c, &k);
        enum smelt_dtype residual_dtype = norm_dtype(c), sum_dtype = smelt_promote(residual_dtype, c->dtype);
        DLTensor *weight = check_chance(c, 70) ? norm_column(c, &k, norm_dtype(c), false) : NULL;
        DLTensor *scalar =
            check_chance(c, 60) ? norm_column(c, &k, norm_dtype(c), check_chance(c, 50)) : NULL;
        enum smelt_dtype dtype = weight ? smelt_promote(sum_dtype, ref_dtype(weight)) : sum_dtype;
        if (scalar) dtype = smelt_promote(dtype, ref_dtype(scalar));
        bool with_sum = check_chance(c, 80), out_on_x = dtype == c->dtype && check_chance(c, 30);
        bool sum_on_residual = with_sum && sum_dtype == residual_dtype && check_chance(c, 30);
        bool sum_on_x =
            with_sum && !sum_on_residual && !out_on_x && sum_dtype == c->dtype && check_chance(c, 30);
        DLTensor *residual =
            (sum_on_residual ? norm_in_place : norm_input)(c, &k, residual_dtype, 0.5 * k.size);
        DLTensor *x = (out_on_x || sum_on_x ? norm_in_place : norm_input)(c, &k, c->dtype, k.size);
        if (special) norm_special(c, &k, x);
        DLTensor *out = out_on_x ? x : norm_output(c, &k, dtype), *sum = NULL;
        if (with_sum) sum = sum_on_residual ? residual : sum_on_x ? x : norm_output(c, &k, sum_dtype);
        ref_residual_norm(check_wide(c, out), norm_wide(c, sum), residual, x, weight, scalar, &k.options);
        check_status(c, smelt_residual_norm(out, sum, residual, x, weight, scalar, &k.options, NULL));
        norm_close(c, out, 1);
        if (sum) check_close(c, sum, 0, sum_dtype == SMELT_F32 ? 1e-7 : 0);
    }
}

void check_residual_norm(struct check *c)
{
    check_values(c, "", false, norm_case);
    check_values(c, "special values", true, norm_case);
    check_values(c, "long rows", false, norm_long_case);
}
