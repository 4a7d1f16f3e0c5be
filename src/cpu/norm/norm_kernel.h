/* SPDX-License-Identifier: Apache-2.0 */
/* Work on columns: weights to float32, sums over rows to gradients. */
#ifndef SMELT_CPU_NORM_KERNEL_H
#define SMELT_CPU_NORM_KERNEL_H

#include "cpu/norm/norm.h"

struct smelt_norm_column_kernels {
    /* to[i] = from[i] + offset, rounded to `rounding`; neighbours of a floating dtype to float32 */
    void (*widen)(float *to, const void *from, enum smelt_dtype dtype, float offset,
                  enum smelt_dtype rounding, int64_t n);
    /* to[i] = from[i], float32 to neighbours of a floating dtype */
    void (*narrow)(void *to, enum smelt_dtype dtype, const float *from, int64_t n);
    /* to[i] = a[i] * b[i] + c[i], where b begins at element `at` of its column; c may be NULL */
    void (*product)(float *to, const float *a, struct smelt_norm_column b, int64_t at, const float *c,
                    int64_t n);
    /* to[i] = sum over blocks of from[block * step + i] */
    void (*sum)(float *to, const float *from, int64_t blocks, int64_t step, int64_t n);
};
SMELT_DECLARE_KERNELS(struct smelt_norm_column_kernels, smelt_norm_columns);

const struct smelt_norm_column_kernels *smelt_norm_best_columns(void);

#endif
