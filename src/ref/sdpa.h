/* SPDX-License-Identifier: Apache-2.0 */
/* What the references of sdpa and of its gradient share: which keys a query sees, and its scores. */
#ifndef SMELT_REF_SDPA_H
#define SMELT_REF_SDPA_H

#include <stdbool.h>

#include "ref/ref.h"

struct ref_attention {
    smelt_sdpa_options options;
    int64_t batch, heads, kv_heads, q_len, kv_len, dim, value_dim;
    double scale;
    double *q, *k, *v; /* row-major copies */
};

double *ref_copy(const DLTensor *tensor); /* row-major; the caller frees it */
struct ref_attention ref_attention(const DLTensor *q, const DLTensor *k, const DLTensor *v,
                                   const smelt_sdpa_options *options);
void ref_attention_free(struct ref_attention *attention);

/* The row of k and v that query head h of sequence b meets at key j. */
static inline int64_t ref_key_row(const struct ref_attention *a, int64_t b, int64_t h, int64_t j)
{
    return (b * a->kv_heads + h / (a->heads / a->kv_heads)) * a->kv_len + j;
}
/* The element of a mask that broadcasts to (b, h, i, j). */
int64_t ref_mask_element(const DLTensor *mask, int64_t b, int64_t h, int64_t i, int64_t j);
bool ref_visible(const struct ref_attention *a, int64_t b, int64_t h, int64_t i, int64_t j);
/* Scaled and capped, before the mask. */
double ref_capped(const struct ref_attention *a, int64_t b, int64_t h, int64_t i, int64_t j);
/* What the softmax sees; -inf where key j is not visible. */
double ref_score(const struct ref_attention *a, int64_t b, int64_t h, int64_t i, int64_t j);

#endif
