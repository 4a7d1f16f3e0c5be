/* SPDX-License-Identifier: Apache-2.0 */
/* Scaled dot-product attention with logsumexp, the merge of chunks, and the gradient. Rules: see base.h.
 *
 * q (B, Hq, qL, D), k (B, Hkv, kL, D), v (B, Hkv, kL, Dv) -> out (B, Hq, qL, Dv), lse float32 (B, Hq, qL).
 * Query head h uses key head h / (Hq / Hkv). (B, T, H, D) data comes as strides, at full speed.
 *   score = scale * q.k;  softcap;  + mask;  p = softmax(score over the visible keys and the sink);  out = p
 * v A key is visible where causal, mask, key_mask, window and kv_lengths all allow it. What is not visible
 * never influences the output, whatever it holds. A query that sees no key, or only scores of -inf, gives out
 * 0 and lse -inf (with a sink: lse = sink). lse is the natural logarithm, and includes the sink. */
#ifndef SMELT_SDPA_H
#define SMELT_SDPA_H

#include "base.h"

#ifdef __cplusplus
extern "C" {
#endif

#define SMELT_LOWER_RIGHT INT64_MIN /* kv_offset: the last query sees the last key in use */

typedef struct smelt_sdpa_options {
    uint32_t struct_size; /* sizeof(smelt_sdpa_options), set by SMELT_SDPA_OPTIONS_INIT */
    float scale;          /* NAN = 1 / sqrt(D) */
    int32_t causal;    /* key j visible to query i iff j <= i + kv_offset; combines with mask and key_mask */
    int64_t kv_offset; /* SMELT_LOWER_RIGHT: keys in use - qL (kv_lengths[b] where given, else kL). With
                          kv_offsets it must stay so */
    int64_t window_left;  /* -1 = unlimited; else j >= i + kv_offset - window_left (a Hugging Face window of W
                             is  W - 1) */
    int64_t window_right; /* -1 = unlimited; else j <= i + kv_offset + window_right */
    float softcap;        /* 0 = none; score = cap * tanh(score / cap), after the scale, before the mask */
    const DLTensor *mask; /* ? boolean (true keeps) or floating (added); broadcast from the right to
                             (B, Hq, qL, kL), rank 0 to 4; a floating one must promote to the dtype of out */
    const DLTensor *key_mask; /* ? boolean or integer (B, kL), nonzero keeps */
    const DLTensor *sinks;    /* ? (Hq): one more logit per query head, not scaled, without a value */
    const DLTensor
        *kv_lengths; /* ? int32 (B): keys in use per sequence, 0 to kL (outside: an error on the CPU, clamped
                        on CUDA); on the device, so that a captured graph can be replayed as a cache grows */
    const DLTensor *kv_offsets; /* ? int32 (B): kv_offset per sequence */
} smelt_sdpa_options;
#define SMELT_SDPA_OPTIONS_INIT                                                                              \
    {                                                                                                        \
        sizeof(smelt_sdpa_options), NAN, 0, SMELT_LOWER_RIGHT, -1, -1, 0.0f, NULL, NULL, NULL, NULL, NULL    \
    }

/* dtype of out: promotion of q, k and v. lse may be NULL, and out has the same bits then. out = q is legal
 * where the shapes agree. */
SMELT_API smelt_status smelt_sdpa(DLTensor *out, DLTensor *lse /*?*/, const DLTensor *q, const DLTensor *k,
                                  const DLTensor *v, const smelt_sdpa_options *options,
                                  const smelt_stream *stream);

/* Bytes of scratch that smelt_sdpa with the same arguments needs in stream->workspace. Data pointers are not
 * read. */
SMELT_API smelt_status smelt_sdpa_workspace_size(size_t *bytes, const DLTensor *out,
                                                 const DLTensor *lse /*?*/, const DLTensor *q,
                                                 const DLTensor *k, const DLTensor *v,
                                                 const smelt_sdpa_options *options,
                                                 const smelt_stream *stream);

/* outs (C, B, Hq, qL, Dv), lses float32 (C, B, Hq, qL) -> out of the dtype of outs, lse: exact attention over
 * the union of the C chunks of keys. A chunk with lse -inf counts for nothing, whatever its out holds. */
SMELT_API smelt_status smelt_sdpa_merge(DLTensor *out, DLTensor *lse /*?*/, const DLTensor *outs,
                                        const DLTensor *lses, const smelt_stream *stream);

/* out and lse come from the forward call with the same options. A missing dout or dlse counts as zero; one is
 * given. dmask has the shape and dtype of the floating mask (summed over broadcast axes), dsinks of the
 * sinks. */
SMELT_API smelt_status smelt_sdpa_vjp(DLTensor *dq /*?*/, DLTensor *dk /*?*/, DLTensor *dv /*?*/,
                                      DLTensor *dmask /*?*/, DLTensor *dsinks /*?*/, const DLTensor *q,
                                      const DLTensor *k, const DLTensor *v, const DLTensor *out,
                                      const DLTensor *lse, const DLTensor *dout /*?*/,
                                      const DLTensor *dlse /*?*/, const smelt_sdpa_options *options,
                                      const smelt_stream *stream);

#ifdef __cplusplus
}
#endif
#endif
