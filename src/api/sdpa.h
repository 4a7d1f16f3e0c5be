/* SPDX-License-Identifier: Apache-2.0 */
/* What the back ends get of smelt_sdpa: checked views, options resolved, and the rule of which keys a query
 * sees. */
#ifndef SMELT_API_SDPA_H
#define SMELT_API_SDPA_H

#include <smelt/sdpa.h>

#include "core/call.h"

struct smelt_sdpa_args {
    const struct smelt_run *run;
    enum smelt_dtype dtype; /* of out: the promotion of q, k and v, each of which may differ from it */
    int64_t batch, heads, kv_heads, q_len, kv_len, dim, value_dim;
    const struct smelt_view *out, *lse; /* (B, Hq, qL, Dv), (B, Hq, qL) or NULL */
    const struct smelt_view *q, *k, *v;
    float scale;                         /* resolved: never NaN */
    float softcap;                       /* 0: none */
    int64_t window_left, window_right;   /* -1: unlimited; causal is a window_right of 0 */
    int64_t kv_offset;                   /* or SMELT_LOWER_RIGHT */
    const struct smelt_view *kv_lengths; /* int32 (B) or NULL */
    const struct smelt_view *kv_offsets; /* int32 (B) or NULL */
    const struct smelt_view *mask;       /* bool or floating, or NULL */
    int64_t mask_stride[4];              /* elements, of the mask broadcast to (B, Hq, qL, kL) */
    const struct smelt_view *key_mask;   /* bool or integer (B, kL), or NULL */
    const struct smelt_view *sinks;      /* floating (Hq), or NULL */
};

/* CPU only (the two arrays may lie on the device): keys in use, and the offset, of sequence b. */
static inline int64_t smelt_sdpa_keys(const struct smelt_sdpa_args *a, int64_t b)
{
    return a->kv_lengths ? ((const int32_t *)a->kv_lengths->data)[b * a->kv_lengths->stride[0]] : a->kv_len;
}
static inline int64_t smelt_sdpa_offset(const struct smelt_sdpa_args *a, int64_t b)
{
    if (a->kv_offsets) return ((const int32_t *)a->kv_offsets->data)[b * a->kv_offsets->stride[0]];
    return a->kv_offset == SMELT_LOWER_RIGHT ? smelt_sdpa_keys(a, b) - a->q_len : a->kv_offset;
}

/* The keys [first, end) that window and causal leave to query i, of `keys` in use with this offset; empty:
 * first >= end. Sums saturate: offset and windows are any 64-bit numbers. */
static inline void smelt_sdpa_visible(const struct smelt_sdpa_args *a, int64_t keys, int64_t offset,
                                      int64_t i, int64_t *first, int64_t *end)
{
    int64_t at, bound;
    bool over = __builtin_add_overflow(i, offset, &at);
    if (over) at = offset < 0 ? INT64_MIN : INT64_MAX;
    *first = 0, *end = keys;
    if (a->window_left >= 0 && !__builtin_sub_overflow(at, a->window_left, &bound) && bound > 0)
        *first = bound;
    if (a->window_right >= 0 && !__builtin_add_overflow(at, a->window_right, &bound) && bound < keys - 1)
        *end = bound < 0 ? 0 : bound + 1;
    if (*first > keys) *first = keys;
}

smelt_status smelt_cpu_sdpa(const struct smelt_sdpa_args *args);
/* Scratch that smelt_cpu_sdpa takes for these arguments (views' data are not read). */
size_t smelt_cpu_sdpa_workspace(const struct smelt_sdpa_args *args);

#endif
