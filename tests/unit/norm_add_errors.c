/* SPDX-License-Identifier: Apache-2.0 */
/* Wrong calls of norm_add and of its gradient. */
#include "norm_errors.h"

static smelt_status forward(DLTensor **a, const smelt_norm_options *options, const smelt_stream *stream)
{
    return smelt_norm_add(a[0], a[1], a[2], a[3], a[4], options, stream);
}
static smelt_status gradient(DLTensor **a, const smelt_norm_options *options, const smelt_stream *stream)
{
    return smelt_norm_add_vjp(a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7], a[8], options, stream);
}
static const struct norm_function functions[] = {
    {"norm_add: ",
     5,
     {{"out", NORM_ROWS, 1, 0},
      {"residual", NORM_ROWS, 0, 0},
      {"x", NORM_ROWS, 0, 0},
      {"weight", NORM_COLUMN, 0, 1},
      {"scalar", NORM_SCALAR, 0, 1}},
     forward},
    {"norm_add_vjp: ",
     9,
     {{"dresidual", NORM_ROWS, 1, 1},
      {"dx", NORM_ROWS, 1, 1},
      {"dweight", NORM_COLUMN, 1, 1},
      {"dscalar", NORM_SCALAR, 1, 1},
      {"residual", NORM_ROWS, 0, 0},
      {"x", NORM_ROWS, 0, 0},
      {"weight", NORM_COLUMN, 0, 1},
      {"scalar", NORM_SCALAR, 0, 1},
      {"dout", NORM_ROWS, 0, 0}},
     gradient},
};

/* Promotion of all inputs, and gradients of nothing. */
static void special(void)
{
    DLTensor *x = unit_tensor(SMELT_F32, 2, 4, 8), *half = unit_tensor(SMELT_F16, 2, 4, 8);
    DLTensor *out = unit_output(SMELT_F32, 2, 4, 8), *column = unit_tensor(SMELT_F32, 1, 8);
    DLTensor *half_out = unit_output(SMELT_F16, 2, 4, 8), *one = unit_tensor(SMELT_F32, 1, 1);
    const struct norm_function *f = &functions[0], *g = &functions[1];
    NORM_INVALID(f, smelt_norm_add(half_out, half, half, NULL, one, NULL, NULL), "out", "float32", "float16");
    NORM_INVALID(f, smelt_norm_add(half_out, half, x, NULL, NULL, NULL, NULL), "out", "float32", "float16");
    NORM_INVALID(f, smelt_norm_add(out, x, x, NULL, unit_tensor(SMELT_F32, 1, 2), NULL, NULL), "scalar",
                 "1 or 8", "2");
    NORM_INVALID(
        g,
        smelt_norm_add_vjp(NULL, NULL, NULL, unit_output(SMELT_F32, 1, 1), x, x, column, NULL, x, NULL, NULL),
        "dscalar", "scalar is NULL");
    NORM_INVALID(
        g,
        smelt_norm_add_vjp(NULL, NULL, NULL, unit_output(SMELT_F32, 1, 8), x, x, column, one, x, NULL, NULL),
        "dscalar", "(1,)", "(8,)");
    NORM_INVALID(g, smelt_norm_add_vjp(x, x, NULL, NULL, column, x, column, one, x, NULL, NULL), "residual");
    UNIT_OK(smelt_norm_add_vjp(NULL, NULL, NULL, NULL, x, x, column, one, x, NULL, NULL));
}

int main(void)
{
    for (int i = 0; i < 2; i++) norm_errors(&functions[i]);
    special();
    for (int i = 0; i < 2; i++) norm_legal(&functions[i]);
    return unit_end();
}
