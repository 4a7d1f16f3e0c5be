/* SPDX-License-Identifier: Apache-2.0 */
/* One launch of sdpa_merge. Shared with device code. */
#ifndef SMELT_CUDA_SDPA_MERGE_PARAMS_H
#define SMELT_CUDA_SDPA_MERGE_PARAMS_H

#include "../walk.h"

/* The tensors: rows of the outputs, and of one chunk. */
enum { SMELT_MERGE_OUT, SMELT_MERGE_LSE, SMELT_MERGE_OUTS, SMELT_MERGE_LSES, SMELT_MERGE_TENSORS };
enum { SMELT_MERGE_THREADS = 128 };

typedef struct smelt_merge_params {
    smelt_walk walk;
    char *data[SMELT_MERGE_TENSORS]; /* lse may be NULL */
    int64_t chunks, dim;
    int64_t outs_chunk, lses_chunk; /* bytes from chunk to chunk */
    int64_t out_step, outs_step;    /* between columns */
    int32_t lanes;                  /* of a row: a power of 2 up to 32 */
    int32_t streaming;
} smelt_merge_params;

#endif
