/* SPDX-License-Identifier: Apache-2.0 */
/* residual_norm on the CPU. */
#include "api/residual_norm.h"
#include "cpu/norm/norm.h"
#include "cpu/residual_norm/residual_norm_kernel.h"

smelt_status smelt_cpu_residual_norm(const struct smelt_residual_norm_args *args)
{
    static const void *const tables[SMELT_ISA_COUNT] = SMELT_KERNEL_TABLES(smelt_residual_norm);
    struct smelt_norm_job job = {"residual_norm", args->run, smelt_best_kernels(tables),
                                 .options = args->options};
    job.view[SMELT_NORM_X] = args->x;
    job.view[SMELT_NORM_RESIDUAL] = args->residual;
    job.view[SMELT_NORM_OUT] = args->out;
    job.view[SMELT_NORM_SUM] = args->sum;
    job.outputs = 1u << SMELT_NORM_OUT | 1u << SMELT_NORM_SUM;
    job.weight = args->weight, job.scalar = args->scalar;
    job.row = true;
    job.options.round_once = 1;
    return smelt_norm_forward(&job);
}
