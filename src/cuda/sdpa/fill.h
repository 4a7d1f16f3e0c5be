/* SPDX-License-Identifier: Apache-2.0 */
/* From checked arguments to the struct that attention kernels take. */
#ifndef SMELT_CUDA_SDPA_FILL_H
#define SMELT_CUDA_SDPA_FILL_H

#include "api/sdpa.h"
#include "params.h"

int smelt_sdpa_type(const struct smelt_view *view); /* SMELT_TYPE_*; that of NULL is NONE */
/* A view of rank 4. Strides of axes of length 1 are 0 in a view: the kernels never step along those. */
smelt_sdpa_view smelt_sdpa_strided(const struct smelt_view *view);
/* Everything but maps, plan and scratch; fails where sizes are beyond 32-bit arithmetic on the device. */
smelt_status smelt_sdpa_fill(smelt_sdpa_params *p, const struct smelt_sdpa_args *args, const char *operation);

#endif
