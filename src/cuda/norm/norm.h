/* SPDX-License-Identifier: Apache-2.0 */
/* What the norm family shares on CUDA: from checked arguments to launches. */
#ifndef SMELT_CUDA_NORM_H
#define SMELT_CUDA_NORM_H

#include <smelt/norm.h>

#include "../launch.h"
#include "params.h"

/* A call, forward or gradient; views are NULL where absent. */
struct smelt_cuda_norm {
    const char *operation;
    const struct smelt_run *run;
    int kind; /* SMELT_NORM_* */
    bool gradient;
    smelt_norm_options options;
    const struct smelt_view *view[SMELT_WALK_TENSORS]; /* by SMELT_ROW_* */
    const struct smelt_view *weight, *bias, *scalar, *dweight, *dbias, *dscalar;
};
smelt_status smelt_cuda_norm(const struct smelt_cuda_norm *job);

/* How the rows are spread over the card. */
struct smelt_norm_plan {
    int vectors; /* of 16 bytes a thread; 0: the generic kernel */
    int lanes;   /* threads of a row in a block: a power of 2 up to 32, or a multiple of 32 */
    int threads; /* of a block */
    int cluster;
    int64_t blocks; /* a multiple of cluster */
};
/* Rows of `dim` elements of `type`; `most_cluster` is 1 where the card has no clusters. */
struct smelt_norm_plan smelt_norm_plan(const struct smelt_cuda_norm *job, int type, int64_t rows, int64_t dim,
                                       int multiprocessors, int most_cluster);

/* For measurements: what smelt_norm_plan() answers where not 0, and blocks a multiprocessor (-1: one team a
 * row). */
struct smelt_norm_tuning {
    int vectors, lanes, cluster, blocks;
};
extern struct smelt_norm_tuning smelt_norm_tuning;

#endif
