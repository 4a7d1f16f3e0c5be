/* SPDX-License-Identifier: Apache-2.0 */
/* sum = residual + x; out = rms(sum) * (weight + offset) * scalar, of the unrounded sum */
#include <stdlib.h>

#include "ref/norm.h"

void ref_residual_norm(DLTensor *out, DLTensor *sum, const DLTensor *residual, const DLTensor *x,
                       const DLTensor *weight, const DLTensor *scalar, const smelt_norm_options *options)
{
    smelt_norm_options o = ref_norm_options(options);
    int64_t dim = ref_dim(x), rows = ref_rows(x);
    double *v = malloc((size_t)(dim + 1) * sizeof *v);
    for (int64_t r = 0; r < rows; r++) {
        for (int64_t i = 0; i < dim; i++) {
            v[i] = ref_load(residual, r * dim + i) + ref_load(x, r * dim + i);
            if (sum) ref_store(sum, r * dim + i, v[i]);
        }
        double s = ref_rms_scale(v, dim, (double)o.eps);
        for (int64_t i = 0; i < dim; i++)
            ref_store(out, r * dim + i,
                      v[i] * s * ref_gain(weight, i, o.weight_offset) * ref_column(scalar, i, 1));
    }
    free(v);
}
