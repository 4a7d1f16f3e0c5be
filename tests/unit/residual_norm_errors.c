/* SPDX-License-Identifier: Apache-2.0 */
/* Wrong calls of residual_norm and of its gradient. */
#include "norm_errors.h"

static smelt_status forward(DLTensor **a, const smelt_norm_options *options, const smelt_stream *stream)
{
    return smelt_residual_norm(a[0], a[1], a[2], a[3], a[4], a[5], options, stream);
}
static smelt_status gradient(DLTensor **a, const smelt_norm_options *options, const smelt_stream *stream)
{
    return smelt_residual_norm_vjp(a[0], a[1], a[2], a[3], a[4], a[5], a[6], a[7], a[8], a[9], options,
                                   stream);
}
static const struct norm_function functions[] = {
    {"residual_norm: ",
     6,
     {{"out", NORM_ROWS, 1, 0},
      {"sum", NORM_ROWS, 1, 1},
      {"residual", NORM_ROWS, 0, 0},
      {"x", NORM_ROWS, 0, 0},
      {"weight", NORM_COLUMN, 0, 1},
      {"scalar", NORM_SCALAR, 0, 1}},
     forward},
    {"residual_norm_vjp: ",
     10,
     {{"dresidual", NORM_ROWS, 1, 1},
      {"dx", NORM_ROWS, 1, 1},
      {"dweight", NORM_COLUMN, 1, 1},
      {"dscalar", NORM_SCALAR, 1, 1},
      {"residual", NORM_ROWS, 0, 0},
      {"x", NORM_ROWS, 0, 0},
      {"weight", NORM_COLUMN, 0, 1},
      {"scalar", NORM_SCALAR, 0, 1},
      {"dout", NORM_ROWS, 0, 1},
      {"dsum", NORM_ROWS, 0, 1}},
     gradient},
};

/* Which tensors may be one, and at least one cotangent. */
static void special(void)
{
    DLTensor *x = unit_tensor(SMELT_F32, 2, 4, 8), *half = unit_tensor(SMELT_F16, 2, 4, 8);
    DLTensor *out = unit_output(SMELT_F32, 2, 4, 8), *column = unit_tensor(SMELT_F32, 1, 8);
    DLTensor *residual = unit_output(SMELT_F32, 2, 4, 8), *one = unit_tensor(SMELT_F32, 1, 1);
    const struct norm_function *f = &functions[0], *g = &functions[1];
    NORM_INVALID(f, smelt_residual_norm(residual, NULL, residual, x, NULL, NULL, NULL, NULL), "out",
                 "residual");
    NORM_INVALID(f, smelt_residual_norm(x, x, residual, x, NULL, NULL, NULL, NULL), "out", "sum");
    NORM_INVALID(
        f, smelt_residual_norm(out, unit_output(SMELT_F32, 2, 4, 8), half, half, column, NULL, NULL, NULL),
        "sum", "float16", "float32");
    NORM_INVALID(g, smelt_residual_norm_vjp(NULL, out, NULL, NULL, x, x, column, one, NULL, NULL, NULL, NULL),
                 "dout", "dsum", "NULL");
    NORM_INVALID(g, smelt_residual_norm_vjp(NULL, out, NULL, NULL, x, x, column, one, NULL, out, NULL, NULL),
                 "dx", "dsum");
    UNIT_OK(smelt_residual_norm_vjp(NULL, NULL, NULL, NULL, x, x, column, one, x, NULL, NULL, NULL));
    UNIT_OK(smelt_residual_norm(x, residual, residual, x, NULL, NULL, NULL, NULL));
}

int main(void)
{
    for (int i = 0; i < 2; i++) norm_errors(&functions[i]);
    special();
    for (int i = 0; i < 2; i++) norm_legal(&functions[i]);
    return unit_end();
}
