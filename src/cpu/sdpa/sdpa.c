/* SPDX-License-Identifier: Apache-2.0 */
/* sdpa on the CPU: the plan, its scratch, its threads. */
#include "api/sdpa.h"

#include "cpu/sdpa/decode.h"
#include "cpu/sdpa/plan.h"

static const struct smelt_sdpa_tiles *best_tiles(const struct smelt_sdpa_args *args)
{
    static const void *const tables[SMELT_ISA_COUNT] = SMELT_KERNEL_TABLES(smelt_sdpa_tiles);
    (void)args;
    return smelt_best_kernels(tables);
}

size_t smelt_cpu_sdpa_workspace(const struct smelt_sdpa_args *args)
{
    struct sdpa_plan plan;
    if (sdpa_decodes(args)) return sdpa_decode_workspace(args);
    return sdpa_plan_init(&plan, args, best_tiles(args));
}

smelt_status smelt_cpu_sdpa(const struct smelt_sdpa_args *args)
{
    struct sdpa_plan plan;
    if (args->batch == 0 || args->heads == 0 || args->q_len == 0) return SMELT_OK;
    if (sdpa_decodes(args)) return sdpa_decode(args);
    size_t bytes = sdpa_plan_init(&plan, args, best_tiles(args));
    void *scratch;
    SMELT_TRY(smelt_scratch(args->run, "sdpa", bytes, &scratch));
    plan.scratch = scratch;
    int64_t blocks = plan.units * plan.blocks;
    smelt_parallel(args->run, SMELT_DYNAMIC, blocks * plan.splits, sdpa_prefill, &plan);
    if (plan.splits > 1) smelt_parallel(args->run, SMELT_DYNAMIC, blocks, sdpa_prefill_merge, &plan);
    return SMELT_OK;
}
