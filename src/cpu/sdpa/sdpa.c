/* SPDX-License-Identifier: Apache-2.0 */
/* sdpa on the CPU: the plan, its scratch, its threads. */
#include "api/sdpa.h"

#include "cpu/sdpa/decode.h"
#include "cpu/sdpa/plan.h"
#include "cpu/sdpa/sdpa_bf16_kernel.h"

static const struct smelt_sdpa_tiles *best_tiles(const struct smelt_sdpa_args *args)
{
    static const void *const tables[SMELT_ISA_COUNT] = SMELT_KERNEL_TABLES(smelt_sdpa_tiles);
#ifdef __x86_64__
    enum smelt_isa isa = smelt_isa_used();
    bool bf16 = args->q->dtype == SMELT_BF16 && args->k->dtype == SMELT_BF16 && args->v->dtype == SMELT_BF16;
    /* Not above it: processors with FP16 as well run vdpbf16ps at half the rate of float32 multiply-add
     * (Sapphire Rapids, 2 threads, 2026-11-21: 178 and 340 GFLOP/s), where Zen 4 runs it at twice that rate.
     */
    if (bf16 && isa == SMELT_SDPA_BF16_ISA) return &smelt_sdpa_bf16_tiles;
#else
    (void)args;
#endif
    return smelt_best_kernels(tables);
}

static bool is_empty(const struct smelt_sdpa_args *a)
{
    return a->batch == 0 || a->heads == 0 || a->q_len == 0;
}

size_t smelt_cpu_sdpa_workspace(const struct smelt_sdpa_args *args)
{
    struct sdpa_plan plan;
    if (is_empty(args)) return 0;
    if (sdpa_decodes(args)) return sdpa_decode_workspace(args);
    return sdpa_plan_init(&plan, args, best_tiles(args));
}

smelt_status smelt_cpu_sdpa(const struct smelt_sdpa_args *args)
{
    struct sdpa_plan plan;
    if (is_empty(args)) return SMELT_OK;
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
