/* SPDX-License-Identifier: Apache-2.0 */
/* Wrong calls of rms_norm and of its gradient. */
#include "norm_errors.h"

static smelt_status forward(DLTensor **a, const smelt_norm_options *options, const smelt_stream *stream)
{
    return smelt_rms_norm(a[0], a[1], a[2], options, stream);
}
static smelt_status gradient(DLTensor **a, const smelt_norm_options *options, const smelt_stream *stream)
{
    return smelt_rms_norm_vjp(a[0], a[1], a[2], a[3], a[4], options, stream);
}
static const struct norm_function functions[] = {
    {"rms_norm: ",
     3,
     {{"out", NORM_ROWS, 1, 0}, {"x", NORM_ROWS, 0, 0}, {"weight", NORM_COLUMN, 0, 1}},
     forward},
    {"rms_norm_vjp: ",
     5,
     {{"dx", NORM_ROWS, 1, 1},
      {"dweight", NORM_COLUMN, 1, 1},
      {"x", NORM_ROWS, 0, 0},
      {"weight", NORM_COLUMN, 0, 1},
      {"dout", NORM_ROWS, 0, 0}},
     gradient},
};

/* Promotion, and a gradient of nothing. */
static void special(void)
{
    DLTensor *x = unit_tensor(SMELT_F32, 2, 4, 8), *half = unit_tensor(SMELT_F16, 2, 4, 8);
    DLTensor *out = unit_output(SMELT_F32, 2, 4, 8), *column = unit_tensor(SMELT_F32, 1, 8);
    DLTensor *half_out = unit_output(SMELT_F16, 2, 4, 8), *bfloat = unit_tensor(SMELT_BF16, 1, 8);
    const struct norm_function *f = &functions[0], *g = &functions[1];
    NORM_INVALID(f, smelt_rms_norm(half_out, half, column, NULL, NULL), "out", "float32", "float16");
    NORM_INVALID(f, smelt_rms_norm(half_out, half, bfloat, NULL, NULL), "out", "float32", "float16");
    NORM_INVALID(f, smelt_rms_norm(out, half, NULL, NULL, NULL), "out", "float16", "float32");
    NORM_INVALID(g, smelt_rms_norm_vjp(NULL, unit_output(SMELT_F32, 1, 8), x, NULL, x, NULL, NULL), "dweight",
                 "weight is NULL");
    UNIT_OK(smelt_rms_norm_vjp(NULL, NULL, x, column, x, NULL, NULL));
}

int main(void)
{
    for (int i = 0; i < 2; i++) norm_errors(&functions[i]);
    special();
    for (int i = 0; i < 2; i++) norm_legal(&functions[i]);
    return unit_end();
}
