/* SPDX-License-Identifier: Apache-2.0 */
/* With c = x - mean(x), s = 1 / sqrt(mean(c^2) + eps), w = weight + offset, g = dout, h = g w:
 * dx = (h - mean(h)) s - c s^3 mean(h c);   dweight = sum over rows of g c s;   dbias = sum over rows of g */
#include <stdlib.h>

#include "ref/norm.h"

void ref_layer_norm_vjp(DLTensor *dx, DLTensor *dweight, DLTensor *dbias, const DLTensor *x,
                        const DLTensor *weight, const DLTensor *dout, const smelt_norm_options *options)
{
    smelt_norm_options o = ref_norm_options(options);
    int64_t dim = ref_dim(x), rows = ref_rows(x);
    double *v = calloc((size_t)(4 * dim + 1), sizeof *v), *h = v + dim, *sums = h + dim, *plain = sums + dim;
    for (int64_t r = 0; r < rows; r++) {
        for (int64_t i = 0; i < dim; i++) v[i] = ref_load(x, r * dim + i);
        double s = ref_layer_statistics(v, dim, (double)o.eps), mean = 0, product = 0;
        for (int64_t i = 0; i < dim; i++) {
            double g = ref_load(dout, r * dim + i);
            h[i] = g * ref_gain(weight, i, o.weight_offset);
            mean += h[i] / (double)dim, product += h[i] * v[i] / (double)dim;
            sums[i] += g * v[i] * s, plain[i] += g;
        }
        for (int64_t i = 0; dx && i < dim; i++)
            ref_store(dx, r * dim + i, (h[i] - mean) * s - v[i] * s * s * s * product);
    }
    for (int64_t i = 0; dweight && i < dim; i++) ref_store(dweight, i, sums[i]);
    for (int64_t i = 0; dbias && i < dim; i++) ref_store(dbias, i, plain[i]);
    free(v);
}
