/* SPDX-License-Identifier: Apache-2.0 */
/* The gradient of layer_norm against its definition. */
#include "norm.h"

static void check_values(struct check *c, const char *variant,
                         void (*draw)(struct check *, struct norm_case *))
{
    if (!check_begin(c, variant)) return;
    while (check_case(c)) {
        struct norm_case k;
        draw(c, &k);
        DLTensor *weight = check_chance(c, 70) ? norm_column(c, &k, norm_dtype(c), false) : NULL;
        DLTensor *bias = check_chance(c, 70) ? norm_column(c, &k, norm_dtype(c), false) : NULL;
        enum smelt_dtype dtype = weight ? smelt_promote(c->dtype, ref_dtype(weight)) : c->dtype;
        if (weight && bias) dtype = smelt_promote(dtype, ref_dtype(bias));
        DLTensor *x = norm_input(c, &k, c->dtype, k.size), *dx = NULL, *dweight = NULL, *dbias = NULL;
        bool in_place = dtype == c->dtype && check_chance(c, 30);
        DLTensor *dout = (in_place ? norm_in_place : norm_input)(c, &k, dtype, 1);
        if (in_place || check_chance(c, 85)) dx = in_place ? dout : norm_output(c, &k, c->dtype);
        if (weight && check_chance(c, 80)) dweight = norm_column_output(c, weight);
        if (bias && check_chance(c, 90)) dbias = norm_column_output(c, bias);
        ref_layer_norm_vjp(norm_wide(c, dx), norm_wide(c, dweight), norm_wide(c, dbias), x, weight, dout,
                           &k.options);
        check_status(c, smelt_layer_norm_vjp(dx, dweight, dbias, x, weight, dout, &k.options, NULL));
        norm_close(c, dx, k.dim < 16 ? 100 / k.size : 10 / k.size); /* short rows may vary little */
        norm_close(c, dweight, 20);
        norm_close(c, dbias, 10);
    }
}

void check_layer_norm_vjp(struct check *c)
{
    check_values(c, "", norm_case);
    check_values(c, "long rows", norm_long_case);
}
