/* SPDX-License-Identifier: Apache-2.0 */
/* What host code passes to the kernels of the gradient: one plain struct, by value, for C and CUDA C. */
#ifndef SMELT_CUDA_SDPA_VJP_PARAMS_H
#define SMELT_CUDA_SDPA_VJP_PARAMS_H

#include "params.h"

/* Rows that one flag stands for: the rows of a Hopper tile, a multiple of those of a generic one. */
enum { SMELT_VJP_FLAG_ROWS = 128 };

typedef struct smelt_sdpa_vjp_params {
    smelt_sdpa_params forward; /* its out and lse are inputs here */
    smelt_tensor_map dout_map;
    smelt_sdpa_view dout;       /* data NULL: counts as 0 */
    smelt_sdpa_view dq, dk, dv; /* data NULL: not wanted */
    smelt_sdpa_view dmask;      /* data NULL: not wanted */
    int32_t dmask_length[4];    /* its own axes: 1 where it is broadcast */
    void *dsinks;               /* or NULL */
    int64_t dsinks_stride;
    const float *dlse; /* or NULL */
    int64_t dlse_batch, dlse_head, dlse_row;
    float *lse;            /* scratch (B, Hq, q_padded): in units of log 2; +inf where a row sees nothing */
    float *left;           /* scratch, the same: dlse - sum(dout out); 0 there */
    uint32_t *query_flags; /* (B, Hq, blocks of queries): a tile of dq is to be computed again */
    uint32_t *key_flags;   /* (B, Hk, blocks of keys): the same of dk and dv */
    int32_t q_padded, query_blocks, key_blocks;
    int32_t query_section, key_section; /* heads side by side in the order of blocks */
    int32_t query_grid, key_grid;       /* blocks of the generic kernels of queries and of keys */
    int32_t dout_head_step, dout_batch_step;
    int32_t repair; /* generic kernels: only flagged tiles, only what is not finite */
    float scale;
} smelt_sdpa_vjp_params;

#endif
