/* SPDX-License-Identifier: Apache-2.0 */
/* layer_norm against its definition, and its roundings bit for bit. */
#include <stdlib.h>

#include "norm.h"

static void draw_columns(struct check *c, const struct norm_case *k, DLTensor **weight, DLTensor **bias,
                         enum smelt_dtype *dtype)
{
    *weight = check_chance(c, 65) ? norm_column(c, k, norm_dtype(c), false) : NULL;
    *bias = check_chance(c, 65) ? norm_column(c, k, norm_dtype(c), false) : NULL;
    *dtype = *weight ? smelt_promote(c->dtype, ref_dtype(*weight)) : c->dtype;
    if (*weight && *bias) *dtype = smelt_promote(*dtype, ref_dtype(*bias));
}

static void check_values(struct check *c, const char *variant, double offset, bool special,
                         void (*draw)(struct check *, struct norm_case *))
{
    if (!check_begin(c, variant)) return;
    while (check_case(c)) {
        struct norm_case k;
        DLTensor *weight, *bias;
        enum smelt_dtype dtype;
        draw(c, &k);
        k.options.round_once = 1;
        draw_columns(c, &k, &weight, &bias, &dtype);
        bool in_place = dtype == c->dtype && check_chance(c, 30);
        DLTensor *x = in_place ? norm_in_place(c, &k, dtype, k.size) : norm_input(c, &k, c->dtype, k.size);
        for (int64_t i = 0; offset != 0 && i < ref_count(x); i++)
            ref_store(x, i, (check_normal(c) + offset) * k.size);
        if (special) norm_special(c, &k, x);
        check_filled(c, x);
        DLTensor *out = in_place ? x : norm_output(c, &k, dtype);
        ref_layer_norm(check_wide(c, out), x, weight, bias, &k.options);
        check_status(c, smelt_layer_norm(out, x, weight, bias, &k.options, NULL));
        norm_close(c, out, 2);
    }
}

/* The roundings of the rule, on top of a float32 result without weight and bias. */
static float rounded(enum smelt_dtype dtype, float normal, float gain, double bias)
{
    float y = smelt_round_float(dtype, smelt_round_float(dtype, normal) * gain);
    return (float)((double)y + bias);
}

static void check_rounding(struct check *c)
{
    if (!check_begin(c, "roundings")) return;
    while (check_case(c)) {
        struct norm_case k;
        norm_case(c, &k);
        k.options.round_once = 0;
        DLTensor *x = norm_input(c, &k, c->dtype, k.size), *weight = norm_column(c, &k, c->dtype, false);
        DLTensor *bias = norm_column(c, &k, c->dtype, false), *out = norm_output(c, &k, c->dtype);
        DLTensor *wide = check_packed(c, SMELT_F32, k.rank, k.shape);
        int64_t count = ref_count(x);
        for (int64_t i = 0; i < count; i++) ref_store(wide, i, ref_load(x, i));
        check_in_place(c, wide);
        check_status(c, smelt_layer_norm(wide, wide, NULL, NULL, &k.options, NULL));
        check_status(c, smelt_layer_norm(out, x, weight, bias, &k.options, NULL));
        float *expected = malloc((size_t)(count + 1) * sizeof *expected);
        for (int64_t i = 0; i < count; i++) {
            float gain =
                smelt_round_float(c->dtype, (float)ref_load(weight, i % k.dim) + k.options.weight_offset);
            float normal = (float)ref_load(wide, i);
            double shift = ref_load(bias, i % k.dim);
            expected[i] = rounded(c->dtype, normal, gain, shift);
            /* The statistics of 16-bit rows are taken around another value: a tie may fall to either side. */
            for (float near = 1 - 1e-6f; near < 1.00001f; near += 2e-6f) {
                float other = rounded(c->dtype, normal * near, gain, shift);
                if (smelt_round_float(c->dtype, other) == (float)ref_load(out, i)) expected[i] = other;
            }
        }
        if (c->dtype != SMELT_F32) norm_equal(c, out, expected); /* float32 may fuse multiply and add */
        free(expected);
    }
}

void check_layer_norm(struct check *c)
{
    check_values(c, "", 0, false, norm_case);
    if (c->dtype == SMELT_F32) check_values(c, "far from 0", 3000, false, norm_case);
    check_values(c, "special values", 0, true, norm_case);
    check_values(c, "long rows", 0, false, norm_long_case);
    check_rounding(c);
}
