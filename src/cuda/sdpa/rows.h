/* SPDX-License-Identifier: Apache-2.0 */
/* The Hopper forward kernels that are built, one row each, by head size.
 *
 * ROW(D, Dv, consumer warpgroups (64 queries each), keys a tile, stages, cluster, general, ping-pong)
 * A cluster of two shares the loads of keys and values. General: 1 knows masks and soft capping, 2 a mask
 * tensor alone that can be read in wide pieces. Smaller head sizes run on the next larger row: the tensor
 * copies fill with zeros. */
#ifndef SMELT_CUDA_SDPA_ROWS_H
#define SMELT_CUDA_SDPA_ROWS_H

/* clang-format off */
#define SMELT_SDPA_ROWS_64(ROW)          \
    ROW( 64,  64, 3, 112, 2, 1, 0, 1)    \
    ROW( 64,  64, 2, 128, 3, 1, 0, 1)    \
    ROW( 64,  64, 2, 128, 2, 1, 1, 1)    \
    ROW( 64,  64, 2, 128, 2, 1, 2, 1)    \
    ROW( 64,  64, 2, 128, 2, 1, 3, 1)
#define SMELT_SDPA_ROWS_96(ROW)          \
    ROW( 96,  96, 2, 176, 2, 1, 0, 1)    \
    ROW( 96,  96, 2, 128, 2, 1, 0, 1)    \
    ROW( 96,  96, 2,  96, 2, 1, 1, 1)    \
    ROW( 96,  96, 2, 128, 2, 1, 2, 1)    \
    ROW( 96,  96, 2, 128, 2, 1, 3, 1)
#define SMELT_SDPA_ROWS_128(ROW)         \
    ROW(128, 128, 2, 176, 2, 1, 0, 1)    \
    ROW(128, 128, 2, 128, 2, 1, 0, 1)    \
    ROW(128, 128, 2,  96, 2, 1, 1, 1)    \
    ROW(128, 128, 2, 128, 2, 1, 2, 1)    \
    ROW(128, 128, 2,  64, 4, 1, 3, 1)
#define SMELT_SDPA_ROWS_192(ROW)         \
    ROW(192, 192, 2, 112, 2, 1, 0, 0)    \
    ROW(192, 192, 2,  64, 2, 1, 1, 0)    \
    ROW(192, 128, 2, 128, 2, 1, 0, 0)    \
    ROW(192, 128, 2,  96, 2, 1, 1, 0)    \
    ROW(192, 192, 2,  64, 2, 1, 2, 0)    \
    ROW(192, 192, 2,  64, 2, 1, 3, 0)
#define SMELT_SDPA_ROWS_256(ROW)         \
    ROW(256, 256, 2,  80, 2, 1, 0, 0)    \
    ROW(256, 256, 2,  48, 2, 1, 1, 0)    \
    ROW(256, 256, 2,  48, 2, 1, 2, 0)
#define SMELT_SDPA_ROWS(ROW)                                                                    \
    SMELT_SDPA_ROWS_64(ROW) SMELT_SDPA_ROWS_96(ROW) SMELT_SDPA_ROWS_128(ROW)                    \
    SMELT_SDPA_ROWS_192(ROW) SMELT_SDPA_ROWS_256(ROW)

/* Few queries, keys split over blocks: SPLIT(D, Dv, keys a tile, stages, general). */
#define SMELT_SDPA_SPLIT_64(SPLIT)  SPLIT( 64,  64, 128, 6, 0) SPLIT( 64,  64, 128, 6, 1)
#define SMELT_SDPA_SPLIT_96(SPLIT)  SPLIT( 96,  96, 128, 4, 0) SPLIT( 96,  96, 128, 4, 1)
#define SMELT_SDPA_SPLIT_128(SPLIT) SPLIT(128, 128, 128, 3, 0) SPLIT(128, 128, 128, 3, 1)
#define SMELT_SDPA_SPLIT_192(SPLIT) SPLIT(192, 192,  64, 4, 0) SPLIT(192, 192,  64, 4, 1)
#define SMELT_SDPA_SPLIT_256(SPLIT) SPLIT(256, 256,  64, 3, 0) SPLIT(256, 256,  64, 3, 1)
#define SMELT_SDPA_SPLITS(SPLIT)                                                                \
    SMELT_SDPA_SPLIT_64(SPLIT) SMELT_SDPA_SPLIT_96(SPLIT) SMELT_SDPA_SPLIT_128(SPLIT)           \
    SMELT_SDPA_SPLIT_192(SPLIT) SMELT_SDPA_SPLIT_256(SPLIT)
/* clang-format on */

#endif
