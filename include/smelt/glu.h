/* SPDX-License-Identifier: Apache-2.0 */
/* Gated activation (SwiGLU, GeGLU) and its gradient. Rules: see base.h.
 *
 *   out = activation(gate) * up      silu(g) = g / (1 + exp(-g))
 *   gelu(g) = g/2 (1 + erf(g/sqrt 2)),  gelu_tanh(g) = g/2 (1 + tanh(sqrt(2/pi) (g + 0.044715 g^3))) */
#ifndef SMELT_GLU_H
#define SMELT_GLU_H

#include "base.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum smelt_activation { SMELT_SILU = 0, SMELT_GELU = 1, SMELT_GELU_TANH = 2 } smelt_activation;

/* out, gate and up have one shape (any rank) and one dtype. float32 inside, rounded once.
 * out = gate and out = up are legal. */
SMELT_API smelt_status smelt_glu(DLTensor *out, const DLTensor *gate, const DLTensor *up,
                                 smelt_activation activation, const smelt_stream *stream);

/* dgate and dup, each of which may be NULL; all of one shape and dtype. */
SMELT_API smelt_status smelt_glu_vjp(DLTensor *dgate /*?*/, DLTensor *dup /*?*/, const DLTensor *gate,
                                     const DLTensor *up, const DLTensor *dout, smelt_activation activation,
                                     const smelt_stream *stream);

#ifdef __cplusplus
}
#endif
#endif
