/* SPDX-License-Identifier: Apache-2.0 */
/* The kernels of sdpa_vjp: products of packed tiles, and the derivative of the softmax between them.
 *
 * Tiles of scores are (BLOCK, BLOCK), queries by keys, row-major. What is multiplied comes in two packings:
 *   deep    (rows / r, depth, r): for products over the depth (scores); r is `deep_rows` for queries,
 *           `panel` for keys
 *   flat    (columns / panel, BLOCK, panel) per block of rows: for sums over the rows */
#ifndef SMELT_CPU_SDPA_VJP_KERNEL_H
#define SMELT_CPU_SDPA_VJP_KERNEL_H

#include <stdbool.h>

#include "core/dtype.h"
#include "cpu/rows.h"

enum { SMELT_SDPA_VJP_BLOCK = 96 }; /* a multiple of deep_rows and of panel on every ISA */

struct smelt_sdpa_vjp_tile {
    float *scores;     /* scale * q.k in, P out */
    float *slopes;     /* dout.v in, the derivative by scale * q.k out (or by the capped score: dS) */
    const float *bias; /* (BLOCK, BLOCK), -inf hides; or NULL: all is visible */
    const float *lse;  /* (queries) */
    const float *left; /* (queries): dlse - delta */
    int64_t queries, keys;
    float softcap; /* 0: none */
    bool capped;   /* slopes are by the capped score */
};

struct smelt_sdpa_vjp_kernels {
    int deep_rows, panel;
    /* float32 <- n neighbours of a dtype; returns whether all are finite. */
    bool (*load)(float *to, const void *from, enum smelt_dtype dtype, int64_t n);
    /* dtype <- factor * float32 */
    void (*store)(void *to, enum smelt_dtype dtype, const float *from, float factor, int64_t n);
    float (*dot)(const float *a, const float *b, int64_t n);
    /* scores = deep queries * deep keys */
    void (*scores)(float *scores, const float *queries, const float *keys, int64_t query_count,
                   int64_t key_count, int64_t depth);
    void (*derive)(const struct smelt_sdpa_vjp_tile *tile);
    /* flat sums of the keys += weights^T * flat rows of the queries */
    void (*sum_queries)(float *sums, const float *weights, const float *rows, int64_t query_count,
                        int64_t key_count, int64_t columns);
    /* flat sums of the queries += weights * flat rows of the keys */
    void (*sum_keys)(float *sums, const float *weights, const float *rows, int64_t query_count,
                     int64_t key_count, int64_t columns);
};
SMELT_DECLARE_KERNELS(struct smelt_sdpa_vjp_kernels, smelt_sdpa_vjp);

#endif
