/* SPDX-License-Identifier: Apache-2.0 */
/* glu against its definition: tolerances of the specification, section 6. */
#include "check.h"

static double tolerance(enum smelt_dtype dtype)
{
    return dtype == SMELT_F32 ? 1e-5 : dtype == SMELT_F16 ? 1e-3 : 8e-3;
}

static void check_forward(struct check *c, smelt_activation activation, const char *variant)
{
    if (!check_begin(c, variant)) return;
    while (check_case(c)) {
        int rank = (int)check_range(c, 0, 4);
        int64_t shape[CHECK_RANK];
        check_shape(c, rank, check_length(c, 3000), 40, shape);
        DLTensor *gate = check_input(c, c->dtype, rank, shape), *up = check_input(c, c->dtype, rank, shape);
        for (int64_t i = 0; i < ref_count(gate); i++) /* far into both tails */
            ref_store(gate, i, check_normal(c) * (check_chance(c, 10) ? 60 : 2));
        check_filled(c, gate);
        DLTensor *out = check_output(c, c->dtype, rank, shape);
        ref_glu(check_wide(c, out), gate, up, activation);
        check_status(c, smelt_glu(out, gate, up, activation, NULL));
        check_close(c, out, tolerance(c->dtype), tolerance(c->dtype));
    }
}

void check_glu(struct check *c) { check_forward(c, SMELT_SILU, "silu"); }
