/* SPDX-License-Identifier: Apache-2.0 */
/* rms_norm against its definition, and its roundings bit for bit. */
#include <stdlib.h>

#include "norm.h"

static void check_values(struct check *c, const char *variant, bool once, bool special,
                         void (*draw)(struct check *, struct norm_case *))
{
    if (!check_begin(c, variant)) return;
    while (check_case(c)) {
        struct norm_case k;
        draw(c, &k);
        k.options.round_once = once;
        DLTensor *weight = check_chance(c, 75) ? norm_column(c, &k, norm_dtype(c), false) : NULL;
        enum smelt_dtype dtype = weight ? smelt_promote(c->dtype, ref_dtype(weight)) : c->dtype;
        bool in_place = dtype == c->dtype && check_chance(c, 30);
        DLTensor *x = in_place ? norm_in_place(c, &k, dtype, k.size) : norm_input(c, &k, c->dtype, k.size);
        if (special) norm_special(c, &k, x);
        DLTensor *out = in_place ? x : norm_output(c, &k, dtype);
        bool defaults = check_chance(c, 20) && !once;
        ref_rms_norm(check_wide(c, out), x, weight, defaults ? NULL : &k.options);
        check_status(c, smelt_rms_norm(out, x, weight, defaults ? NULL : &k.options, NULL));
        if (once)
            norm_close(c, out, 1);
        else /* the first rounding may fall on the other side: up to one unit, and the second one */
            check_close(c, out, dtype == SMELT_F32 ? 4e-6 : 1e-6,
                        dtype == SMELT_F32   ? 2e-6
                        : dtype == SMELT_F16 ? 2e-3
                                             : 1.3e-2);
    }
}

/* The roundings of the rule, on top of float32 results without a weight. */
static void check_rounding(struct check *c)
{
    if (!check_begin(c, "roundings")) return;
    while (check_case(c)) {
        struct norm_case k;
        norm_case(c, &k);
        DLTensor *x = norm_input(c, &k, c->dtype, k.size), *weight = norm_column(c, &k, c->dtype, false);
        DLTensor *wide = check_packed(c, SMELT_F32, k.rank, k.shape), *out = norm_output(c, &k, c->dtype);
        int64_t count = ref_count(x);
        for (int64_t i = 0; i < count; i++) ref_store(wide, i, ref_load(x, i));
        check_in_place(c, wide);
        check_status(c, smelt_rms_norm(wide, wide, NULL, &k.options, NULL));
        check_status(c, smelt_rms_norm(out, x, weight, &k.options, NULL));
        enum smelt_dtype rounding = k.options.round_once ? SMELT_F32 : c->dtype;
        float *expected = malloc((size_t)(count + 1) * sizeof *expected);
        for (int64_t i = 0; i < count; i++) {
            float gain =
                smelt_round_float(rounding, (float)ref_load(weight, i % k.dim) + k.options.weight_offset);
            expected[i] = smelt_round_float(rounding, (float)ref_load(wide, i)) * gain;
        }
        norm_equal(c, out, expected);
        free(expected);
    }
}

void check_rms_norm(struct check *c)
{
    check_values(c, "", false, false, norm_case);
    check_values(c, "round once", true, false, norm_case);
    check_values(c, "special values", true, true, norm_case);
    check_values(c, "long rows", true, false, norm_long_case);
    check_rounding(c);
}
