/* SPDX-License-Identifier: Apache-2.0 */
/* out = (residual + rms(x) * (weight + offset)) * scalar */
#include <stdlib.h>

#include "ref/norm.h"

void ref_norm_add(DLTensor *out, const DLTensor *residual, const DLTensor *x, const DLTensor *weight,
                  const DLTensor *scalar, const smelt_norm_options *options)
{
    smelt_norm_options o = ref_norm_options(options);
    int64_t dim = ref_dim(x), rows = ref_rows(x);
    double *v = malloc((size_t)(dim + 1) * sizeof *v);
    for (int64_t r = 0; r < rows; r++) {
        for (int64_t i = 0; i < dim; i++) v[i] = ref_load(x, r * dim + i);
        double s = ref_rms_scale(v, dim, (double)o.eps);
        for (int64_t i = 0; i < dim; i++) {
            double y = ref_load(residual, r * dim + i) + v[i] * s * ref_gain(weight, i, o.weight_offset);
            ref_store(out, r * dim + i, y * ref_column(scalar, i, 1));
        }
    }
    free(v);
}
