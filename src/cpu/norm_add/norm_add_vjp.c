/* SPDX-License-Identifier: Apache-2.0 */
/* The gradient of norm_add on the CPU. */
#include "api/norm_add.h"
#include "cpu/norm/norm.h"
#include "cpu/norm_add/norm_add_kernel.h"

smelt_status smelt_cpu_norm_add_vjp(const struct smelt_norm_add_vjp_args *args)
{
    static const void *const tables[SMELT_ISA_COUNT] = SMELT_KERNEL_TABLES(smelt_norm_add_vjp);
    struct smelt_norm_job job = {"norm_add_vjp", args->run, smelt_best_kernels(tables),
                                 .options = args->options};
    job.view[SMELT_NORM_X] = args->x;
    job.view[SMELT_NORM_RESIDUAL] = args->residual;
    job.view[SMELT_NORM_OUT] = args->dout;
    job.view[SMELT_NORM_DX] = args->dx;
    job.view[SMELT_NORM_DRESIDUAL] = args->dresidual;
    job.outputs = 1u << SMELT_NORM_DX | 1u << SMELT_NORM_DRESIDUAL;
    job.weight = args->weight, job.scalar = args->scalar;
    job.dweight = args->dweight, job.dscalar = args->dscalar, job.dscalar_by_dout = args->dscalar != NULL;
    job.options.round_once = 1;
    return smelt_norm_vjp(&job);
}
