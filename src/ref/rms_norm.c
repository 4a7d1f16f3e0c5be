/* SPDX-License-Identifier: Apache-2.0 */
/* out = x / sqrt(mean(x^2) + eps) * (weight + offset), over the last axis */
#include <stdlib.h>

#include "ref/norm.h"

void ref_rms_norm(DLTensor *out, const DLTensor *x, const DLTensor *weight, const smelt_norm_options *options)
{
    smelt_norm_options o = ref_norm_options(options);
    enum smelt_dtype dtype = weight ? smelt_promote(ref_dtype(x), ref_dtype(weight)) : ref_dtype(x);
    enum smelt_dtype rounding = o.round_once ? SMELT_F64 : dtype;
    int64_t dim = ref_dim(x), rows = ref_rows(x);
    double *v = malloc((size_t)(dim + 1) * sizeof *v);
    for (int64_t r = 0; r < rows; r++) {
        for (int64_t i = 0; i < dim; i++) v[i] = ref_load(x, r * dim + i);
        double s = ref_rms_scale(v, dim, (double)o.eps);
        for (int64_t i = 0; i < dim; i++) {
            double gain = ref_round(rounding, ref_gain(weight, i, o.weight_offset));
            ref_store(out, r * dim + i, ref_round(rounding, v[i] * s) * gain);
        }
    }
    free(v);
}
