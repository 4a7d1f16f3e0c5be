/* SPDX-License-Identifier: Apache-2.0 */
/* The rows that a kernel walks: leading axes of its tensors, merged on the host. Shared with device code. */
#ifndef SMELT_CUDA_WALK_H
#define SMELT_CUDA_WALK_H

#include <stdint.h>

/* Types of elements in device code, in the order of enum smelt_dtype. */
enum { SMELT_CUDA_F32, SMELT_CUDA_F16, SMELT_CUDA_BF16 };

enum { SMELT_WALK_AXES = 8, SMELT_WALK_TENSORS = 6 };

typedef struct smelt_walk {
    int64_t rows;
    int64_t shape[SMELT_WALK_AXES];                      /* outermost first */
    int64_t stride[SMELT_WALK_TENSORS][SMELT_WALK_AXES]; /* bytes */
    int32_t axes; /* 1 or more; with several there are fewer than 2^31 rows */
} smelt_walk;

#endif
