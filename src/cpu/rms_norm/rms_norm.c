/* SPDX-License-Identifier: Apache-2.0 */
/* rms_norm on the CPU. */
#include "api/rms_norm.h"
#include "cpu/norm/norm.h"
#include "cpu/rms_norm/rms_norm_kernel.h"

smelt_status smelt_cpu_rms_norm(const struct smelt_rms_norm_args *args)
{
    static const void *const tables[SMELT_ISA_COUNT] = SMELT_KERNEL_TABLES(smelt_rms_norm);
    struct smelt_norm_job job = {"rms_norm", args->run, smelt_best_kernels(tables), .options = args->options};
    job.view[SMELT_NORM_X] = args->x;
    job.view[SMELT_NORM_OUT] = args->out;
    job.outputs = 1u << SMELT_NORM_OUT;
    job.weight = args->weight;
    if (!args->options.round_once) job.gain_dtype = job.column_dtype = args->out->dtype;
    return smelt_norm_forward(&job);
}
