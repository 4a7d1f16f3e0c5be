/* SPDX-License-Identifier: Apache-2.0 */
/* Normalisation over the last axis, plain and fused with a residual, and the gradients. Rules: see base.h.
 *
 * x is (..., dim) of rank 1 or more; weight and bias are (dim); scalar is (1) or (dim). Statistics are
 * float32. rms(v)  = v / sqrt(mean(v^2) + eps);   norm(v) = (v - mean(v)) / sqrt(variance(v) + eps), biased,
 * two passes. */
#ifndef SMELT_NORM_H
#define SMELT_NORM_H

#include "base.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct smelt_norm_options {
    uint32_t struct_size; /* sizeof(smelt_norm_options), set by SMELT_NORM_OPTIONS_INIT */
    float eps;            /* 1e-5; added to the mean square inside the root. Not negative, not NaN */
    float weight_offset;  /* 0; 1 for Gemma's (1 + weight). Added in float32 */
    int32_t
        round_once; /* 0: round to the output dtype after normalising, again after the weight, again after the
                          bias, and weight + offset is rounded too (MLX, Llama);
                       1: float32 throughout, one rounding (Gemma). The residual family always rounds once */
} smelt_norm_options;
#define SMELT_NORM_OPTIONS_INIT                                                                              \
    {                                                                                                        \
        sizeof(smelt_norm_options), 1e-5f, 0.0f, 0                                                           \
    }

/* out = rms(x) * weight. dtype of out: promotion of x and weight. out = x (the same tensor) is legal. */
SMELT_API smelt_status smelt_rms_norm(DLTensor *out, const DLTensor *x, const DLTensor *weight /*?*/,
                                      const smelt_norm_options *options, const smelt_stream *stream);

/* out = norm(x) * weight + bias. dtype of out: promotion of x, weight and bias where there is a weight; else
 * that of x, to which the bias is rounded. out = x is legal. */
SMELT_API smelt_status smelt_layer_norm(DLTensor *out, const DLTensor *x, const DLTensor *weight /*?*/,
                                        const DLTensor *bias /*?*/, const smelt_norm_options *options,
                                        const smelt_stream *stream);

/* out = residual + rms(x) * weight, then * scalar when given. float32 throughout, rounded once. residual and
 * x have one shape. dtype of out: promotion of all inputs. out = residual and out = x are legal. */
SMELT_API smelt_status smelt_norm_add(DLTensor *out, const DLTensor *residual, const DLTensor *x,
                                      const DLTensor *weight /*?*/, const DLTensor *scalar /*?*/,
                                      const smelt_norm_options *options, const smelt_stream *stream);

/* sum = residual + x; out = rms(sum) * weight, then * scalar when given, of the unrounded sum. dtype of sum:
 * promotion of residual and x; of out: promotion of all inputs. sum = residual, sum = x and out = x are
 * legal. */
SMELT_API smelt_status smelt_residual_norm(DLTensor *out, DLTensor *sum /*?*/, const DLTensor *residual,
                                           const DLTensor *x, const DLTensor *weight /*?*/,
                                           const DLTensor *scalar /*?*/, const smelt_norm_options *options,
                                           const smelt_stream *stream);

/* Gradients. dout has the shape and dtype of out; each gradient has the shape and dtype of what it is the
 * gradient of, and each may be NULL. float32 inside, rounded once, deterministic. dx = dout (and dresidual =
 * dout) is legal. */
SMELT_API smelt_status smelt_rms_norm_vjp(DLTensor *dx /*?*/, DLTensor *dweight /*?*/, const DLTensor *x,
                                          const DLTensor *weight /*?*/, const DLTensor *dout,
                                          const smelt_norm_options *options, const smelt_stream *stream);

SMELT_API smelt_status smelt_layer_norm_vjp(DLTensor *dx /*?*/, DLTensor *dweight /*?*/,
                                            DLTensor *dbias /*?*/, const DLTensor *x,
                                            const DLTensor *weight /*?*/, const DLTensor *dout,
                                            const smelt_norm_options *options, const smelt_stream *stream);

SMELT_API smelt_status smelt_norm_add_vjp(DLTensor *dresidual /*?*/, DLTensor *dx /*?*/,
                                          DLTensor *dweight /*?*/, DLTensor *dscalar /*?*/,
                                          const DLTensor *residual, const DLTensor *x,
                                          const DLTensor *weight /*?*/, const DLTensor *scalar /*?*/,
                                          const DLTensor *dout, const smelt_norm_options *options,
                                          const smelt_stream *stream);

/* At least one of dout (gradient of out) and dsum (gradient of sum) is given; a missing one counts as zero.
 */
SMELT_API smelt_status smelt_residual_norm_vjp(DLTensor *dresidual /*?*/, DLTensor *dx /*?*/,
                                               DLTensor *dweight /*?*/, DLTensor *dscalar /*?*/,
                                               const DLTensor *residual, const DLTensor *x,
                                               const DLTensor *weight /*?*/, const DLTensor *scalar /*?*/,
                                               const DLTensor *dout /*?*/, const DLTensor *dsum /*?*/,
                                               const smelt_norm_options *options, const smelt_stream *stream);

#ifdef __cplusplus
}
#endif
#endif
