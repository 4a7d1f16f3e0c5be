/* SPDX-License-Identifier: Apache-2.0 */
/* The end of a row block: partial results put together, divided, turned back into rows. */
#ifndef SMELT_CPU_SDPA_FINISH_H
#define SMELT_CPU_SDPA_FINISH_H

#include "cpu/sdpa/pack.h"

static void finish_merge(float *out, float *largest, float *sum, const float *other_out,
                         const float *other_largest, const float *other_sum, int64_t value_dim)
{
    for (int v = 0; v < TILE_ROWS; v += VEC_WIDTH) {
        vf minus = vec_set(-INFINITY), a = vec_load_f32(largest + v), b = vec_load_f32(other_largest + v);
        vf most = vec_select(vec_is_nan(a), a, vec_max(a, b)); /* NaN of either side stays */
        vf shift = vec_select(vec_equal(most, minus), vec_zero(), most);
        vf wa = vec_exp2(vec_sub(a, shift)), wb = vec_exp2(vec_sub(b, shift));
        vec_store_f32(largest + v, most);
        vf total = vec_mul(vec_load_f32(sum + v), wa);
        vec_store_f32(sum + v, vec_fma(vec_load_f32(other_sum + v), wb, total));
        for (int64_t d = 0; d < value_dim; d++) {
            float *at = out + d * TILE_ROWS + v;
            vf scaled = vec_mul(vec_load_f32(at), wa);
            vec_store_f32(at, vec_fma(vec_load_f32(other_out + d * TILE_ROWS + v), wb, scaled));
        }
    }
}

static void finish_rows(float *rows, float *lse, const float *out, const float *largest, const float *sum,
                        int64_t value_dim)
{
    int64_t stride = smelt_sdpa_stride(value_dim);
    for (int v = 0; v < TILE_ROWS; v += VEC_WIDTH) {
        vf total = vec_load_f32(sum + v);
        vf factor = vec_select(vec_equal(total, vec_zero()), vec_zero(), vec_div(vec_set(1.0f), total));
        for (int64_t d = 0; d < value_dim; d += VEC_WIDTH) {
            vf x[VEC_WIDTH];
#pragma GCC unroll 16
            for (int i = 0; i < VEC_WIDTH; i++)
                x[i] = vec_mul(vec_load_f32(out + (d + i) * TILE_ROWS + v), factor);
            pack_transpose(x);
#pragma GCC unroll 16
            for (int i = 0; i < VEC_WIDTH; i++) vec_store_f32(rows + (v + i) * stride + d, x[i]);
        }
    }
    for (int r = 0; r < TILE_ROWS; r++)
        lse[r] = sum[r] == 0 ? -INFINITY : largest[r] * 0x1.62e43p-1f + logf(sum[r]);
}

#endif
