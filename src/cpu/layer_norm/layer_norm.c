/* SPDX-License-Identifier: Apache-2.0 */
/* layer_norm on the CPU. */
#include "api/layer_norm.h"
#include "cpu/norm/norm.h"
#include "cpu/layer_norm/layer_norm_kernel.h"

smelt_status smelt_cpu_layer_norm(const struct smelt_layer_norm_args *args)
{
    static const void *const tables[SMELT_ISA_COUNT] = SMELT_KERNEL_TABLES(smelt_layer_norm);
    struct smelt_norm_job job = {"layer_norm", args->run, smelt_best_kernels(tables),
                                 .options = args->options};
    job.view[SMELT_NORM_X] = args->x;
    job.view[SMELT_NORM_OUT] = args->out;
    job.outputs = 1u << SMELT_NORM_OUT;
    job.weight = args->weight, job.bias = args->bias;
    job.bias_dtype = args->out->dtype; /* without a weight the bias does not promote */
    if (!args->options.round_once) job.gain_dtype = job.column_dtype = args->out->dtype;
    return smelt_norm_forward(&job);
}
