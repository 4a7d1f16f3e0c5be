/* SPDX-License-Identifier: Apache-2.0 */
/* The embedded device code of attention, one image a head size, loaded into the current context when first
 * used. Thread-safe. */
#ifndef SMELT_CUDA_SDPA_IMAGE_H
#define SMELT_CUDA_SDPA_IMAGE_H

#include <cuda.h>

/* The two images that no head size names. */
enum { SMELT_SDPA_IMAGE_GENERIC, SMELT_SDPA_IMAGE_MERGE };

CUresult smelt_sdpa_function(int head_dim, const char *name, CUfunction *function);

#endif
