/* SPDX-License-Identifier: Apache-2.0 */
/* The definition of every operation: scalar C in double precision, on any strides, in no hurry. Arguments are
 * those of the public functions, assumed legal. Outputs may be float64, so that a check sees them unrounded;
 * where a rule rounds in between, the reference rounds there too. */
#ifndef SMELT_REF_REF_H
#define SMELT_REF_REF_H

#include <smelt/smelt.h>

#include "core/dtype.h"

/* Element number `flat` of the row-major order of the shape. */
double ref_load(const DLTensor *tensor, int64_t flat);
void ref_store(DLTensor *tensor, int64_t flat, double value);
int64_t ref_count(const DLTensor *tensor);
enum smelt_dtype ref_dtype(const DLTensor *tensor);
/* To the nearest value of the dtype, ties to even, straight from double. */
double ref_round(enum smelt_dtype dtype, double value);

void ref_glu(DLTensor *out, const DLTensor *gate, const DLTensor *up, smelt_activation activation);
void ref_rms_norm(DLTensor *out, const DLTensor *x, const DLTensor *weight,
                  const smelt_norm_options *options);
void ref_glu_vjp(DLTensor *dgate, DLTensor *dup, const DLTensor *gate, const DLTensor *up,
                 const DLTensor *dout, smelt_activation activation);
void ref_rope(DLTensor *out, const DLTensor *x, const smelt_rope_options *options);
void ref_rope_vjp(DLTensor *dx, const DLTensor *dout, const smelt_rope_options *options);
void ref_rms_norm_vjp(DLTensor *dx, DLTensor *dweight, const DLTensor *x, const DLTensor *weight,
                      const DLTensor *dout, const smelt_norm_options *options);
void ref_layer_norm(DLTensor *out, const DLTensor *x, const DLTensor *weight, const DLTensor *bias,
                    const smelt_norm_options *options);
void ref_layer_norm_vjp(DLTensor *dx, DLTensor *dweight, DLTensor *dbias, const DLTensor *x,
                        const DLTensor *weight, const DLTensor *dout, const smelt_norm_options *options);
void ref_norm_add(DLTensor *out, const DLTensor *residual, const DLTensor *x, const DLTensor *weight,
                  const DLTensor *scalar, const smelt_norm_options *options);
void ref_norm_add_vjp(DLTensor *dresidual, DLTensor *dx, DLTensor *dweight, DLTensor *dscalar,
                      const DLTensor *residual, const DLTensor *x, const DLTensor *weight,
                      const DLTensor *scalar, const DLTensor *dout, const smelt_norm_options *options);
void ref_residual_norm(DLTensor *out, DLTensor *sum, const DLTensor *residual, const DLTensor *x,
                       const DLTensor *weight, const DLTensor *scalar, const smelt_norm_options *options);
void ref_residual_norm_vjp(DLTensor *dresidual, DLTensor *dx, DLTensor *dweight, DLTensor *dscalar,
                           const DLTensor *residual, const DLTensor *x, const DLTensor *weight,
                           const DLTensor *scalar, const DLTensor *dout, const DLTensor *dsum,
                           const smelt_norm_options *options);
void ref_sdpa(DLTensor *out, DLTensor *lse, const DLTensor *q, const DLTensor *k, const DLTensor *v,
              const smelt_sdpa_options *options);
/* The outputs that are NULL are left out; dout and dlse that are NULL count as 0. */
void ref_sdpa_vjp(DLTensor *dq, DLTensor *dk, DLTensor *dv, DLTensor *dmask, DLTensor *dsinks,
                  const DLTensor *q, const DLTensor *k, const DLTensor *v, const DLTensor *out,
                  const DLTensor *lse, const DLTensor *dout, const DLTensor *dlse,
                  const smelt_sdpa_options *options);
void ref_moe_routing(DLTensor *expert_ids, DLTensor *weights, const DLTensor *logits,
                     const DLTensor *per_expert_scale, const smelt_moe_options *options);
void ref_moe_routing_vjp(DLTensor *dlogits, DLTensor *dper_expert_scale, const DLTensor *logits,
                         const DLTensor *per_expert_scale, const DLTensor *expert_ids,
                         const DLTensor *dweights, const smelt_moe_options *options);
void ref_sdpa_merge(DLTensor *out, DLTensor *lse, const DLTensor *outs, const DLTensor *lses);

#endif
