/* SPDX-License-Identifier: Apache-2.0 */
/* Wrong calls of layer_norm and of its gradient. */
#include "norm_errors.h"

static smelt_status forward(DLTensor **a, const smelt_norm_options *options, const smelt_stream *stream)
{
    return smelt_layer_norm(a[0], a[1], a[2], a[3], options, stream);
}
static smelt_status gradient(DLTensor **a, const smelt_norm_options *options, const smelt_stream *stream)
{
    return smelt_layer_norm_vjp(a[0], a[1], a[2], a[3], a[4], a[5], options, stream);
}
static const struct norm_function functions[] = {
    {"layer_norm: ",
     4,
     {{"out", NORM_ROWS, 1, 0},
      {"x", NORM_ROWS, 0, 0},
      {"weight", NORM_COLUMN, 0, 1},
      {"bias", NORM_COLUMN, 0, 1}},
     forward},
    {"layer_norm_vjp: ",
     6,
     {{"dx", NORM_ROWS, 1, 1},
      {"dweight", NORM_COLUMN, 1, 1},
      {"dbias", NORM_COLUMN, 1, 1},
      {"x", NORM_ROWS, 0, 0},
      {"weight", NORM_COLUMN, 0, 1},
      {"dout", NORM_ROWS, 0, 0}},
     gradient},
};

/* The dtype rule: a bias promotes only beside a weight. */
static void special(void)
{
    DLTensor *x = unit_tensor(SMELT_F32, 2, 4, 8), *half = unit_tensor(SMELT_F16, 2, 4, 8);
    DLTensor *out = unit_output(SMELT_F32, 2, 4, 8), *column = unit_tensor(SMELT_F32, 1, 8);
    DLTensor *half_out = unit_output(SMELT_F16, 2, 4, 8), *half_column = unit_tensor(SMELT_F16, 1, 8);
    const struct norm_function *f = &functions[0], *g = &functions[1];
    NORM_INVALID(f, smelt_layer_norm(out, half, NULL, column, NULL, NULL), "out", "float16", "float32");
    NORM_INVALID(f, smelt_layer_norm(half_out, half, half_column, column, NULL, NULL), "out", "float32");
    NORM_INVALID(g, smelt_layer_norm_vjp(out, NULL, NULL, x, half_column, half, NULL, NULL), "dout",
                 "float32");
    NORM_INVALID(g,
                 smelt_layer_norm_vjp(half_out, NULL, unit_output(SMELT_F32, 1, 8), half, half_column, half,
                                      NULL, NULL),
                 "dout", "float32", "float16");
    UNIT_OK(smelt_layer_norm_vjp(NULL, NULL, NULL, x, column, x, NULL, NULL));
    UNIT_OK(smelt_layer_norm(half_out, half, NULL, column, NULL, NULL));
}

int main(void)
{
    for (int i = 0; i < 2; i++) norm_errors(&functions[i]);
    special();
    for (int i = 0; i < 2; i++) norm_legal(&functions[i]);
    return unit_end();
}
