/* SPDX-License-Identifier: Apache-2.0 */
/* With v = residual + x, s = 1 / sqrt(mean(v^2) + eps), w = weight + offset, c = scalar, g = dout (0 where
 * absent): dresidual = dx = gradient of v s w c for g, plus dsum;   dweight = sum over rows of g c v s;
 * dscalar = sum of g v s w, over rows, and over the row too where the scalar has length 1 */
#include <stdlib.h>

#include "ref/norm.h"

void ref_residual_norm_vjp(DLTensor *dresidual, DLTensor *dx, DLTensor *dweight, DLTensor *dscalar,
                           const DLTensor *residual, const DLTensor *x, const DLTensor *weight,
                           const DLTensor *scalar, const DLTensor *dout, const DLTensor *dsum,
                           const smelt_norm_options *options)
{
    smelt_norm_options o = ref_norm_options(options);
    int64_t dim = ref_dim(x), rows = ref_rows(x);
    double *v = calloc((size_t)(5 * dim + 1), sizeof *v), *h = v + dim, *dv = h + dim;
    double *by_weight = dv + dim, *by_scalar = by_weight + dim;
    for (int64_t r = 0; r < rows; r++) {
        for (int64_t i = 0; i < dim; i++) v[i] = ref_load(residual, r * dim + i) + ref_load(x, r * dim + i);
        double s = ref_rms_scale(v, dim, (double)o.eps);
        for (int64_t i = 0; dout && i < dim; i++) {
            double g = ref_load(dout, r * dim + i), w = ref_gain(weight, i, o.weight_offset);
            double c = ref_column(scalar, i, 1);
            h[i] = g * c * w;
            by_weight[i] += g * c * v[i] * s;
            by_scalar[i] += g * v[i] * s * w;
        }
        if (dout) ref_rms_vjp(dv, v, h, s, dim);
        for (int64_t i = 0; i < dim; i++) {
            double gradient = (dout ? dv[i] : 0) + (dsum ? ref_load(dsum, r * dim + i) : 0);
            if (dx) ref_store(dx, r * dim + i, gradient);
            if (dresidual) ref_store(dresidual, r * dim + i, gradient);
        }
    }
    for (int64_t i = 0; dweight && i < dim; i++) ref_store(dweight, i, by_weight[i]);
    ref_store_scalar(dscalar, by_scalar, dim);
    free(v);
}
