/* SPDX-License-Identifier: Apache-2.0 */
/* The Hopper kernels of the gradient that are built, by head size.
 *
 * KEYS(D, Dv, queries a step, stages, which, ahead, general): gradients of 128 keys a block; which = 1 dk, 2
 * dv, 3 both in one; ahead: as VjpLayout. QUERIES(D, Dv, keys a step, stages, ahead, general): of 128
 * queries. General kernels know masks and soft capping. The first row that fits is taken. Smaller head sizes
 * run on the next larger row: the tensor copies fill with zeros. */
#ifndef SMELT_CUDA_SDPA_VJP_ROWS_H
#define SMELT_CUDA_SDPA_VJP_ROWS_H

/* clang-format off */
#define SMELT_VJP_KEYS_64(KEYS)   KEYS( 64,  64, 96, 3, 3, 1, 0) KEYS( 64,  64, 64, 4, 3, 0, 1)
#define SMELT_VJP_KEYS_96(KEYS)   KEYS( 96,  96, 64, 3, 3, 1, 0) KEYS( 96,  96, 64, 3, 3, 0, 1)
#define SMELT_VJP_KEYS_128(KEYS)  KEYS(128, 128, 48, 4, 3, 1, 0) KEYS(128, 128, 48, 4, 3, 0, 1)
#define SMELT_VJP_KEYS_192(KEYS)  KEYS(192, 192, 48, 3, 1, 1, 0) KEYS(192, 192, 64, 3, 2, 1, 0)          \
                                  KEYS(192, 192, 48, 3, 1, 0, 1) KEYS(192, 192, 64, 3, 2, 0, 1)
#define SMELT_VJP_KEYS_256(KEYS)  KEYS(256, 256, 32, 3, 1, 1, 0) KEYS(256, 256, 48, 3, 2, 1, 0)          \
                                  KEYS(256, 256, 48, 2, 1, 0, 1) KEYS(256, 256, 48, 3, 2, 0, 1)
#define SMELT_VJP_QUERIES_64(QUERIES)   QUERIES( 64,  64, 128, 3, 1, 0) QUERIES( 64,  64, 64, 3, 1, 1)
#define SMELT_VJP_QUERIES_96(QUERIES)   QUERIES( 96,  96,  96, 3, 1, 0) QUERIES( 96,  96, 64, 3, 1, 1)
#define SMELT_VJP_QUERIES_128(QUERIES)  QUERIES(128, 128,  80, 4, 1, 0) QUERIES(128, 128, 64, 3, 1, 1)
#define SMELT_VJP_QUERIES_192(QUERIES)  QUERIES(192, 192,  64, 2, 0, 0) QUERIES(192, 192, 48, 3, 1, 1)
#define SMELT_VJP_QUERIES_256(QUERIES)  QUERIES(256, 256,  48, 2, 0, 0) QUERIES(256, 256, 48, 2, 0, 1)
#define SMELT_VJP_KEYS(KEYS)                                                                    \
    SMELT_VJP_KEYS_64(KEYS) SMELT_VJP_KEYS_96(KEYS) SMELT_VJP_KEYS_128(KEYS)                    \
    SMELT_VJP_KEYS_192(KEYS) SMELT_VJP_KEYS_256(KEYS)
#define SMELT_VJP_QUERIES(QUERIES)                                                              \
    SMELT_VJP_QUERIES_64(QUERIES) SMELT_VJP_QUERIES_96(QUERIES) SMELT_VJP_QUERIES_128(QUERIES)  \
    SMELT_VJP_QUERIES_192(QUERIES) SMELT_VJP_QUERIES_256(QUERIES)
/* clang-format on */

#endif
