/* SPDX-License-Identifier: Apache-2.0 */
/* The embedded device code of attention, one image a head size, loaded when first used. */
#ifndef SMELT_CUDA_SDPA_IMAGE_H
#define SMELT_CUDA_SDPA_IMAGE_H

#include <cuda.h>

CUresult smelt_sdpa_function(int head_dim, const char *name, CUfunction *function);

#endif
