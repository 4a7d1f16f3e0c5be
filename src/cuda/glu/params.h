/* SPDX-License-Identifier: Apache-2.0 */
/* One launch of glu or its gradient, and the list of kernels. Shared with device code. */
#ifndef SMELT_CUDA_GLU_PARAMS_H
#define SMELT_CUDA_GLU_PARAMS_H

#include "../walk.h"

/* The tensors; forward has gate, up and out. */
enum { SMELT_GLU_GATE, SMELT_GLU_UP, SMELT_GLU_OUT, SMELT_GLU_DGATE, SMELT_GLU_DUP, SMELT_GLU_TENSORS };
/* Activations, in the order of enum smelt_activation. */
enum { SMELT_GLU_SILU, SMELT_GLU_GELU, SMELT_GLU_GELU_TANH };

typedef struct smelt_glu_params {
    smelt_walk walk;               /* of rows; of elements in the generic kernels */
    char *data[SMELT_GLU_TENSORS]; /* NULL where absent; OUT is the cotangent in a gradient */
    int64_t length;                /* elements of a row */
    int64_t vectors;               /* of a row, the last one perhaps a part */
    int32_t streaming, narrow;     /* the latter: fewer than 2^31 vectors */
} smelt_glu_params;

/* X(kernel, activation, vectors a thread): for every type, in the image of the type. The generic ones have
 * none. */
#define SMELT_GLU_ROWS(X)                                                                                    \
    X(smelt_glu_silu_0, SMELT_GLU_SILU, 0)                                                                   \
    X(smelt_glu_silu_1, SMELT_GLU_SILU, 1)                                                                   \
    X(smelt_glu_silu_2, SMELT_GLU_SILU, 2)                                                                   \
    X(smelt_glu_gelu_0, SMELT_GLU_GELU, 0)                                                                   \
    X(smelt_glu_gelu_1, SMELT_GLU_GELU, 1)                                                                   \
    X(smelt_glu_gelu_2, SMELT_GLU_GELU, 2)                                                                   \
    X(smelt_glu_gelu_tanh_0, SMELT_GLU_GELU_TANH, 0)                                                         \
    X(smelt_glu_gelu_tanh_1, SMELT_GLU_GELU_TANH, 1)                                                         \
    X(smelt_glu_gelu_tanh_2, SMELT_GLU_GELU_TANH, 2)
#define SMELT_GLU_VJP_ROWS(X)                                                                                \
    X(smelt_glu_vjp_silu_0, SMELT_GLU_SILU, 0)                                                               \
    X(smelt_glu_vjp_silu_1, SMELT_GLU_SILU, 1)                                                               \
    X(smelt_glu_vjp_silu_2, SMELT_GLU_SILU, 2)                                                               \
    X(smelt_glu_vjp_gelu_0, SMELT_GLU_GELU, 0)                                                               \
    X(smelt_glu_vjp_gelu_1, SMELT_GLU_GELU, 1)                                                               \
    X(smelt_glu_vjp_gelu_2, SMELT_GLU_GELU, 2)                                                               \
    X(smelt_glu_vjp_gelu_tanh_0, SMELT_GLU_GELU_TANH, 0)                                                     \
    X(smelt_glu_vjp_gelu_tanh_1, SMELT_GLU_GELU_TANH, 1)                                                     \
    X(smelt_glu_vjp_gelu_tanh_2, SMELT_GLU_GELU_TANH, 2)

enum { SMELT_GLU_THREADS = 256 };

#endif
