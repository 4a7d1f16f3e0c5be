/* SPDX-License-Identifier: Apache-2.0 */
/* The gradient of attention on CUDA, as src/api/sdpa_vjp.c calls it. */
#ifndef SMELT_CUDA_SDPA_VJP_H
#define SMELT_CUDA_SDPA_VJP_H

#include "api/sdpa_vjp.h"

smelt_status smelt_cuda_sdpa_vjp(const struct smelt_sdpa_vjp_args *args);

#endif
