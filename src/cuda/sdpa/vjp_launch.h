/* SPDX-License-Identifier: Apache-2.0 */
/* Host side of the gradient's kernels: which ones, their scratch, their launches. */
#ifndef SMELT_CUDA_SDPA_VJP_LAUNCH_H
#define SMELT_CUDA_SDPA_VJP_LAUNCH_H

#include "launch.h"
#include "vjp_params.h"

/* A row of vjp_rows.h. */
struct smelt_vjp_kernel {
    int head_dim, value_dim, steps, stages;
    int which; /* gradients of: 0 queries, 1 keys, 2 values, 3 keys and values */
    int ahead, general;
};

extern const struct smelt_vjp_kernel smelt_vjp_kernels[];
extern const int smelt_vjp_kernel_count;

/* The kernels of a problem, by number; smelt_vjp_kernel_count is the generic one of that gradient. */
struct smelt_vjp_plan {
    int queries, keys, values; /* keys == values where one kernel does both */
};

/* May kernel `index` do this problem? */
int smelt_vjp_can(const smelt_sdpa_vjp_params *g, int index, const struct smelt_sdpa_card *card);
/* Fills blocks and padding, and returns the bytes of scratch that smelt_vjp_bind() shares out. */
size_t smelt_vjp_plan(smelt_sdpa_vjp_params *g, struct smelt_vjp_plan *plan,
                      const struct smelt_sdpa_card *card);
void smelt_vjp_bind(smelt_sdpa_vjp_params *g, void *scratch);
/* After plan and bind. Tensor maps go into *g. */
CUresult smelt_vjp_launch(smelt_sdpa_vjp_params *g, const struct smelt_vjp_plan *plan, CUstream stream);

#endif
