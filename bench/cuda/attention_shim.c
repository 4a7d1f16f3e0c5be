/* SPDX-License-Identifier: Apache-2.0 */
/* What attention_sweep.py calls: one kernel by number, on a device that PyTorch has made current. */
#include "../../src/cuda/sdpa/launch.h"

__attribute__((visibility("default"))) int bench_kernel_count(void) { return smelt_sdpa_kernel_count; }

__attribute__((visibility("default"))) const struct smelt_sdpa_kernel *bench_kernel(int index)
{
    return &smelt_sdpa_kernels[index];
}

/* Bytes of scratch for kernel `index` (-1: chosen, returned in *chosen). */
__attribute__((visibility("default"))) size_t bench_plan(smelt_sdpa_params *p, int index, int *chosen)
{
    const struct smelt_sdpa_card card = {9, 0, 132};
    *chosen = index < 0 ? smelt_sdpa_choose(p, &card) : index;
    return smelt_sdpa_plan(p, *chosen, &card);
}

__attribute__((visibility("default"))) int bench_launch(smelt_sdpa_params *p, int index, void *stream)
{
    const struct smelt_sdpa_card card = {9, 0, 132};
    return (int)smelt_sdpa_launch(p, index, &card, stream);
}
