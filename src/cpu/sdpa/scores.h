/* SPDX-License-Identifier: Apache-2.0 */
/* The two products of a tile, over the micro-kernel. */
#ifndef SMELT_CPU_SDPA_SCORES_H
#define SMELT_CPU_SDPA_SCORES_H

#include "cpu/sdpa/tile.h"

/* The next of the rows that will be packed after this tile. */
VEC int64_t fetch_ahead(const struct smelt_sdpa_tile *tile, int64_t row, int64_t rows)
{
    int64_t end = row + rows < tile->ahead_rows ? row + rows : tile->ahead_rows;
    for (; row < end; row++)
        for (int64_t at = 0; at < tile->ahead_bytes; at += 64)
            __builtin_prefetch(tile->ahead + row * tile->ahead_step + at, 0, 2);
    return row;
}

/* scores[j] = keys[j] . queries for the keys of the tile, and their largest; `length` packed floats each. */
VEC void scores(const struct smelt_sdpa_tile *tile, int vectors, int64_t length, vf largest[TILE_VECTORS])
{
    int64_t stride = tile->key_step;
    const float *keys = tile->keys, *queries = tile->queries;
    float *to = tile->scores + tile->first * TILE_ROWS;
    int64_t fetched = 0, part = tile->ahead_rows * TILE_GROUP / (tile->end - tile->first);
    if (tile->ahead_rows) part++;
    vf most[TILE_VECTORS];
#pragma GCC unroll 4
    for (int v = 0; v < vectors; v++) most[v] = vec_set(-INFINITY);
    for (int64_t j = tile->first, end = tile->end; j < end; j += TILE_GROUP, to += TILE_GROUP * TILE_ROWS) {
        vf acc[TILE_GROUP][TILE_VECTORS];
#pragma GCC unroll 8
        for (int g = 0; g < TILE_GROUP; g++)
#pragma GCC unroll 4
            for (int v = 0; v < vectors; v++) acc[g][v] = vec_zero();
        tile_dot(acc, vectors, queries, keys + j * stride, stride, length);
        if (part) fetched = fetch_ahead(tile, fetched, part);
        int64_t count = end - j;
#pragma GCC unroll 8
        for (int g = 0; g < TILE_GROUP; g++) {
            if (g >= count) break;
#pragma GCC unroll 4
            for (int v = 0; v < vectors; v++) {
                most[v] = vec_max(most[v], acc[g][v]);
                vec_store_f32(to + g * TILE_ROWS + v * VEC_WIDTH, acc[g][v]);
            }
        }
    }
#pragma GCC unroll 4
    for (int v = 0; v < vectors; v++) largest[v] = most[v];
}

/* out = out * rescale + packed rows [first, end) of values * lanes of probabilities */
VEC void values(const struct smelt_sdpa_tile *tile, int vectors, int64_t first, int64_t end, bool changed,
                const vf rescale[TILE_VECTORS])
{
    int64_t stride = tile->value_step;
    const float *rows = (const float *)tile->values + first * stride;
    const float *lanes = tile->scores + first * TILE_ROWS;
    float *out = tile->out;
    for (int64_t d = 0, dim = tile->value_dim; d < dim; d += TILE_GROUP, out += TILE_GROUP * TILE_ROWS) {
        vf acc[TILE_GROUP][TILE_VECTORS];
#pragma GCC unroll 8
        for (int g = 0; g < TILE_GROUP; g++)
#pragma GCC unroll 4
            for (int v = 0; v < vectors; v++) acc[g][v] = vec_load_f32(out + g * TILE_ROWS + v * VEC_WIDTH);
        if (changed)
#pragma GCC unroll 8
            for (int g = 0; g < TILE_GROUP; g++)
#pragma GCC unroll 4
                for (int v = 0; v < vectors; v++) acc[g][v] = vec_mul(acc[g][v], rescale[v]);
        tile_columns(acc, vectors, lanes, rows + d, stride, end - first);
#pragma GCC unroll 8
        for (int g = 0; g < TILE_GROUP; g++)
#pragma GCC unroll 4
            for (int v = 0; v < vectors; v++) vec_store_f32(out + g * TILE_ROWS + v * VEC_WIDTH, acc[g][v]);
    }
}

#endif
