/* SPDX-License-Identifier: Apache-2.0 */
/* Attention over the union of chunks, from the output and logsumexp of each: the mean of the outputs,
 * weighted by exp(lse). A chunk of weight 0 counts for nothing, whatever its output holds. */
#include <math.h>

#include "ref/ref.h"

void ref_sdpa_merge(DLTensor *out, DLTensor *lse, const DLTensor *outs, const DLTensor *lses)
{
    int64_t chunks = outs->shape[0], dim = outs->shape[4];
    int64_t rows = outs->shape[1] * outs->shape[2] * outs->shape[3];
    for (int64_t row = 0; row < rows; row++) {
        double largest = -INFINITY, total = 0;
        for (int64_t c = 0; c < chunks; c++) {
            double l = ref_load(lses, c * rows + row);
            if (l > largest || isnan(l)) largest = l;
            if (isnan(l)) break;
        }
        for (int64_t c = 0; c < chunks; c++)
            total += largest == -INFINITY ? 0 : exp(ref_load(lses, c * rows + row) - largest);
        for (int64_t i = 0; i < dim; i++) {
            double sum = 0;
            for (int64_t c = 0; c < chunks && total != 0; c++) {
                /* rounded: a weight below the smallest float32 is 0 */
                double weight = (float)exp(ref_load(lses, c * rows + row) - largest);
                if (weight != 0) sum += weight * ref_load(outs, (c * rows + row) * dim + i);
            }
            ref_store(out, row * dim + i, total != 0 ? sum / total : 0);
        }
        if (lse) ref_store(lse, row, total != 0 ? largest + log(total) : -INFINITY);
    }
}
