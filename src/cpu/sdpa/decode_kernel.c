/* SPDX-License-Identifier: Apache-2.0 */
/* Decoding, compiled once per ISA: elements of a head in the lanes. */
#include "cpu/sdpa/decode_kernel.h"

#include "cpu/sdpa/exponent.h"
#include "cpu/vec/math.h"

#define ROWS  (VEC_WIDTH < 4 ? VEC_WIDTH : 4) /* of queries at a time */
#define KEYS  (VEC_WIDTH / ROWS)              /* at a time: as many sums as lanes */
#define MINUS vec_set(-INFINITY)
enum { COLUMNS = 4 }; /* vectors of outputs at a time */

/* Lane i of the result: the sum of the lanes of x[i]. */
VEC vf sums_of(vf x[VEC_WIDTH])
{
#pragma GCC unroll 4
    for (int half = VEC_WIDTH / 2; half > 0; half /= 2)
#pragma GCC unroll 8
        for (int i = 0; i < half; i++)
            x[i] = vec_add(vec_zip_low(x[i], x[i + half]), vec_zip_high(x[i], x[i + half]));
    return x[0];
}

/* Rows that are fetched while others are read: into the first cache, a little before their turn, and evenly
 * spread. A line that waits in the second cache has to be brought twice, each time by one of the few buffers
 * that limit what a core reads. */
struct fetched {
    const char *data; /* NULL: none */
    int64_t step, bytes;
};
VEC struct fetched fetched_rows(const struct smelt_decode_source *from, int64_t row, int64_t rows,
                                int64_t count)
{
    if (row + rows <= count)
        return (struct fetched){from->data + row * from->row_step, from->row_step, from->bytes};
    row -= count;
    if (row < 0 || row + rows > count || !from->ahead) return (struct fetched){NULL, 0, 0};
    return (struct fetched){from->ahead + row * from->ahead_step, from->ahead_step, from->ahead_bytes};
}
/* A part of row `i` of them. */
VEC void fetch(const struct fetched *next, int64_t i, int64_t at, int64_t bytes)
{
    for (int64_t end = at + bytes; at < end; at += 64)
        __builtin_prefetch(next->data + i * next->step + at, 0, 3);
}

/* Keys as vectors [d, d + 2) of floats: by pairs, in the order of vec_load_pair. */
VEC void dot_pair(enum smelt_dtype t, vf acc[VEC_WIDTH], const float *queries, int64_t stride,
                  const char *const key[KEYS], int64_t d)
{
    vf k[KEYS][2];
#pragma GCC unroll 4
    for (int j = 0; j < KEYS; j++) vec_load_pair(t, key[j], d, k[j]);
#pragma GCC unroll 4
    for (int r = 0; r < ROWS; r++)
#pragma GCC unroll 2
        for (int half = 0; half < 2; half++) {
            vf q = vec_load_f32(queries + r * stride + d + half * VEC_WIDTH);
#pragma GCC unroll 4
            for (int j = 0; j < KEYS; j++) acc[r * KEYS + j] = vec_fma(q, k[j][half], acc[r * KEYS + j]);
        }
}

VEC void dot_keys(enum smelt_dtype t, float *scores, const float *queries, int64_t stride,
                  const char *const key[KEYS], int64_t length, int64_t count, const struct fetched *next)
{
    int64_t item = t == SMELT_F32 ? 4 : 2, d = 0, wide = 2 * VEC_WIDTH;
    vf acc[VEC_WIDTH];
#pragma GCC unroll 16
    for (int i = 0; i < VEC_WIDTH; i++) acc[i] = vec_zero();
    for (; d + wide <= length; d += wide) {
        if (next->data && d * item < next->bytes)
#pragma GCC unroll 4
            for (int j = 0; j < KEYS; j++) fetch(next, j, d * item, wide * item);
        dot_pair(t, acc, queries, stride, key, d);
    }
    for (; d < length; d += VEC_WIDTH)
#pragma GCC unroll 4
        for (int j = 0; j < KEYS; j++) {
            vf k = vec_load_part(t, key[j], d, length - d < VEC_WIDTH ? length - d : VEC_WIDTH);
#pragma GCC unroll 4
            for (int r = 0; r < ROWS; r++)
                acc[r * KEYS + j] = vec_fma(vec_load_f32(queries + r * stride + d), k, acc[r * KEYS + j]);
        }
    float lanes[VEC_WIDTH];
    vec_store_f32(lanes, sums_of(acc));
    if (count >= KEYS)
#pragma GCC unroll 4
        for (int r = 0; r < ROWS; r++)
            memcpy(scores + r * SMELT_DECODE_KEYS, lanes + r * KEYS, KEYS * sizeof(float));
    else
        for (int r = 0; r < ROWS; r++)
            memcpy(scores + r * SMELT_DECODE_KEYS, lanes + r * KEYS, (size_t)count * sizeof(float));
}

VEC void dot_rows(enum smelt_dtype t, float *scores, const float *queries, int64_t stride, int rows,
                  const struct smelt_decode_source *keys, int64_t count)
{
    const struct fetched none = {NULL, 0, 0};
    for (int64_t j = 0; j < count; j += KEYS) {
        const char *key[KEYS];
        struct fetched next = fetched_rows(keys, j + keys->distance, KEYS, count);
#pragma GCC unroll 4
        for (int i = 0; i < KEYS; i++) {
            int64_t at = j + i < count ? j + i : count - 1; /* a last one again, its sums unused */
            key[i] = keys->data + at * keys->row_step;
        }
        for (int r = 0; r < rows; r += ROWS)
            dot_keys(t, scores + r * SMELT_DECODE_KEYS + j, queries + r * stride, stride, key, keys->length,
                     count - j, r == 0 ? &next : &none);
    }
}

static void softmax(const struct smelt_decode_row *row, float *scores, float *seen, int64_t count, float *out,
                    int64_t length)
{
    vf most = MINUS, scale = vec_set(row->scale);
    float before = row->softcap > 0 ? row->before / row->softcap : row->before;
    int64_t padded = (count + VEC_WIDTH - 1) / VEC_WIDTH * VEC_WIDTH;
    for (int64_t j = count; j < padded; j++) scores[j] = -INFINITY;
    for (int64_t j = 0; j < padded; j += VEC_WIDTH) {
        vf s = vec_load_f32(scores + j);
        if (row->masked) {
            s = vec_mul(s, vec_set(before));
            if (row->softcap > 0) s = vec_mul(vec_tanh(s), vec_set(row->softcap));
            vec_store_f32(seen + j, s);
            for (int i = 0; i < VEC_WIDTH; i++) {
                int64_t key = j + i;
                float bias = row->bias && key < count ? row->bias[key] : 0.0f;
                bool hidden = key < row->from || key >= row->until || (row->keep && !row->keep[key]);
                seen[key] = hidden || key >= count || bias == -INFINITY ? -INFINITY : seen[key] + bias;
            }
            s = softmax_exponent(vec_load_f32(seen + j), row->after);
            vec_store_f32(scores + j, s);
        }
        most = vec_max(most, s);
    }
    float before_largest = *row->largest;
    float largest = vec_largest(most) * row->scale;
    if (!(largest > before_largest)) largest = before_largest;
    float none = largest == -INFINITY ? 0.0f : largest, first[VEC_WIDTH];
    vec_store_f32(first, vec_exp2(vec_set(before_largest - none)));
    vf sum = vec_zero(), shift = vec_set(-none);
    for (int64_t j = 0; j < padded; j += VEC_WIDTH) {
        vf p = vec_exp2(vec_fma(vec_load_f32(scores + j), scale, shift));
        sum = vec_add(sum, p);
        vec_store_f32(scores + j, p);
    }
    *row->largest = largest;
    *row->sum = *row->sum * first[0] + vec_sum(sum);
    if (first[0] == 1.0f) return;
    for (int64_t d = 0; d < length; d += VEC_WIDTH)
        vec_store_f32(out + d, vec_mul(vec_load_f32(out + d), vec_set(first[0])));
}

/* Columns in pairs, or one vector of them. */
VEC void values_columns(enum smelt_dtype t, float *out, int64_t stride, int columns, const float *p,
                        const char *row, int64_t row_step, int64_t count, const struct fetched *next,
                        int64_t at, int64_t bytes)
{
    vf acc[ROWS][COLUMNS];
#pragma GCC unroll 4
    for (int r = 0; r < ROWS; r++)
#pragma GCC unroll 4
        for (int c = 0; c < columns; c++) acc[r][c] = vec_load_f32(out + r * stride + c * VEC_WIDTH);
    for (int64_t j = 0; j < count; j++, row += row_step) {
        vf v[COLUMNS];
        if (next->data) fetch(next, j, at, bytes);
        if (columns == 1) v[0] = vec_load(t, row, 0);
#pragma GCC unroll 4
        for (int c = 0; c + 1 < columns; c += 2) vec_load_pair(t, row, c * VEC_WIDTH, v + c);
#pragma GCC unroll 4
        for (int r = 0; r < ROWS; r++) {
            vf weight = vec_set(p[r * SMELT_DECODE_KEYS + j]);
#pragma GCC unroll 4
            for (int c = 0; c < columns; c++) acc[r][c] = vec_fma(weight, v[c], acc[r][c]);
        }
    }
#pragma GCC unroll 4
    for (int r = 0; r < ROWS; r++)
#pragma GCC unroll 4
        for (int c = 0; c < columns; c++) vec_store_f32(out + r * stride + c * VEC_WIDTH, acc[r][c]);
}

VEC void values_part(enum smelt_dtype t, float *out, int64_t stride, const float *p, const char *row,
                     int64_t row_step, int64_t count, int64_t n)
{
    for (int r = 0; r < ROWS; r++) {
        vf acc = vec_load_f32(out + r * stride);
        for (int64_t j = 0; j < count; j++)
            acc = vec_fma(vec_set(p[r * SMELT_DECODE_KEYS + j]), vec_load_part(t, row + j * row_step, 0, n),
                          acc);
        vec_store_f32(out + r * stride, acc);
    }
}

/* A few value rows, which the first cache holds while all columns and query rows pass over them. */
VEC void values_batch(enum smelt_dtype t, float *out, int64_t stride, int rows, const float *p,
                      const char *row, const struct smelt_decode_source *values, int64_t count,
                      struct fetched next)
{
    int64_t item = t == SMELT_F32 ? 4 : 2, step = values->row_step, wide = COLUMNS * VEC_WIDTH, d;
    for (int r = 0; r < rows; r += ROWS, out += ROWS * stride, p += ROWS * SMELT_DECODE_KEYS) {
        for (d = 0; d + wide <= values->length; d += wide)
            values_columns(t, out + d, stride, COLUMNS, p, row + d * item, step, count, &next, d * item,
                           wide * item);
        next.data = NULL;
        for (; d + 2 * VEC_WIDTH <= values->length; d += 2 * VEC_WIDTH)
            values_columns(t, out + d, stride, 2, p, row + d * item, step, count, &next, 0, 0);
        for (; d + VEC_WIDTH <= values->length; d += VEC_WIDTH)
            values_columns(t, out + d, stride, 1, p, row + d * item, step, count, &next, 0, 0);
        if (d < values->length)
            values_part(t, out + d, stride, p, row + d * item, step, count, values->length - d);
    }
}

VEC void values_rows(enum smelt_dtype t, float *out, int64_t stride, int rows, const float *p,
                     const struct smelt_decode_source *values, int64_t count)
{
    for (int64_t j = 0; j < count; j += SMELT_DECODE_BATCH) {
        int64_t some = count - j < SMELT_DECODE_BATCH ? count - j : SMELT_DECODE_BATCH;
        struct fetched next = fetched_rows(values, j + values->distance, some, count);
        values_batch(t, out, stride, rows, p + j, values->data + j * values->row_step, values, some, next);
    }
}

VEC void values_seen_rows(enum smelt_dtype t, float *out, const float *p, const float *seen,
                          const struct smelt_decode_source *values, int64_t count)
{
    for (int64_t j = 0; j < count; j++) {
        if (seen[j] == -INFINITY) continue;
        const char *row = values->data + j * values->row_step;
        vf weight = vec_set(p[j]), v[2];
        int64_t d = 0;
        for (; d + 2 * VEC_WIDTH <= values->length; d += 2 * VEC_WIDTH) {
            vec_load_pair(t, row, d, v);
            for (int half = 0; half < 2; half++) {
                float *at = out + d + half * VEC_WIDTH;
                vec_store_f32(at, vec_fma(weight, v[half], vec_load_f32(at)));
            }
        }
        for (; d < values->length; d += VEC_WIDTH) {
            int64_t rest = values->length - d;
            v[0] = vec_load_part(t, row, d, rest < VEC_WIDTH ? rest : VEC_WIDTH);
            vec_store_f32(out + d, vec_fma(weight, v[0], vec_load_f32(out + d)));
        }
    }
}

VEC bool finite_rows(enum smelt_dtype t, const struct smelt_decode_source *values, int64_t count)
{
    vf poison = vec_zero();
    for (int64_t j = 0; j < count; j++)
        for (int64_t d = 0; d < values->length; d += VEC_WIDTH) {
            int64_t rest = values->length - d;
            const char *row = values->data + j * values->row_step;
            vf v = rest < VEC_WIDTH ? vec_load_part(t, row, d, rest) : vec_load(t, row, d);
            poison = vec_fma(v, vec_zero(), poison);
        }
    return !vec_any(vec_is_nan(poison));
}

static void blend(float *out, float a, const float *other, float b, int64_t length)
{
    for (int64_t d = 0; d < length; d += VEC_WIDTH) {
        vf scaled = vec_mul(vec_load_f32(out + d), vec_set(a));
        vec_store_f32(out + d, vec_fma(vec_load_f32(other + d), vec_set(b), scaled));
    }
}

#define KERNELS(dtype)                                                                                       \
    static void dot_##dtype(float *scores, const float *queries, int64_t stride, int rows,                   \
                            const struct smelt_decode_source *keys, int64_t count)                           \
    {                                                                                                        \
        dot_rows(SMELT_##dtype, scores, queries, stride, rows, keys, count);                                 \
    }                                                                                                        \
    static void values_##dtype(float *out, int64_t stride, int rows, const float *p,                         \
                               const struct smelt_decode_source *values, int64_t count)                      \
    {                                                                                                        \
        values_rows(SMELT_##dtype, out, stride, rows, p, values, count);                                     \
    }                                                                                                        \
    static void seen_##dtype(float *out, const float *p, const float *seen,                                  \
                             const struct smelt_decode_source *values, int64_t count)                        \
    {                                                                                                        \
        values_seen_rows(SMELT_##dtype, out, p, seen, values, count);                                        \
    }                                                                                                        \
    static bool finite_##dtype(const struct smelt_decode_source *values, int64_t count)                      \
    {                                                                                                        \
        return finite_rows(SMELT_##dtype, values, count);                                                    \
    }
KERNELS(F32)
KERNELS(F16)
KERNELS(BF16)

const struct smelt_decode_kernels SMELT_ISA_NAME(smelt_decode) = {
    .lanes = VEC_WIDTH,
#ifdef VEC_HAS_PAIRS
    .splits_bf16 = true,
#endif
    .dot = {dot_F32, dot_F16, dot_BF16},
    .softmax = softmax,
    .values = {values_F32, values_F16, values_BF16},
    .values_seen = {seen_F32, seen_F16, seen_BF16},
    .finite = {finite_F32, finite_F16, finite_BF16},
    .blend = blend,
};
