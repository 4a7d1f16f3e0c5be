/* SPDX-License-Identifier: Apache-2.0 */
/* The gradient of layer_norm on the CPU. */
#include "api/layer_norm.h"
#include "cpu/norm/norm.h"
#include "cpu/layer_norm/layer_norm_kernel.h"

smelt_status smelt_cpu_layer_norm_vjp(const struct smelt_layer_norm_vjp_args *args)
{
    static const void *const tables[SMELT_ISA_COUNT] = SMELT_KERNEL_TABLES(smelt_layer_norm_vjp);
    struct smelt_norm_job job = {"layer_norm_vjp", args->run, smelt_best_kernels(tables),
                                 .options = args->options};
    job.view[SMELT_NORM_X] = args->x;
    job.view[SMELT_NORM_OUT] = args->dout;
    job.view[SMELT_NORM_DX] = args->dx;
    job.outputs = 1u << SMELT_NORM_DX;
    job.weight = args->weight, job.dweight = args->dweight, job.dbias = args->dbias;
    job.options.round_once = 1;
    return smelt_norm_vjp(&job);
}
