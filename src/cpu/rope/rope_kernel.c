/* SPDX-License-Identifier: Apache-2.0 */
/* rope, compiled once per ISA. */
#include "cpu/rope/rope_kernel.h"

#include "cpu/vec/sincos.h"

static void table(float *cosines, float *sines, const float *inverse, int64_t half, float position,
                  float cosine_scale, float sine_scale)
{
    for (int64_t i = 0; i < half; i += VEC_WIDTH) {
        int64_t n = half - i < VEC_WIDTH ? half - i : VEC_WIDTH;
        vf angle = vec_mul(vec_set(position), vec_load_part(SMELT_F32, inverse, i, n)), s, c;
        vec_sincos(angle, &s, &c);
        vec_store_part(SMELT_F32, cosines, i, vec_mul(c, vec_set(cosine_scale)), n);
        vec_store_part(SMELT_F32, sines, i, vec_mul(s, vec_set(sine_scale)), n);
    }
}

/* y1 = x1 cos - x2 sin, y2 = x1 sin + x2 cos */
VEC void rotate(vf *x1, vf *x2, vf c, vf s)
{
    vf y1 = vec_fnma(*x2, s, vec_mul(*x1, c)), y2 = vec_fma(*x1, s, vec_mul(*x2, c));
    *x1 = y1, *x2 = y2;
}

VEC void put(enum smelt_dtype t, void *out, int64_t i, vf v, bool stream)
{
    if (stream)
        vec_stream(t, out, i, v);
    else
        vec_store(t, out, i, v);
}

/* Two vectors, where 16-bit ones may fill a line of the cache or lie across two. */
VEC void put_two(enum smelt_dtype t, void *out, int64_t i, const vf v[2], bool stream)
{
    bool line = !stream || (uintptr_t)vec_at(t, out, i) % (VEC_WIDTH * sizeof(float)) == 0;
    if (line)
        vec_store_two(t, out, i, v, stream);
    else
        put(t, out, i, v[0], true), put(t, out, i + VEC_WIDTH, v[1], true);
}

VEC void split_row(enum smelt_dtype t, char *out, const char *x, const float *c, const float *s, int64_t half,
                   int64_t second, bool stream)
{
    int64_t i = 0;
    /* Two vectors of 16-bit elements fill a cache line, and streams want whole lines one after the other. */
    for (; t != SMELT_F32 && i + 2 * VEC_WIDTH <= half; i += 2 * VEC_WIDTH) {
        vf x1[2], x2[2];
        for (int v = 0; v < 2; v++) {
            int64_t at = i + v * VEC_WIDTH;
            x1[v] = vec_load(t, x, at), x2[v] = vec_load(t, x, second + at);
            rotate(&x1[v], &x2[v], vec_load_f32(c + at), vec_load_f32(s + at));
        }
        put_two(t, out, i, x1, stream);
        put_two(t, out, second + i, x2, stream);
    }
    for (; i + VEC_WIDTH <= half; i += VEC_WIDTH) {
        vf x1 = vec_load(t, x, i), x2 = vec_load(t, x, second + i);
        rotate(&x1, &x2, vec_load_f32(c + i), vec_load_f32(s + i));
        put(t, out, i, x1, stream);
        put(t, out, second + i, x2, stream);
    }
    if (i < half) {
        int64_t n = half - i;
        vf x1 = vec_load_part(t, x, i, n), x2 = vec_load_part(t, x, second + i, n);
        rotate(&x1, &x2, vec_load_part(SMELT_F32, c, i, n), vec_load_part(SMELT_F32, s, i, n));
        vec_store_part(t, out, i, x1, n);
        vec_store_part(t, out, second + i, x2, n);
    }
}

#if VEC_WIDTH == 1
VEC void traditional_row(enum smelt_dtype t, char *out, const char *x, const float *c, const float *s,
                         int64_t half, bool stream)
{
    for (int64_t i = 0; i < half; i++) {
        vf x1 = vec_load(t, x, 2 * i), x2 = vec_load(t, x, 2 * i + 1);
        rotate(&x1, &x2, c[i], s[i]);
        put(t, out, 2 * i, x1, stream);
        put(t, out, 2 * i + 1, x2, stream);
    }
}
#else
VEC void traditional_row(enum smelt_dtype t, char *out, const char *x, const float *c, const float *s,
                         int64_t half, bool stream)
{
    int64_t i = 0;
    for (; i + VEC_WIDTH <= half; i += VEC_WIDTH) {
        vf low = vec_load(t, x, 2 * i), high = vec_load(t, x, 2 * i + VEC_WIDTH);
        vf x1 = vec_even(low, high), x2 = vec_odd(low, high);
        rotate(&x1, &x2, vec_load_f32(c + i), vec_load_f32(s + i));
        put(t, out, 2 * i, vec_zip_low(x1, x2), stream);
        put(t, out, 2 * i + VEC_WIDTH, vec_zip_high(x1, x2), stream);
    }
    if (i < half) {
        int64_t n = 2 * (half - i), m = n < VEC_WIDTH ? n : VEC_WIDTH, rest = n - m;
        vf low = vec_load_part(t, x, 2 * i, m);
        vf high = rest ? vec_load_part(t, x, 2 * i + m, rest) : vec_zero();
        vf x1 = vec_even(low, high), x2 = vec_odd(low, high);
        rotate(&x1, &x2, vec_load_part(SMELT_F32, c, i, half - i), vec_load_part(SMELT_F32, s, i, half - i));
        vec_store_part(t, out, 2 * i, vec_zip_low(x1, x2), m);
        if (rest) vec_store_part(t, out, 2 * i + m, vec_zip_high(x1, x2), rest);
    }
}
#endif

VEC void copy_rest(char *out, const char *x, int64_t bytes, bool stream)
{
    const int64_t vector = VEC_WIDTH * (int64_t)sizeof(float);
    if (stream && ((int64_t)(uintptr_t)out | bytes) % vector == 0)
        for (int64_t i = 0; i < bytes; i += vector) vec_stream_f32(out + i, vec_load_f32(x + i));
    else
        memcpy(out, x, (size_t)bytes);
}

VEC void rows_loop(enum smelt_dtype t, bool traditional, const struct smelt_rope_rows *r, bool stream)
{
    const int64_t item = t == SMELT_F32 ? 4 : 2;
    for (int64_t row = 0; row < r->rows; row++) {
        char *out = r->out + row * r->out_step;
        const char *x = r->x + row * r->x_step;
        const float *c = r->table + row * r->table_step, *s = c + r->sines;
        if (traditional)
            traditional_row(t, out, x, c, s, r->half, stream);
        else
            split_row(t, out, x, c, s, r->half, r->second, stream);
        if (r->rest && out != x) copy_rest(out + 2 * r->half * item, x + 2 * r->half * item, r->rest, stream);
    }
}

VEC void run(enum smelt_dtype t, bool traditional, const struct smelt_rope_rows *rows)
{
    const int64_t item = t == SMELT_F32 ? 4 : 2, vector = VEC_WIDTH * item;
    struct smelt_rope_rows r = *rows;
    int64_t pair = traditional ? 2 * r.half * item : r.half * item | r.second * item;
    if (r.stream && ((int64_t)(uintptr_t)r.out | r.out_step | pair) % vector == 0)
        rows_loop(t, traditional, &r, true);
    else
        rows_loop(t, traditional, &r, false);
}

#define KERNEL(dtype)                                                                                        \
    static void split_##dtype(const struct smelt_rope_rows *rows) { run(SMELT_##dtype, false, rows); }       \
    static void traditional_##dtype(const struct smelt_rope_rows *rows) { run(SMELT_##dtype, true, rows); }
KERNEL(F32)
KERNEL(F16)
KERNEL(BF16)

static void fence(void) { vec_stream_fence(); }

const struct smelt_rope_kernels SMELT_ISA_NAME(smelt_rope) = {
    .rows = {{split_F32, split_F16, split_BF16}, {traditional_F32, traditional_F16, traditional_BF16}},
    .table = table,
    .fence = fence};
