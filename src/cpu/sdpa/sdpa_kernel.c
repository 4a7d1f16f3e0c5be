/* SPDX-License-Identifier: Apache-2.0 */
/* sdpa with float32 products, compiled once per ISA. */
#include "cpu/sdpa/sdpa_kernel.h"

#include "cpu/vec/math.h"

#define TILE_MULTIPLY(lanes, row, sum) vec_fma(lanes, row, sum)
#include "cpu/sdpa/pack.h"
#include "cpu/sdpa/softmax.h"

/* scores[j] = keys[j] . queries for the keys of the tile, and their largest. */
VEC void scores(const struct smelt_sdpa_tile *tile, int vectors, vf largest[TILE_VECTORS])
{
    int64_t stride = smelt_sdpa_stride(tile->dim);
    const float *keys = tile->keys;
    vf most[TILE_VECTORS];
#pragma GCC unroll 4
    for (int v = 0; v < vectors; v++) most[v] = MINUS;
    for (int64_t j = tile->first; j < tile->end; j += TILE_GROUP) {
        vf acc[TILE_GROUP][TILE_VECTORS];
#pragma GCC unroll 8
        for (int g = 0; g < TILE_GROUP; g++)
#pragma GCC unroll 4
            for (int v = 0; v < vectors; v++) acc[g][v] = vec_zero();
        tile_dot(acc, vectors, tile->queries, keys + j * stride, stride, tile->dim);
        int64_t count = tile->end - j;
#pragma GCC unroll 8
        for (int g = 0; g < TILE_GROUP; g++) {
            if (g >= count) break;
#pragma GCC unroll 4
            for (int v = 0; v < vectors; v++) {
                most[v] = vec_max(most[v], acc[g][v]);
                vec_store_f32(tile->scores + (j + g) * TILE_ROWS + v * VEC_WIDTH, acc[g][v]);
            }
        }
    }
#pragma GCC unroll 4
    for (int v = 0; v < vectors; v++) largest[v] = most[v];
}

/* out = out * rescale + values[first..end) * probabilities */
VEC void values(const struct smelt_sdpa_tile *tile, int vectors, int64_t first, int64_t end, bool changed,
                const vf rescale[TILE_VECTORS])
{
    int64_t stride = smelt_sdpa_stride(tile->value_dim);
    const float *rows = (const float *)tile->values + first * stride;
    const float *lanes = tile->scores + first * TILE_ROWS;
    for (int64_t d = 0; d < tile->value_dim; d += TILE_GROUP) {
        float *out = tile->out + d * TILE_ROWS;
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

static bool row_is_finite(const float *row, int64_t length)
{
    vf poison = vec_zero();
    for (int64_t i = 0; i < length; i += VEC_WIDTH)
        poison = vec_fma(vec_load_f32(row + i), vec_zero(), poison);
    return !vec_any(vec_is_nan(poison));
}

/* One value row for those queries that see its key: 0 * NaN must not reach the others. */
static void value_seen(const struct smelt_sdpa_tile *tile, int64_t j, const float *row)
{
    for (int v = 0; v < tile->vectors; v++) {
        int64_t at = j * TILE_ROWS + v * VEC_WIDTH;
        vf p = vec_load_f32(tile->scores + at);
        vm hidden = vec_equal(vec_load_f32(tile->seen + at), MINUS);
        for (int64_t d = 0; d < tile->value_dim; d++) {
            float *out = tile->out + d * TILE_ROWS + v * VEC_WIDTH;
            vf before = vec_load_f32(out);
            vec_store_f32(out, vec_select(hidden, before, vec_fma(p, vec_set(row[d]), before)));
        }
    }
}

/* values() where some are not finite and some keys are hidden: the same sums in the same order. */
static void values_seen(const struct smelt_sdpa_tile *tile, bool changed, const vf rescale[TILE_VECTORS])
{
    int64_t stride = smelt_sdpa_stride(tile->value_dim), begin = tile->first;
    for (int64_t j = tile->first; j <= tile->end; j++) {
        const float *row = (const float *)tile->values + j * stride;
        if (j < tile->end && row_is_finite(row, tile->value_dim)) continue;
        values(tile, TILE_VECTORS, begin, j, changed, rescale);
        if (j < tile->end) value_seen(tile, j, row);
        begin = j + 1, changed = false;
    }
}

VEC void attend_vectors(const struct smelt_sdpa_tile *tile, int vectors)
{
    vf largest[TILE_VECTORS], rescale[TILE_VECTORS];
    for (int v = 0; v < TILE_VECTORS; v++) rescale[v] = vec_set(1.0f);
    scores(tile, vectors, largest);
    if (tile->masked) softmax_mask(tile, largest);
    bool careful = tile->masked && !tile->finite;
    int64_t first = tile->first * TILE_ROWS, end = tile->end * TILE_ROWS;
    if (careful) memcpy(tile->seen + first, tile->scores + first, (size_t)(end - first) * sizeof(float));
    bool changed = softmax_update(tile, vectors, largest, rescale);
    if (careful)
        values_seen(tile, changed, rescale);
    else
        values(tile, vectors, tile->first, tile->end, changed, rescale);
}

static void attend(const struct smelt_sdpa_tile *tile)
{
    if (tile->vectors == TILE_VECTORS)
        attend_vectors(tile, TILE_VECTORS);
    else if (tile->vectors == 1)
        attend_vectors(tile, 1);
    else if (tile->vectors == 2)
        attend_vectors(tile, 2);
    else
        attend_vectors(tile, 3);
}

#include "cpu/sdpa/finish.h"

const struct smelt_sdpa_tiles SMELT_ISA_NAME(smelt_sdpa_tiles) = {
    .rows = TILE_ROWS,
    .lanes = VEC_WIDTH,
    .pack_keys = pack_rows,
    .pack_values = pack_rows,
    .turn_queries = pack_turn,
    .attend = attend,
    .merge = finish_merge,
    .finish = finish_rows,
    .store_rows = pack_store_rows,
};
