/* SPDX-License-Identifier: Apache-2.0 */
/* The gradient of residual_norm on the CPU. */
#include "api/residual_norm.h"
#include "cpu/norm/norm.h"
#include "cpu/residual_norm/residual_norm_kernel.h"

smelt_status smelt_cpu_residual_norm_vjp(const struct smelt_residual_norm_vjp_args *args)
{
    static const void *const tables[SMELT_ISA_COUNT] = SMELT_KERNEL_TABLES(smelt_residual_norm_vjp);
    struct smelt_norm_job job = {"residual_norm_vjp", args->run, smelt_best_kernels(tables),
                                 .options = args->options};
    job.view[SMELT_NORM_X] = args->x;
    job.view[SMELT_NORM_RESIDUAL] = args->residual;
    job.view[SMELT_NORM_OUT] = args->dout;
    job.view[SMELT_NORM_SUM] = args->dsum;
    job.view[SMELT_NORM_DX] = args->dx;
    job.view[SMELT_NORM_DRESIDUAL] = args->dresidual;
    job.outputs = 1u << SMELT_NORM_DX | 1u << SMELT_NORM_DRESIDUAL;
    job.weight = args->weight, job.scalar = args->scalar;
    job.dweight = args->dweight, job.dscalar = args->dscalar;
    job.options.round_once = 1;
    return smelt_norm_vjp(&job);
}
