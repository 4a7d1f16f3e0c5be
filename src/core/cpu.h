/* SPDX-License-Identifier: Apache-2.0 */
/* What this processor can do, and which kernels it gets. */
#ifndef SMELT_CORE_CPU_H
#define SMELT_CORE_CPU_H

#include <stddef.h>
#include <stdint.h>

#include "core/status.h"

/* Weakest first: a processor that has one has all before it of its family. */
enum smelt_isa {
    SMELT_ISA_SCALAR,
    SMELT_ISA_AVX2,       /* with FMA and F16C */
    SMELT_ISA_AVX512,     /* F, BW, CD, DQ, VL */
    SMELT_ISA_AVX512BF16, /* with BF16 */
    SMELT_ISA_AVX512FP16, /* with FP16 */
    SMELT_ISA_AMX,        /* with AMX-TILE and AMX-BF16 */
    SMELT_ISA_NEON,       /* AArch64 */
    SMELT_ISA_COUNT,
};

const char *smelt_isa_name(enum smelt_isa isa);
enum smelt_isa smelt_isa_found(void);       /* of the processor */
int smelt_isa_runs(enum smelt_isa isa);     /* it is of this architecture, and the processor has it */
smelt_status smelt_isa_check(void);         /* error where SMELT_ISA names no ISA of this architecture */
enum smelt_isa smelt_isa_used(void);        /* found, capped by SMELT_ISA or smelt_isa_limit() */
void smelt_isa_limit(enum smelt_isa isa);   /* for the harness: another cap from now on */
int64_t smelt_last_level_cache_bytes(void); /* outputs above it are written with streaming stores */
void smelt_last_level_cache_limit(
    int64_t bytes);         /* for the harness: another size from now on; 0: the real one */
int smelt_core_count(void); /* cores that this process may run on */

/* A table of kernels per ISA, weakest first, NULL where there is none: the best one that may be used. */
static inline const void *smelt_best_kernels(const void *const tables[SMELT_ISA_COUNT])
{
    for (int isa = (int)smelt_isa_used(); isa > 0; isa--)
        if (tables[isa]) return tables[isa];
    return tables[SMELT_ISA_SCALAR];
}

#endif
