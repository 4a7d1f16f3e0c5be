/* SPDX-License-Identifier: Apache-2.0 */
/* The softmax between the two products, on a tile of scores (keys, rows) with the queries in the lanes. */
#ifndef SMELT_CPU_SDPA_SOFTMAX_H
#define SMELT_CPU_SDPA_SOFTMAX_H

#include "cpu/sdpa/exponent.h"
#include "cpu/sdpa/tile.h"

#define MINUS vec_set(-INFINITY)

/* Where anything but the plain product counts: scaled, capped, masked scores, and their largest. */
VEC void softmax_mask(const struct smelt_sdpa_tile *tile, vf largest[TILE_VECTORS])
{
    float before = tile->softcap > 0 ? tile->before / tile->softcap : tile->before;
    for (int v = 0; v < tile->vectors; v++) {
        int at = v * VEC_WIDTH;
        vf most = MINUS;
        for (int64_t j = tile->first; j < tile->end; j++) {
            float *scores = tile->scores + j * TILE_ROWS + at;
            vf s = vec_mul(vec_load_f32(scores), vec_set(before));
            if (tile->softcap > 0) s = vec_mul(vec_tanh(s), vec_set(tile->softcap));
            if (tile->bias) {
                vf bias = vec_load_f32(tile->bias + j * TILE_ROWS + at);
                s = vec_select(vec_equal(bias, MINUS), MINUS, vec_add(s, bias));
            }
            if (tile->from) {
                vf key = vec_set((float)j);
                s = vec_select(vec_less_equal(vec_load_f32(tile->from + at), key), s, MINUS);
                s = vec_select(vec_less(key, vec_load_f32(tile->until + at)), s, MINUS);
            }
            if (tile->keep && !tile->keep[j]) s = MINUS;
            s = softmax_exponent(s, tile->after);
            vec_store_f32(scores, s);
            most = vec_max(most, s);
        }
        largest[v] = most;
    }
}

/* scores become probabilities relative to the new largest, sums are brought up to date; rescale: what the
 * outputs so far must be multiplied by. Returns whether one of these is not 1. */
VEC bool softmax_update(const struct smelt_sdpa_tile *tile, int vectors, const vf block[TILE_VECTORS],
                        vf rescale[TILE_VECTORS])
{
    vf scale = vec_set(tile->scale), shift[TILE_VECTORS], sum[TILE_VECTORS];
    bool changed = false;
#pragma GCC unroll 4
    for (int v = 0; v < vectors; v++) {
        vf before = vec_load_f32(tile->largest + v * VEC_WIDTH);
        vf largest = vec_max(vec_mul(block[v], scale), before);
        vf none = vec_select(vec_equal(largest, MINUS), vec_zero(), largest); /* -inf - -inf is not 0 */
        shift[v] = vec_negate(none);
        rescale[v] = vec_exp2(vec_sub(before, none));
        sum[v] = vec_mul(vec_load_f32(tile->sum + v * VEC_WIDTH), rescale[v]);
        vec_store_f32(tile->largest + v * VEC_WIDTH, largest);
        changed |= vec_any(vec_less(rescale[v], vec_set(1.0f))) || vec_any(vec_is_nan(rescale[v]));
    }
    float *end = tile->scores + tile->end * TILE_ROWS;
    for (float *score = tile->scores + tile->first * TILE_ROWS; score < end; score += TILE_ROWS)
#pragma GCC unroll 4
        for (int v = 0; v < vectors; v++) {
            vf p = vec_exp2(vec_fma(vec_load_f32(score + v * VEC_WIDTH), scale, shift[v]));
            sum[v] = vec_add(sum[v], p);
            vec_store_f32(score + v * VEC_WIDTH, p);
        }
#pragma GCC unroll 4
    for (int v = 0; v < vectors; v++) vec_store_f32(tile->sum + v * VEC_WIDTH, sum[v]);
    return changed;
}

#endif
