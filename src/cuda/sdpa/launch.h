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
    SMELT_SDPA_FLOAT32, /* float32, heads of up to 128, Hopper's shared memory */
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

/* The generic kernels: sizeof(GenericShared) in generic_tile.cuh, and a block's threads, rows and columns. */
enum {
    SMELT_SDPA_GENERIC_SHARED = 4 * (2 * 32 * 68 + 64 * 68 + 64 * 128 + 3 * 64),
    SMELT_SDPA_GENERIC_THREADS = 128,
    SMELT_SDPA_GENERIC_ROWS = 64,
    SMELT_SDPA_GENERIC_COLUMNS = 128,
};

/* What the copy engine can fetch: columns together, everything else in steps of 16 bytes. */
int smelt_sdpa_can_copy(const smelt_sdpa_view *view);
/* q, k, v and out of one type of 16 bits, with a mask that the Hopper kernels read. */
int smelt_sdpa_same_sixteen_bits(const smelt_sdpa_params *p);
/* Does the problem need what only general kernels know: masks, soft capping? */
int smelt_sdpa_needs_general(const smelt_sdpa_params *p);

/* (D, length, heads, batch) with boxes of one chunk by `rows`. A broadcast axis has size 1; its coordinate
 * is multiplied by the step, which is then 0. */
CUresult smelt_sdpa_encode_map(smelt_tensor_map *map, const smelt_sdpa_view *view, int type, int dim,
                               int length, int heads, int batch, int chunk, int rows, int32_t *head_step,
                               int32_t *batch_step);
/* One launch of a kernel whose only argument is the struct at `p`. */
CUresult smelt_sdpa_start(CUfunction function, const void *p, long long blocks, int threads, int bytes,
                          CUstream stream, CUlaunchAttribute *attribute);

int smelt_sdpa_shared_bytes(const struct smelt_sdpa_kernel *kernel);
CUresult smelt_sdpa_encode_maps(smelt_sdpa_params *p, const struct smelt_sdpa_kernel *kernel);

#endif
