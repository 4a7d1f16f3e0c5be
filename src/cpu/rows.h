/* SPDX-License-Identifier: Apache-2.0 */
/* Which ISAs a kernel file is compiled for. CMakeLists.txt compiles src/cpu/<op>/<op>_kernel.c once for each
 * name in a row list, and here the same list becomes declarations and the table that smelt_best_kernels()
 * reads. */
#ifndef SMELT_CPU_ROWS_H
#define SMELT_CPU_ROWS_H

#include "core/cpu.h"

#if defined(__x86_64__)
#    define SMELT_DECLARE_KERNELS(type, name) extern const type name##_scalar, name##_avx2, name##_avx512
#    define SMELT_KERNEL_TABLES(name)                                                                        \
        {                                                                                                    \
            [SMELT_ISA_SCALAR] = &name##_scalar, [SMELT_ISA_AVX2] = &name##_avx2,                            \
            [SMELT_ISA_AVX512] = &name##_avx512                                                              \
        }
#elif defined(__aarch64__)
#    define SMELT_DECLARE_KERNELS(type, name) extern const type name##_scalar, name##_neon
#    define SMELT_KERNEL_TABLES(name)                                                                        \
        {                                                                                                    \
            [SMELT_ISA_SCALAR] = &name##_scalar, [SMELT_ISA_NEON] = &name##_neon                             \
        }
#else
#    define SMELT_DECLARE_KERNELS(type, name) extern const type name##_scalar
#    define SMELT_KERNEL_TABLES(name)                                                                        \
        {                                                                                                    \
            [SMELT_ISA_SCALAR] = &name##_scalar                                                              \
        }
#endif

#endif
