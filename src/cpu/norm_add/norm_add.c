/* SPDX-License-Identifier: Apache-2.0 */
/* norm_add on the CPU. */
#include "api/norm_add.h"
#include "cpu/norm/norm.h"
#include "cpu/norm_add/norm_add_kernel.h"

smelt_status smelt_cpu_norm_add(const struct smelt_norm_add_args *args)
{
    static const void *const tables[SMELT_ISA_COUNT] = SMELT_KERNEL_TABLES(smelt_norm_add);
    struct smelt_norm_job job = {"norm_add", args->run, smelt_best_kernels(tables), .options = args->options};
    job.view[SMELT_NORM_X] = args->x;
    job.view[SMELT_NORM_RESIDUAL] = args->residual;
    job.view[SMELT_NORM_OUT] = args->out;
    job.outputs = 1u << SMELT_NORM_OUT;
    job.weight = args->weight, job.scalar = args->scalar;
    job.options.round_once = 1;
    return smelt_norm_forward(&job);
}
