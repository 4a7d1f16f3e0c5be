/* SPDX-License-Identifier: Apache-2.0 */
/* The tiles for q, k and v of bfloat16 where the processor multiplies it. An AMX micro-kernel would be one
 * more struct smelt_sdpa_tiles, with its own packing. */
#ifndef SMELT_CPU_SDPA_BF16_KERNEL_H
#define SMELT_CPU_SDPA_BF16_KERNEL_H

#include "cpu/sdpa/sdpa_kernel.h"

extern const struct smelt_sdpa_tiles smelt_sdpa_bf16_tiles;

#if defined(SMELT_EMULATE_BF16)
#    define SMELT_SDPA_BF16_ISA SMELT_ISA_AVX512
#else
#    define SMELT_SDPA_BF16_ISA SMELT_ISA_AVX512BF16
#endif

#endif
