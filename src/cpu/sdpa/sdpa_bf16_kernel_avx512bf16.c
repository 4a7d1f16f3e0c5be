/* SPDX-License-Identifier: Apache-2.0 */
/* sdpa with products of bfloat16 pairs, for AVX-512 BF16 alone. Packed floats are words of two numbers:
 * neighbours of a key or a query, or the same element of two neighbouring values. */
#include "cpu/sdpa/sdpa_bf16_kernel.h"

#include "cpu/vec/bf16_dot.h"
#include "cpu/vec/math.h"

#define TILE_MULTIPLY(lanes, row, sum) vec_dot_bf16(lanes, row, sum)
#include "cpu/sdpa/finish.h"
#include "cpu/sdpa/scores.h"
#include "cpu/sdpa/softmax.h"

static int64_t words(int64_t length) { return (length + 1) / 2; }

/* Elements [i, i + PACK_PIECE) of a row as floats, zeros behind its end. */
VEC int64_t load_piece(float piece[PACK_PIECE], const char *row, int64_t step, int64_t i, int64_t length,
                       bool kept, vf *poison)
{
    int64_t count = length - i < PACK_PIECE ? length - i : PACK_PIECE, padded = pack_round(count, 32);
    if (kept)
        pack_row(SMELT_BF16, piece, row + i * step, step, count, padded, poison);
    else
        memset(piece, 0, (size_t)padded * sizeof *piece);
    return padded;
}

static bool pack_keys(void *packed, const struct smelt_sdpa_rows *from, int64_t rows, int64_t padded,
                      int64_t length, const uint8_t *keep)
{
    int64_t stride = smelt_sdpa_stride(length);
    vf poison = vec_zero();
    float piece[PACK_PIECE], *to = packed;
    for (int64_t r = 0; r < padded; r++, to += stride)
        for (int64_t i = 0; i < length; i += PACK_PIECE) {
            bool kept = r < rows && (!keep || keep[r]);
            int64_t count =
                load_piece(piece, from->data + r * from->row_step, from->step, i, length, kept, &poison);
            for (int64_t j = 0; j < count; j += 2 * VEC_WIDTH) {
                vf a = vec_load_f32(piece + j), b = vec_load_f32(piece + j + VEC_WIDTH);
                vec_store_f32(to + (i + j) / 2, vec_words(vec_even(a, b), vec_odd(a, b)));
            }
        }
    return !vec_any(vec_is_nan(poison));
}

static bool pack_values(void *packed, const struct smelt_sdpa_rows *from, int64_t rows, int64_t padded,
                        int64_t length, const uint8_t *keep)
{
    int64_t stride = smelt_sdpa_stride(length);
    vf poison = vec_zero();
    float piece[2][PACK_PIECE], *to = packed;
    for (int64_t r = 0; r < padded; r += 2, to += stride)
        for (int64_t i = 0; i < length; i += PACK_PIECE) {
            int64_t count = 0;
            for (int64_t n = 0; n < 2; n++) {
                bool kept = r + n < rows && (!keep || keep[r + n]);
                const char *row = from->data + (r + n) * from->row_step;
                count = load_piece(piece[n], row, from->step, i, length, kept, &poison);
            }
            for (int64_t j = 0; j < count && i + j < stride; j += VEC_WIDTH)
                vec_store_f32(to + i + j, vec_words(vec_load_f32(piece[0] + j), vec_load_f32(piece[1] + j)));
        }
    return !vec_any(vec_is_nan(poison));
}

static void turn_queries(float *queries, const float *rows, int64_t dim)
{
    pack_turn(queries, rows, smelt_sdpa_stride(dim), words(dim));
}

/* Two rows of probabilities become one of words, in place; beyond the end they are 0. */
VEC void pair_probabilities(const struct smelt_sdpa_tile *tile, int vectors)
{
    for (int64_t j = tile->first; j < tile->end; j += 2)
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++) {
            const float *p = tile->scores + j * TILE_ROWS + v * VEC_WIDTH;
            vf second = j + 1 < tile->end ? vec_load_f32(p + TILE_ROWS) : vec_zero();
            vec_store_f32(tile->scores + j / 2 * TILE_ROWS + v * VEC_WIDTH,
                          vec_round_words(vec_load_f32(p), second));
        }
}

static bool pair_is_finite(const float *pair, int64_t length)
{
    vf poison = vec_zero();
    for (int64_t i = 0; i < length; i += VEC_WIDTH) {
        vf x = vec_load_f32(pair + i);
        poison = vec_fma(vec_word_low(x), vec_zero(), vec_fma(vec_word_high(x), vec_zero(), poison));
    }
    return !vec_any(vec_is_nan(poison));
}

/* One pair of value rows, for each query without those that it does not see: 0 * NaN must not reach it. A
 * value left out adds 0, as its probability of 0 does otherwise. */
static void pair_seen(const struct smelt_sdpa_tile *tile, int64_t pair, const float *row)
{
    for (int v = 0; v < tile->vectors; v++) {
        const float *seen = tile->seen + 2 * pair * TILE_ROWS + v * VEC_WIDTH;
        vf p = vec_load_f32(tile->scores + pair * TILE_ROWS + v * VEC_WIDTH);
        vm first = vec_equal(vec_load_f32(seen), MINUS),
           second = vec_equal(vec_load_f32(seen + TILE_ROWS), MINUS);
        for (int64_t d = 0; d < tile->value_dim; d++) {
            float *out = tile->out + d * TILE_ROWS + v * VEC_WIDTH;
            vf value = vec_set(row[d]), low = vec_select(first, vec_zero(), vec_word_low(value));
            vf high = vec_select(second, vec_zero(), vec_word_high(value));
            vec_store_f32(out, vec_dot_bf16(p, vec_words(low, high), vec_load_f32(out)));
        }
    }
}

static void values_seen(const struct smelt_sdpa_tile *tile, bool changed, const vf rescale[TILE_VECTORS])
{
    int64_t stride = tile->value_step, begin = tile->first / 2, end = (tile->end + 1) / 2;
    for (int64_t j = begin; j <= end; j++) {
        const float *row = (const float *)tile->values + j * stride;
        if (j < end && pair_is_finite(row, tile->value_dim)) continue;
        values(tile, TILE_VECTORS, begin, j, changed, rescale);
        if (j < end) pair_seen(tile, j, row);
        begin = j + 1, changed = false;
    }
}

VEC void attend_vectors(const struct smelt_sdpa_tile *tile, int vectors)
{
    vf largest[TILE_VECTORS], rescale[TILE_VECTORS];
    for (int v = 0; v < TILE_VECTORS; v++) rescale[v] = vec_set(1.0f);
    scores(tile, vectors, words(tile->dim), largest);
    if (tile->masked) softmax_mask(tile, largest);
    bool careful = !tile->finite && (tile->masked || tile->end % 2);
    int64_t first = tile->first * TILE_ROWS, end = tile->end * TILE_ROWS;
    if (careful) {
        memcpy(tile->seen + first, tile->scores + first, (size_t)(end - first) * sizeof(float));
        if (tile->end % 2)
            for (int r = 0; r < TILE_ROWS; r++) tile->seen[end + r] = -INFINITY;
    }
    bool changed = softmax_update(tile, vectors, largest, rescale);
    pair_probabilities(tile, vectors);
    if (careful)
        values_seen(tile, changed, rescale);
    else
        values(tile, vectors, tile->first / 2, (tile->end + 1) / 2, changed, rescale);
}

static void attend(const struct smelt_sdpa_tile *tile)
{
    if (tile->vectors == 1)
        attend_vectors(tile, 1);
    else if (tile->vectors == 2)
        attend_vectors(tile, 2);
    else
        attend_vectors(tile, TILE_VECTORS);
}

const struct smelt_sdpa_tiles smelt_sdpa_bf16_tiles = {
    .rows = TILE_ROWS,
    .lanes = VEC_WIDTH,
    .pack_keys = pack_keys,
    .pack_values = pack_values,
    .turn_queries = turn_queries,
    .attend = attend,
    .merge = finish_merge,
    .finish = finish_rows,
    .store_rows = pack_store_rows,
};
