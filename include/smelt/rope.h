/* SPDX-License-Identifier: Apache-2.0 */
/* Rotary position embedding and its gradient. Rules: see base.h.
 *
 * x is floating, of rank 3 or more: the first axis is the batch B, the last the features of a head, and the
 * sequence of T tokens is any axis between them. Features [0, dims) are rotated by pairs, the rest are
 * copied: position = (token + offset) or positions[b, token], as float32, times scale angle_i  = position *
 * inverse_frequency_i, float32;  i in [0, dims/2) inverse_frequency_i = base^(-2i/dims), or 1/freqs[i], or
 * inverse_freqs[i] y1 = x1 cos - x2 sin,  y2 = x1 sin + x2 cos, in float32, rounded once */
#ifndef SMELT_ROPE_H
#define SMELT_ROPE_H

#include "base.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct smelt_rope_options {
    uint32_t struct_size;  /* sizeof(smelt_rope_options), set by SMELT_ROPE_OPTIONS_INIT */
    int32_t dims;          /* features to rotate, even; 0 = the whole head */
    int32_t traditional;   /* 0: pairs (i, i + dims/2); 1: pairs (2i, 2i + 1) */
    int32_t sequence_axis; /* -2; any axis strictly between the first and the last, from either end */
    float base;            /* NAN = not given. Exactly one of base, freqs and inverse_freqs is given */
    float scale;           /* 1; multiplies the position after the offset */
    float cos_sin_scale;   /* 1; multiplies cos and sin (longrope, yarn) */
    int64_t offset; /* 0; the position of token 0. At most one of offset (when not 0), offsets, positions */
    const DLTensor *offsets;       /* ? integer (B), (1) or scalar: an offset per sequence */
    const DLTensor *positions;     /* ? integer (B, T) or (T): the position of every token */
    const DLTensor *freqs;         /* ? floating (dims/2), divisors: angle = position / freq */
    const DLTensor *inverse_freqs; /* ? floating (dims/2): angle = position * inverse_freq */
} smelt_rope_options;
#define SMELT_ROPE_OPTIONS_INIT                                                                              \
    {                                                                                                        \
        sizeof(smelt_rope_options), 0, 0, -2, NAN, 1.0f, 1.0f, 0, NULL, NULL, NULL, NULL                     \
    }

/* out: shape and dtype of x. out = x is legal. */
SMELT_API smelt_status smelt_rope(DLTensor *out, const DLTensor *x, const smelt_rope_options *options,
                                  const smelt_stream *stream);

/* dx: the rotation by the negated angle of dout. dx = dout is legal. */
SMELT_API smelt_status smelt_rope_vjp(DLTensor *dx, const DLTensor *dout, const smelt_rope_options *options,
                                      const smelt_stream *stream);

#ifdef __cplusplus
}
#endif
#endif
