/* SPDX-License-Identifier: Apache-2.0 */
/* One attention problem for the CUDA tests: shape, options, data on both sides, and the reference. */
#ifndef SMELT_TESTS_CUDA_SDPA_CASE_H
#define SMELT_TESTS_CUDA_SDPA_CASE_H

#include <stdint.h>

#include "../../src/cuda/sdpa/params.h"

enum { kUnlimited = SMELT_SDPA_FAR };

struct sdpa_case {
    const char *name;
    int batch, heads_q, heads_kv, q_length, k_length, head_dim, value_dim;
    int type;       /* SMELT_TYPE_* */
    int transposed; /* (B, T, H, D) in memory, else (B, H, T, D) inside a longer cache */
    int causal, has_offset, kv_offset;
    int window_left, window_right; /* -1 = unlimited */
    int mask_type;                 /* SMELT_TYPE_* */
    int mask_shared;               /* the mask is broadcast over heads */
    int key_mask, sinks, lengths, offsets;
    float softcap, scale; /* scale 0 = 1 / sqrt(D) */
    int poison;           /* NaN in every key and value that no query may see */
    int hostile;          /* NaN in some values that only later queries see */
};

struct sdpa_problem {
    struct sdpa_case what;
    smelt_sdpa_params host, device; /* the same problem with host and with device pointers */
    void *buffers[32];
    int buffer_count;
    double *out, *lse; /* the reference */
    double *wide[3];   /* q, k, v in double precision */
    int64_t rows;
    /* the worst entry of the last comparison; column -1 is the logsumexp */
    int64_t worst_row, worst_column;
    double worst_got, worst_want;
};

void sdpa_problem_create(struct sdpa_problem *problem, const struct sdpa_case *what, uint64_t seed);
void sdpa_problem_destroy(struct sdpa_problem *problem);

/* Largest |error| / (tolerance (1 + |reference|)) over output and logsumexp; NaN must meet NaN. */
double sdpa_problem_error(struct sdpa_problem *problem, double tolerance, int with_lse);

#endif
