/* SPDX-License-Identifier: Apache-2.0 */
/* What attention_sweep.py calls: kernels by number, on a device that PyTorch has made current. */
#include <string.h>

#include "../../src/cuda/sdpa/vjp_launch.h"

__attribute__((visibility("default"))) int bench_kernel_count(void) { return smelt_sdpa_kernel_count; }

__attribute__((visibility("default"))) const struct smelt_sdpa_kernel *bench_kernel(int index)
{
    return &smelt_sdpa_kernels[index];
}

/* May kernel `index` do this problem? */
__attribute__((visibility("default"))) int bench_can(const smelt_sdpa_params *p, int index)
{
    const struct smelt_sdpa_card card = {9, 0, 132};
    return smelt_sdpa_can(p, index, &card);
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

__attribute__((visibility("default"))) int bench_vjp_count(void) { return smelt_vjp_kernel_count; }

__attribute__((visibility("default"))) const struct smelt_vjp_kernel *bench_vjp_kernel(int index)
{
    return &smelt_vjp_kernels[index];
}

/* The gradient from a forward problem with out and lse; views are dout, dq, dk, dv (data NULL: not wanted).
 * Kernels -1 are chosen. With scratch NULL returns the bytes that it needs, else the driver's answer. */
__attribute__((visibility("default"))) long long bench_vjp(const void *problem,
                                                           const smelt_sdpa_view views[4], void *scratch,
                                                           int queries, int keys, void *stream)
{
    const struct smelt_sdpa_card card = {9, 0, 132};
    struct smelt_vjp_plan plan;
    smelt_sdpa_vjp_params g = {.dout = views[0], .dq = views[1], .dk = views[2], .dv = views[3]};
    memcpy(&g.forward, problem, sizeof(g.forward)); /* which need not be aligned */
    g.scale = (float)(g.forward.scale_log2 / 1.4426950408889634);
    const size_t bytes = smelt_vjp_plan(&g, &plan, &card);
    if (!scratch) return (long long)bytes;
    if (queries >= 0) plan.queries = queries;
    if (keys >= 0) plan.keys = plan.values = keys;
    smelt_vjp_bind(&g, scratch);
    return smelt_vjp_launch(&g, &plan, stream);
}
