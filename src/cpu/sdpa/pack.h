/* SPDX-License-Identifier: Apache-2.0 */
/* Rows of any dtype and stride to packed float32 and back, and transposition. */
#ifndef SMELT_CPU_SDPA_PACK_H
#define SMELT_CPU_SDPA_PACK_H

#include "core/strided.h"
#include "cpu/sdpa/tile.h"

VEC int64_t pack_round(int64_t n, int64_t to) { return (n + to - 1) / to * to; }

/* x[i][j] = x[j][i]: each step moves one bit of the row number into the column number. */
VEC void pack_transpose(vf x[VEC_WIDTH])
{
    vf y[VEC_WIDTH];
#pragma GCC unroll 4
    for (int step = 1; step < VEC_WIDTH; step *= 2) {
#pragma GCC unroll 16
        for (int i = 0; i < VEC_WIDTH / 2; i++) {
            y[2 * i] = vec_zip_low(x[i], x[i + VEC_WIDTH / 2]);
            y[2 * i + 1] = vec_zip_high(x[i], x[i + VEC_WIDTH / 2]);
        }
#pragma GCC unroll 16
        for (int i = 0; i < VEC_WIDTH; i++) x[i] = y[i];
    }
}

/* A packed stretch of a row: `padded` floats are written. `poison` becomes NaN where one is not finite. */
VEC void pack_stretch(enum smelt_dtype t, float *to, const char *from, int64_t length, int64_t padded,
                      vf *poison)
{
    int64_t i = 0;
    vf sum = *poison, sums[4] = {vec_zero(), vec_zero(), vec_zero(), vec_zero()};
    for (; i + 4 * VEC_WIDTH <= length; i += 4 * VEC_WIDTH) /* four sums at a time: each is a chain */
#pragma GCC unroll 4
        for (int n = 0; n < 4; n++) {
            vf x = vec_load(t, from, i + n * VEC_WIDTH);
            sums[n] = vec_fma(x, vec_zero(), sums[n]);
            vec_store_f32(to + i + n * VEC_WIDTH, x);
        }
    sum = vec_add(vec_add(sum, sums[0]), vec_add(vec_add(sums[1], sums[2]), sums[3]));
    for (; i + VEC_WIDTH <= length; i += VEC_WIDTH) {
        vf x = vec_load(t, from, i);
        sum = vec_fma(x, vec_zero(), sum);
        vec_store_f32(to + i, x);
    }
    if (i < length) {
        vf x = vec_load_part(t, from, i, length - i);
        sum = vec_fma(x, vec_zero(), sum);
        vec_store_f32(to + i, x);
        i += VEC_WIDTH;
    }
    for (; i < padded; i += VEC_WIDTH) vec_store_f32(to + i, vec_zero());
    *poison = sum;
}

enum { PACK_PIECE = 256 }; /* elements, where the step is not 1; a multiple of 16 */

VEC void pack_row(enum smelt_dtype t, float *to, const char *from, int64_t step, int64_t length,
                  int64_t padded, vf *poison)
{
    int64_t item = t == SMELT_F32 ? 4 : 2;
    if (step == item) {
        pack_stretch(t, to, from, length, padded, poison);
        return;
    }
    char piece[PACK_PIECE * 4];
    for (int64_t i = 0; i < length; i += PACK_PIECE) {
        int64_t count = length - i < PACK_PIECE ? length - i : PACK_PIECE;
        int64_t room = padded - i < PACK_PIECE ? padded - i : PACK_PIECE;
        smelt_gather(piece, from + i * step, step, item, count);
        pack_stretch(t, to + i, piece, count, room, poison);
    }
}

VEC bool pack_rows_of(enum smelt_dtype t, float *packed, const struct smelt_sdpa_rows *from, int64_t rows,
                      int64_t length, const uint8_t *keep)
{
    int64_t stride = smelt_sdpa_stride(length), padded = pack_round(length, 16);
    vf poison = vec_zero();
    for (int64_t r = 0; r < rows; r++, packed += stride)
        if (keep && !keep[r])
            memset(packed, 0, (size_t)padded * sizeof *packed);
        else
            pack_row(t, packed, from->data + r * from->row_step, from->step, length, padded, &poison);
    return !vec_any(vec_is_nan(poison));
}

VEC bool pack_rows(void *packed, const struct smelt_sdpa_rows *from, int64_t rows, int64_t padded,
                   int64_t length, const uint8_t *keep)
{
    bool finite = from->dtype == SMELT_F32   ? pack_rows_of(SMELT_F32, packed, from, rows, length, keep)
                  : from->dtype == SMELT_F16 ? pack_rows_of(SMELT_F16, packed, from, rows, length, keep)
                                             : pack_rows_of(SMELT_BF16, packed, from, rows, length, keep);
    int64_t stride = smelt_sdpa_stride(length);
    if (padded > rows)
        memset((float *)packed + rows * stride, 0, (size_t)((padded - rows) * stride) * sizeof(float));
    return finite;
}

/* (TILE_ROWS, length) -> (length, TILE_ROWS). */
VEC void pack_turn(float *turned, const float *rows, int64_t stride, int64_t length)
{
    for (int64_t d = 0; d < length; d += VEC_WIDTH)
        for (int v = 0; v < TILE_ROWS; v += VEC_WIDTH) {
            vf x[VEC_WIDTH];
#pragma GCC unroll 16
            for (int i = 0; i < VEC_WIDTH; i++) x[i] = vec_load_f32(rows + (v + i) * stride + d);
            pack_transpose(x);
#pragma GCC unroll 16
            for (int i = 0; i < VEC_WIDTH; i++) vec_store_f32(turned + (d + i) * TILE_ROWS + v, x[i]);
        }
}

VEC void pack_store_row(enum smelt_dtype t, char *to, int64_t step, const float *row, int64_t length)
{
    int64_t item = t == SMELT_F32 ? 4 : 2, i = 0;
    if (step == item) {
        for (; i + VEC_WIDTH <= length; i += VEC_WIDTH) vec_store(t, to, i, vec_load_f32(row + i));
        if (i < length) vec_store_part(t, to, i, vec_load_f32(row + i), length - i);
        return;
    }
    for (; i < length; i++) smelt_store_float(t, to + i * step, row[i]);
}

static void pack_store_rows(char *to, int64_t row_step, int64_t step, enum smelt_dtype dtype,
                            const float *rows, int64_t count, int64_t length)
{
    int64_t stride = smelt_sdpa_stride(length);
    for (int64_t r = 0; r < count; r++, to += row_step, rows += stride)
        if (dtype == SMELT_F32)
            pack_store_row(SMELT_F32, to, step, rows, length);
        else if (dtype == SMELT_F16)
            pack_store_row(SMELT_F16, to, step, rows, length);
        else
            pack_store_row(SMELT_BF16, to, step, rows, length);
}

#endif
