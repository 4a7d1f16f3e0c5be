/* SPDX-License-Identifier: Apache-2.0 */
/* sdpa with float32 products, compiled once per ISA. */
#include "cpu/sdpa/sdpa_kernel.h"

#include "cpu/vec/math.h"

#define TILE_MULTIPLY(lanes, row, sum) vec_fma(lanes, row, sum)
#include "cpu/sdpa/pack.h"
#include "cpu/sdpa/finish.h"
#include "cpu/sdpa/scores.h"
#include "cpu/sdpa/softmax.h"

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
    int64_t stride = tile->value_step, begin = tile->first;
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
    scores(tile, vectors, tile->dim, largest);
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

static void turn_queries(float *queries, const float *rows, int64_t dim)
{
    pack_turn(queries, rows, smelt_sdpa_stride(dim), dim);
}

const struct smelt_sdpa_tiles SMELT_ISA_NAME(smelt_sdpa_tiles) = {
    .rows = TILE_ROWS,
    .lanes = VEC_WIDTH,
    .group = TILE_GROUP,
    .pack_keys = pack_rows,
    .pack_values = pack_rows,
    .turn_queries = turn_queries,
    .attend = attend,
    .merge = finish_merge,
    .finish = finish_rows,
    .store_rows = pack_store_rows,
};
