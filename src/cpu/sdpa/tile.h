/* SPDX-License-Identifier: Apache-2.0 */
/* Sizes of the micro-kernel per ISA, and the micro-kernel: TILE_GROUP broadcast rows by up to TILE_VECTORS
 * vectors of lanes, all sums in registers. */
#ifndef SMELT_CPU_SDPA_TILE_H
#define SMELT_CPU_SDPA_TILE_H

#include "cpu/sdpa/sdpa_kernel.h"
#include "cpu/vec/math.h"

#if VEC_WIDTH == 16 || VEC_WIDTH == 4 /* 32 registers */
#    define TILE_VECTORS 3
#    define TILE_GROUP   8
#elif VEC_WIDTH == 8 /* 16 registers */
#    define TILE_VECTORS 3
#    define TILE_GROUP   4
#else /* portable: the compiler may vectorise */
#    define TILE_VECTORS 4
#    define TILE_GROUP   4
#endif
#define TILE_ROWS (TILE_VECTORS * VEC_WIDTH)

/* acc[g][v] += lanes[k * TILE_ROWS + v] * rows[g][k] over k: dot products with GROUP packed rows. */
VEC void tile_dot(vf acc[TILE_GROUP][TILE_VECTORS], int vectors, const float *lanes, const float *rows,
                  int64_t stride, int64_t n)
{
    const float *row[TILE_GROUP];
#pragma GCC unroll 8
    for (int g = 0; g < TILE_GROUP; g++) row[g] = rows + g * stride;
    for (int64_t k = 0; k < n; k++, lanes += TILE_ROWS) {
        vf x[TILE_VECTORS];
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++) x[v] = vec_load_f32(lanes + v * VEC_WIDTH);
#pragma GCC unroll 8
        for (int g = 0; g < TILE_GROUP; g++) {
            vf y = vec_set(row[g][k]);
#pragma GCC unroll 4
            for (int v = 0; v < vectors; v++) acc[g][v] = TILE_MULTIPLY(x[v], y, acc[g][v]);
        }
    }
}

/* acc[g][v] += lanes[k * TILE_ROWS + v] * rows[k * stride + g] over k: GROUP columns of packed rows. */
VEC void tile_columns(vf acc[TILE_GROUP][TILE_VECTORS], int vectors, const float *lanes, const float *rows,
                      int64_t stride, int64_t n)
{
    for (int64_t k = 0; k < n; k++, rows += stride, lanes += TILE_ROWS) {
        vf x[TILE_VECTORS];
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++) x[v] = vec_load_f32(lanes + v * VEC_WIDTH);
#pragma GCC unroll 8
        for (int g = 0; g < TILE_GROUP; g++) {
            vf y = vec_set(rows[g]);
#pragma GCC unroll 4
            for (int v = 0; v < vectors; v++) acc[g][v] = TILE_MULTIPLY(x[v], y, acc[g][v]);
        }
    }
}

#endif
