/* SPDX-License-Identifier: Apache-2.0 */
/* glu against its definition: tolerances of the specification, section 6. */
#include <math.h>

#include "check.h"

static double tolerance(enum smelt_dtype dtype)
{
    return dtype == SMELT_F32 ? 1e-5 : dtype == SMELT_F16 ? 1e-3 : 8e-3;
}

static int random_shape(struct check *c, int64_t *shape)
{
    int rank = (int)check_range(c, 0, 4);
    check_shape(c, rank, check_length(c, 3000), 40, shape);
    if (rank > 0 && check_chance(c, 4)) shape[check_range(c, 0, rank - 1)] = 0;
    return rank;
}

/* Far into both tails, and now and then what is no number. */
static DLTensor *random_gate(struct check *c, int rank, const int64_t *shape)
{
    static const double special[] = {INFINITY, -INFINITY, NAN,   -0.0, 3.4e38,
                                     -3.4e38,  1e-40,     -88.5, 88.5, -13.9};
    DLTensor *gate = check_input(c, c->dtype, rank, shape);
    bool wild = check_chance(c, 40);
    for (int64_t i = 0; i < ref_count(gate); i++)
        ref_store(gate, i,
                  wild && check_chance(c, 5) ? special[check_range(c, 0, 9)]
                                             : check_normal(c) * (check_chance(c, 10) ? 60 : 2));
    check_filled(c, gate);
    return gate;
}

static void check_forward(struct check *c, smelt_activation activation, const char *variant)
{
    if (!check_begin(c, variant)) return;
    while (check_case(c)) {
        int64_t shape[CHECK_RANK];
        int rank = random_shape(c, shape), alias = (int)check_range(c, 0, 5);
        DLTensor *gate = random_gate(c, rank, shape), *up = check_input(c, c->dtype, rank, shape), *out;
        DLTensor *exact = check_output(c, c->dtype, rank, shape);
        ref_glu(check_wide(c, exact), gate, up, activation);
        if (alias < 2 && c->plain) { /* in place; row-major, as an input may be a broadcast */
            out = alias ? gate : up;
            check_in_place(c, out);
            ref_glu(check_wide(c, out), gate, up, activation);
        } else {
            out = exact;
        }
        check_status(c, smelt_glu(out, gate, up, activation, NULL));
        check_close(c, out, tolerance(c->dtype), tolerance(c->dtype));
    }
}

void check_glu(struct check *c)
{
    check_forward(c, SMELT_SILU, "silu");
    check_forward(c, SMELT_GELU, "gelu");
    check_forward(c, SMELT_GELU_TANH, "gelu_tanh");
}

static void check_gradient(struct check *c, smelt_activation activation, const char *variant)
{
    if (!check_begin(c, variant)) return;
    while (check_case(c)) {
        int64_t shape[CHECK_RANK];
        int rank = random_shape(c, shape), wanted = (int)check_range(c, 1, 3);
        DLTensor *gate = random_gate(c, rank, shape), *up = check_input(c, c->dtype, rank, shape);
        DLTensor *dout = check_input(c, c->dtype, rank, shape);
        DLTensor *dgate = wanted & 1 ? check_output(c, c->dtype, rank, shape) : NULL;
        DLTensor *dup = wanted & 2 ? check_output(c, c->dtype, rank, shape) : NULL;
        ref_glu_vjp(dgate ? check_wide(c, dgate) : NULL, dup ? check_wide(c, dup) : NULL, gate, up, dout,
                    activation);
        check_status(c, smelt_glu_vjp(dgate, dup, gate, up, dout, activation, NULL));
        if (dgate) check_close(c, dgate, tolerance(c->dtype), tolerance(c->dtype));
        if (dup) check_close(c, dup, tolerance(c->dtype), tolerance(c->dtype));
    }
}

void check_glu_vjp(struct check *c)
{
    check_gradient(c, SMELT_SILU, "silu");
    check_gradient(c, SMELT_GELU, "gelu");
    check_gradient(c, SMELT_GELU_TANH, "gelu_tanh");
}
