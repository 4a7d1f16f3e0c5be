/* SPDX-License-Identifier: Apache-2.0 */
/* The gradient of rms_norm against its definition. */
#include "norm.h"

static void check_values(struct check *c, const char *variant,
                         void (*draw)(struct check *, struct norm_case *))
{
    if (!check_begin(c, variant)) return;
    while (check_case(c)) {
        struct norm_case k;
        draw(c, &k);
        DLTensor *weight = check_chance(c, 75) ? norm_column(c, &k, norm_dtype(c), false) : NULL;
        enum smelt_dtype dtype = weight ? smelt_promote(c->dtype, ref_dtype(weight)) : c->dtype;
        DLTensor *x = norm_input(c, &k, c->dtype, k.size), *dx = NULL, *dweight = NULL;
        bool in_place = dtype == c->dtype && check_chance(c, 30);
        DLTensor *dout = (in_place ? norm_in_place : norm_input)(c, &k, dtype, 1);
        if (in_place || check_chance(c, 85)) dx = in_place ? dout : norm_output(c, &k, c->dtype);
        if (weight && check_chance(c, 80)) dweight = norm_column_output(c, weight);
        ref_rms_norm_vjp(norm_wide(c, dx), norm_wide(c, dweight), x, weight, dout, &k.options);
        check_status(c, smelt_rms_norm_vjp(dx, dweight, x, weight, dout, &k.options, NULL));
        norm_close(c, dx, 5 / k.size);
        norm_close(c, dweight, 10);
    }
}

void check_rms_norm_vjp(struct check *c)
{
    check_values(c, "", norm_case);
    check_values(c, "long rows", norm_long_case);
}
