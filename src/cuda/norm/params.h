/* SPDX-License-Identifier: Apache-2.0 */
/* One launch of a kernel of the norm family, and the list of kernels. Shared with device code. */
#ifndef SMELT_CUDA_NORM_PARAMS_H
#define SMELT_CUDA_NORM_PARAMS_H

#include "../walk.h"

/* Operations, and the row tensors of a call. In a gradient OUT and SUM are the cotangents dout and dsum. */
enum { SMELT_NORM_RMS, SMELT_NORM_LAYER, SMELT_NORM_ADD_TO, SMELT_NORM_OF_SUM, SMELT_NORM_KINDS };
enum { SMELT_ROW_X, SMELT_ROW_RESIDUAL, SMELT_ROW_OUT, SMELT_ROW_SUM, SMELT_ROW_DX, SMELT_ROW_DRESIDUAL };

/* A vector over the row: weight, bias, scalar, or a gradient of one; NULL where absent. */
typedef struct smelt_norm_column {
    char *data;
    int64_t step; /* bytes; 0 where it has one element */
    int32_t type;
} smelt_norm_column;

typedef struct smelt_norm_params {
    smelt_walk walk;
    char *data[SMELT_WALK_TENSORS]; /* by SMELT_ROW_*; NULL where absent */
    smelt_norm_column weight, bias, scalar;
    int64_t dim;
    float eps, weight_offset, inverse_dim;
    int32_t round_once, streaming;
    int32_t lanes, cluster;   /* the team of a row: see team.cuh */
    float *by_norm, *by_dout; /* gradients: sums over the rows of each team, (teams, dim); or NULL */
    /* the generic kernels alone */
    int64_t step[SMELT_WALK_TENSORS]; /* bytes between elements of a row */
    int32_t type[SMELT_WALK_TENSORS];
    int32_t packed[SMELT_WALK_TENSORS]; /* 4 elements at a time, aligned */
    int32_t gain_type, bias_type; /* weight + offset, the normalised row and bias are rounded to these */
} smelt_norm_params;

/* What becomes of the sums of all teams. */
typedef struct smelt_norm_columns_params {
    const float *by_norm, *by_dout; /* (teams, dim), or NULL */
    int64_t teams, dim;
    smelt_norm_column weight, scalar, dweight, dbias, dscalar;
    float weight_offset;
    float *terms; /* (dim): those of a dscalar of length 1 */
} smelt_norm_columns_params;

/* X(kernel, kind, vectors of 16 bytes a thread): one of each for every type, in the image of the type */
#define SMELT_NORM_FORWARD_ROWS(X)                                                                           \
    X(smelt_rms_norm_1, SMELT_NORM_RMS, 1)                                                                   \
    X(smelt_rms_norm_2, SMELT_NORM_RMS, 2)                                                                   \
    X(smelt_rms_norm_4, SMELT_NORM_RMS, 4)                                                                   \
    X(smelt_rms_norm_8, SMELT_NORM_RMS, 8)                                                                   \
    X(smelt_layer_norm_1, SMELT_NORM_LAYER, 1)                                                               \
    X(smelt_layer_norm_2, SMELT_NORM_LAYER, 2)                                                               \
    X(smelt_layer_norm_4, SMELT_NORM_LAYER, 4)                                                               \
    X(smelt_layer_norm_8, SMELT_NORM_LAYER, 8)                                                               \
    X(smelt_norm_add_1, SMELT_NORM_ADD_TO, 1)                                                                \
    X(smelt_norm_add_2, SMELT_NORM_ADD_TO, 2)                                                                \
    X(smelt_norm_add_4, SMELT_NORM_ADD_TO, 4)                                                                \
    X(smelt_residual_norm_1, SMELT_NORM_OF_SUM, 1)                                                           \
    X(smelt_residual_norm_2, SMELT_NORM_OF_SUM, 2)                                                           \
    X(smelt_residual_norm_4, SMELT_NORM_OF_SUM, 4)
#define SMELT_NORM_VJP_ROWS(X)                                                                               \
    X(smelt_rms_norm_vjp_1, SMELT_NORM_RMS, 1)                                                               \
    X(smelt_rms_norm_vjp_2, SMELT_NORM_RMS, 2)                                                               \
    X(smelt_layer_norm_vjp_1, SMELT_NORM_LAYER, 1)                                                           \
    X(smelt_layer_norm_vjp_2, SMELT_NORM_LAYER, 2)                                                           \
    X(smelt_norm_add_vjp_1, SMELT_NORM_ADD_TO, 1) X(smelt_norm_add_vjp_2, SMELT_NORM_ADD_TO, 2)              \
        X(smelt_residual_norm_vjp_1, SMELT_NORM_OF_SUM, 1)                                                   \
            X(smelt_residual_norm_vjp_2, SMELT_NORM_OF_SUM, 2)
/* in the image of all types */
#define SMELT_NORM_GENERIC_ROWS(X)                                                                           \
    X(smelt_rms_norm_generic, SMELT_NORM_RMS)                                                                \
    X(smelt_layer_norm_generic, SMELT_NORM_LAYER)                                                            \
    X(smelt_norm_add_generic, SMELT_NORM_ADD_TO) X(smelt_residual_norm_generic, SMELT_NORM_OF_SUM)
#define SMELT_NORM_GENERIC_VJP_ROWS(X)                                                                       \
    X(smelt_rms_norm_vjp_generic, SMELT_NORM_RMS)                                                            \
    X(smelt_layer_norm_vjp_generic, SMELT_NORM_LAYER)                                                        \
    X(smelt_norm_add_vjp_generic, SMELT_NORM_ADD_TO) X(smelt_residual_norm_vjp_generic, SMELT_NORM_OF_SUM)

/* Most threads of a block. */
enum { SMELT_NORM_THREADS = 512, SMELT_NORM_GENERIC_THREADS = 256 };

#endif
