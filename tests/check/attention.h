/* SPDX-License-Identifier: Apache-2.0 */
/* Random attention problems, for the checks of sdpa and of its gradient. */
#ifndef SMELT_TESTS_ATTENTION_H
#define SMELT_TESTS_ATTENTION_H

#include "check.h"

struct attention {
    int64_t batch, heads, kv_heads, q_len, kv_len, dim, value_dim;
    bool distinct; /* no broadcast layouts: elements of q, k and v can be changed one by one */
    DLTensor *q, *k, *v;
    smelt_sdpa_options options;
};

/* Which options a case may draw; the sizes and layouts are always random. */
enum attention_kind {
    ATTENTION_PLAIN = 0,
    ATTENTION_CAUSAL = 1, /* causal, windows, offsets */
    ATTENTION_MASK = 2,   /* boolean or floating, of any rank */
    ATTENTION_KEYS = 4,   /* key_mask, kv_lengths, kv_offsets */
    ATTENTION_EXTRA = 8,  /* sinks, softcap, scale */
    ATTENTION_ALL = 15,
};

void attention_sizes(struct check *c, struct attention *a);
/* q, k, v with layouts as models have them ((B, T, H, D), slices of a longer cache whose rest is garbage),
 * and at random. */
void attention_inputs(struct check *c, struct attention *a, enum smelt_dtype q, enum smelt_dtype k,
                      enum smelt_dtype v);
void attention_options(struct check *c, struct attention *a, unsigned kinds);
DLTensor *attention_out(struct check *c, const struct attention *a, enum smelt_dtype dtype);
DLTensor *attention_lse(struct check *c, const struct attention *a);
/* Of (B, H, T, D), written as (B, T, H, D) at times. */
DLTensor *attention_output(struct check *c, enum smelt_dtype dtype, const int64_t shape[4]);

/* Fails the case unless both hold the same bits (any NaN equals any NaN). */
void attention_same(struct check *c, const DLTensor *got, const DLTensor *expected, const char *what);

#endif
