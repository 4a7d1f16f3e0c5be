/* SPDX-License-Identifier: Apache-2.0 */
/* sdpa_merge against its definition. Chunks that saw no key hold NaN, which must not come through. */
#include <math.h>

#include "check.h"

static void fill(struct check *c, DLTensor *outs, DLTensor *lses)
{
    int64_t dim = outs->shape[4], rows = ref_count(lses);
    for (int64_t row = 0; row < rows; row++) {
        bool seen = !check_chance(c, 25);
        ref_store(lses, row, seen ? check_normal(c) * (check_chance(c, 20) ? 100 : 3) : -INFINITY);
        for (int64_t i = 0; !seen && i < dim; i++)
            ref_store(outs, row * dim + i, check_chance(c, 50) ? NAN : INFINITY);
    }
    check_filled(c, outs);
    check_filled(c, lses);
}

void check_sdpa_merge(struct check *c)
{
    double tolerance = c->dtype == SMELT_F32 ? 2e-6 : c->dtype == SMELT_F16 ? 1e-3 : 8e-3;
    if (!check_begin(c, "")) return;
    while (check_case(c)) {
        int64_t shape[5] = {check_range(c, 0, 9), check_range(c, 1, 3), check_range(c, 1, 4),
                            check_range(c, 1, 6), check_chance(c, 30) ? 128 : check_range(c, 1, 150)};
        if (check_chance(c, 5)) shape[0] = check_range(c, 10, 70);
        if (check_chance(c, 6)) shape[check_range(c, 1, 4)] = 0;
        /* an input may be a broadcast: the same element would then be both NaN and not */
        bool plain = c->plain;
        c->plain = true;
        DLTensor *packed[2] = {check_packed(c, c->dtype, 5, shape), check_packed(c, SMELT_F32, 4, shape)};
        c->plain = plain;
        DLTensor *outs = packed[0], *lses = packed[1];
        if (!plain && check_chance(c, 50)) { /* layouts at random, without chunks that saw nothing */
            outs = check_input(c, c->dtype, 5, shape), lses = check_input(c, SMELT_F32, 4, shape);
        } else {
            fill(c, outs, lses);
        }
        DLTensor *out = check_output(c, c->dtype, 4, shape + 1);
        DLTensor *lse = check_chance(c, 70) ? check_output(c, SMELT_F32, 3, shape + 1) : NULL;
        ref_sdpa_merge(check_wide(c, out), lse ? check_wide(c, lse) : NULL, outs, lses);
        check_status(c, smelt_sdpa_merge(out, lse, outs, lses, NULL));
        check_close(c, out, tolerance, tolerance);
        if (lse) check_close(c, lse, 1e-6, 1e-6);
    }
}
