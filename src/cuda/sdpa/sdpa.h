/* SPDX-License-Identifier: Apache-2.0 */
/* Attention on CUDA, as src/api/sdpa.c calls it. */
#ifndef SMELT_CUDA_SDPA_SDPA_H
#define SMELT_CUDA_SDPA_SDPA_H

#include "api/sdpa.h"

smelt_status smelt_cuda_sdpa(const struct smelt_sdpa_args *args);
/* Scratch that smelt_cuda_sdpa takes for these arguments (views' data are not read). */
smelt_status smelt_cuda_sdpa_workspace(const struct smelt_sdpa_args *args, size_t *bytes);

#endif
