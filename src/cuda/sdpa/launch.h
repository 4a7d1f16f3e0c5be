/* SPDX-License-Identifier: Apache-2.0 */
/* Host side of the attention kernels: which one, its tensor maps, its launch. */
#ifndef SMELT_CUDA_SDPA_LAUNCH_H
#define SMELT_CUDA_SDPA_LAUNCH_H

#include <cuda.h>
#include <stddef.h>

#include "params.h"

enum smelt_sdpa_family {
    SMELT_SDPA_FORWARD, /* Hopper, many queries */
    SMELT_SDPA_SPLIT,   /* Hopper, few queries, keys split over blocks */
    SMELT_SDPA_GENERIC, /* any card, any type */
};

/* One kernel that is built: a row of rows.h. */
struct smelt_sdpa_kernel {
    int family, head_dim, value_dim, consumers, keys, stages, cluster, general, pingpong;
};

extern const struct smelt_sdpa_kernel smelt_sdpa_kernels[];
extern const int smelt_sdpa_kernel_count;

/* What a launch needs to know of the card. */
struct smelt_sdpa_card {
    int major, minor, multiprocessors;
};

/* May kernel `index` do this problem? Strides, types, options, card. */
int smelt_sdpa_can(const smelt_sdpa_params *p, int index, const struct smelt_sdpa_card *card);
/* The kernel for this problem; the generic one does everything. */
int smelt_sdpa_choose(const smelt_sdpa_params *p, const struct smelt_sdpa_card *card);
/* Fills sections, tiles and splits for kernel `index`, and returns the bytes of scratch that it needs. */
size_t smelt_sdpa_plan(smelt_sdpa_params *p, int index, const struct smelt_sdpa_card *card);
/* After the plan, with p->partial set where scratch is needed. Tensor maps go into *p. */
CUresult smelt_sdpa_launch(smelt_sdpa_params *p, int index, const struct smelt_sdpa_card *card,
                           CUstream stream);

int smelt_sdpa_shared_bytes(const struct smelt_sdpa_kernel *kernel);
CUresult smelt_sdpa_encode_maps(smelt_sdpa_params *p, const struct smelt_sdpa_kernel *kernel);

#endif
