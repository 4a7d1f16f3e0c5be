/* SPDX-License-Identifier: Apache-2.0 */
/* With s = 1 / sqrt(mean(x^2) + eps), w = weight + offset, g = dout:
 * dx = g w s - x s^3 mean(g w x);   dweight = sum over rows of g x s */
#include <stdlib.h>

#include "ref/norm.h"

void ref_rms_norm_vjp(DLTensor *dx, DLTensor *dweight, const DLTensor *x, const DLTensor *weight,
                      const DLTensor *dout, const smelt_norm_options *options)
{
    smelt_norm_options o = ref_norm_options(options);
    int64_t dim = ref_dim(x), rows = ref_rows(x);
    double *v = calloc((size_t)(4 * dim + 1), sizeof *v), *h = v + dim, *dv = h + dim, *sums = dv + dim;
    for (int64_t r = 0; r < rows; r++) {
        for (int64_t i = 0; i < dim; i++) v[i] = ref_load(x, r * dim + i);
        double s = ref_rms_scale(v, dim, (double)o.eps);
        for (int64_t i = 0; i < dim; i++) {
            double g = ref_load(dout, r * dim + i);
            h[i] = g * ref_gain(weight, i, o.weight_offset);
            sums[i] += g * v[i] * s;
        }
        ref_rms_vjp(dv, v, h, s, dim);
        for (int64_t i = 0; dx && i < dim; i++) ref_store(dx, r * dim + i, dv[i]);
    }
    for (int64_t i = 0; dweight && i < dim; i++) ref_store(dweight, i, sums[i]);
    free(v);
}
