/* SPDX-License-Identifier: Apache-2.0 */
/* The embedded device code of attention and its gradient, one image a head size, loaded into the current
 * context when first used. Thread-safe. */
#ifndef SMELT_CUDA_SDPA_IMAGE_H
#define SMELT_CUDA_SDPA_IMAGE_H

#include <cuda.h>

/* Images that no head size names; those of the gradient are SMELT_SDPA_IMAGE_VJP + head size. */
enum {
    SMELT_SDPA_IMAGE_GENERIC,
    SMELT_SDPA_IMAGE_MERGE,
    SMELT_SDPA_IMAGE_FLOAT32,
    SMELT_SDPA_IMAGE_VJP = 1000
};

CUresult smelt_sdpa_function(int image, const char *name, CUfunction *function);

#endif
