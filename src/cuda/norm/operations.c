/* SPDX-License-Identifier: Apache-2.0 */
/* The operations of the norm family, as calls of smelt_cuda_norm(). */
#include "api/layer_norm.h"
#include "api/norm_add.h"
#include "api/residual_norm.h"
#include "api/rms_norm.h"
#include "norm.h"

smelt_status smelt_cuda_rms_norm(const struct smelt_rms_norm_args *a)
{
    const struct smelt_cuda_norm job = {.operation = "rms_norm",
                                        .run = a->run,
                                        .kind = SMELT_NORM_RMS,
                                        .options = a->options,
                                        .view = {[SMELT_ROW_X] = a->x, [SMELT_ROW_OUT] = a->out},
                                        .weight = a->weight};
    return smelt_cuda_norm(&job);
}

smelt_status smelt_cuda_rms_norm_vjp(const struct smelt_rms_norm_vjp_args *a)
{
    const struct smelt_cuda_norm job = {
        .operation = "rms_norm_vjp",
        .run = a->run,
        .kind = SMELT_NORM_RMS,
        .gradient = true,
        .options = a->options,
        .view = {[SMELT_ROW_X] = a->x, [SMELT_ROW_OUT] = a->dout, [SMELT_ROW_DX] = a->dx},
        .weight = a->weight,
        .dweight = a->dweight};
    return smelt_cuda_norm(&job);
}

smelt_status smelt_cuda_layer_norm(const struct smelt_layer_norm_args *a)
{
    const struct smelt_cuda_norm job = {.operation = "layer_norm",
                                        .run = a->run,
                                        .kind = SMELT_NORM_LAYER,
                                        .options = a->options,
                                        .view = {[SMELT_ROW_X] = a->x, [SMELT_ROW_OUT] = a->out},
                                        .weight = a->weight,
                                        .bias = a->bias};
    return smelt_cuda_norm(&job);
}

smelt_status smelt_cuda_layer_norm_vjp(const struct smelt_layer_norm_vjp_args *a)
{
    const struct smelt_cuda_norm job = {
        .operation = "layer_norm_vjp",
        .run = a->run,
        .kind = SMELT_NORM_LAYER,
        .gradient = true,
        .options = a->options,
        .view = {[SMELT_ROW_X] = a->x, [SMELT_ROW_OUT] = a->dout, [SMELT_ROW_DX] = a->dx},
        .weight = a->weight,
        .dweight = a->dweight,
        .dbias = a->dbias};
    return smelt_cuda_norm(&job);
}

smelt_status smelt_cuda_norm_add(const struct smelt_norm_add_args *a)
{
    const struct smelt_cuda_norm job = {
        .operation = "norm_add",
        .run = a->run,
        .kind = SMELT_NORM_ADD_TO,
        .options = a->options,
        .view = {[SMELT_ROW_X] = a->x, [SMELT_ROW_RESIDUAL] = a->residual, [SMELT_ROW_OUT] = a->out},
        .weight = a->weight,
        .scalar = a->scalar};
    return smelt_cuda_norm(&job);
}

smelt_status smelt_cuda_norm_add_vjp(const struct smelt_norm_add_vjp_args *a)
{
    const struct smelt_cuda_norm job = {.operation = "norm_add_vjp",
                                        .run = a->run,
                                        .kind = SMELT_NORM_ADD_TO,
                                        .gradient = true,
                                        .options = a->options,
                                        .view = {[SMELT_ROW_X] = a->x,
                                                 [SMELT_ROW_RESIDUAL] = a->dscalar ? a->residual : NULL,
                                                 [SMELT_ROW_OUT] = a->dout,
                                                 [SMELT_ROW_DX] = a->dx,
                                                 [SMELT_ROW_DRESIDUAL] = a->dresidual},
                                        .weight = a->weight,
                                        .scalar = a->scalar,
                                        .dweight = a->dweight,
                                        .dscalar = a->dscalar};
    return smelt_cuda_norm(&job);
}

smelt_status smelt_cuda_residual_norm(const struct smelt_residual_norm_args *a)
{
    const struct smelt_cuda_norm job = {.operation = "residual_norm",
                                        .run = a->run,
                                        .kind = SMELT_NORM_OF_SUM,
                                        .options = a->options,
                                        .view = {[SMELT_ROW_X] = a->x,
                                                 [SMELT_ROW_RESIDUAL] = a->residual,
                                                 [SMELT_ROW_OUT] = a->out,
                                                 [SMELT_ROW_SUM] = a->sum},
                                        .weight = a->weight,
                                        .scalar = a->scalar};
    return smelt_cuda_norm(&job);
}

smelt_status smelt_cuda_residual_norm_vjp(const struct smelt_residual_norm_vjp_args *a)
{
    const struct smelt_cuda_norm job = {.operation = "residual_norm_vjp",
                                        .run = a->run,
                                        .kind = SMELT_NORM_OF_SUM,
                                        .gradient = true,
                                        .options = a->options,
                                        .view = {[SMELT_ROW_X] = a->x,
                                                 [SMELT_ROW_RESIDUAL] = a->residual,
                                                 [SMELT_ROW_OUT] = a->dout,
                                                 [SMELT_ROW_SUM] = a->dsum,
                                                 [SMELT_ROW_DX] = a->dx,
                                                 [SMELT_ROW_DRESIDUAL] = a->dresidual},
                                        .weight = a->weight,
                                        .scalar = a->scalar,
                                        .dweight = a->dweight,
                                        .dscalar = a->dscalar};
    return smelt_cuda_norm(&job);
}
