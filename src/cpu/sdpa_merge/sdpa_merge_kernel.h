/* SPDX-License-Identifier: Apache-2.0 */
/* The kernels of sdpa_merge. */
#ifndef SMELT_CPU_SDPA_MERGE_KERNEL_H
#define SMELT_CPU_SDPA_MERGE_KERNEL_H

#include "cpu/rows.h"
#include "core/dtype.h"

/* In place: n logsumexps become weights, exp(lse - largest) over their sum. Returns the logsumexp of all; all
 * weights are 0 where that is -inf. */
typedef float smelt_merge_weights_kernel(float *lse, int64_t n);

/* out = sum over the chunks of weight times row, leaving out rows of weight 0. Rows are `step` bytes apart.
 */
typedef void smelt_merge_rows_kernel(void *out, const char *rows, int64_t step, const float *weights,
                                     int64_t chunks, int64_t dim);

struct smelt_sdpa_merge_kernels {
    smelt_merge_weights_kernel *weights;
    smelt_merge_rows_kernel *rows[SMELT_FLOAT_DTYPES];
};
SMELT_DECLARE_KERNELS(struct smelt_sdpa_merge_kernels, smelt_sdpa_merge);

#endif
