/* SPDX-License-Identifier: Apache-2.0 */
/* out = (x - mean(x)) / sqrt(variance(x) + eps) * (weight + offset) + bias, over the last axis */
#include <stdlib.h>

#include "ref/norm.h"

static enum smelt_dtype output_dtype(const DLTensor *x, const DLTensor *weight, const DLTensor *bias)
{
    enum smelt_dtype dtype = ref_dtype(x);
    if (!weight) return dtype; /* and the bias is rounded to it */
    dtype = smelt_promote(dtype, ref_dtype(weight));
    return bias ? smelt_promote(dtype, ref_dtype(bias)) : dtype;
}

double ref_layer_statistics(double *v, int64_t n, double eps)
{
    double mean = 0, rest = 0, squares = 0;
    for (int64_t i = 0; i < n; i++) mean += v[i] / (double)n;
    for (int64_t i = 0; i < n; i++) rest += v[i] - mean; /* what rounding took from the mean */
    mean += rest / (double)n;
    for (int64_t i = 0; i < n; i++) v[i] -= mean, squares += v[i] * v[i];
    return 1 / sqrt(squares / (double)n + eps);
}

void ref_layer_norm(DLTensor *out, const DLTensor *x, const DLTensor *weight, const DLTensor *bias,
                    const smelt_norm_options *options)
{
    smelt_norm_options o = ref_norm_options(options);
    enum smelt_dtype dtype = output_dtype(x, weight, bias), rounding = o.round_once ? SMELT_F64 : dtype;
    int64_t dim = ref_dim(x), rows = ref_rows(x);
    double *v = malloc((size_t)(dim + 1) * sizeof *v);
    for (int64_t r = 0; r < rows; r++) {
        for (int64_t i = 0; i < dim; i++) v[i] = ref_load(x, r * dim + i);
        double s = ref_layer_statistics(v, dim, (double)o.eps);
        for (int64_t i = 0; i < dim; i++) {
            double gain = ref_round(rounding, ref_gain(weight, i, o.weight_offset));
            double y = ref_round(rounding, v[i] * s);
            if (weight) y = ref_round(rounding, y * gain);
            if (bias) y += ref_round(dtype, ref_load(bias, i));
            ref_store(out, r * dim + i, y);
        }
    }
    free(v);
}
