/* SPDX-License-Identifier: Apache-2.0 */
/* Sine and cosine together, for every float32, at most 2 ULP. */
#ifndef SMELT_CPU_VEC_SINCOS_H
#define SMELT_CPU_VEC_SINCOS_H

#include "cpu/vec/vec.h"

/* x = n pi/2 + r + tail with |r| <= pi/4, for |x| <= 2^20. */
VEC vf vec_reduce_angle(vf x, vf *r, vf *tail)
{
    vf n = vec_round(vec_mul(x, vec_set(0x1.45f306p-1f)));
#if VEC_WIDTH == 1 /* no fused multiply-add: double holds n times 33 bits exactly */
    double rest = ((double)x - n * 0x1.921fb544p+0) - n * 0x1.0b4611a626331p-34;
    *r = (float)rest, *tail = (float)(rest - *r);
#else
    /* Three parts of pi/2. The first difference is exact; the second keeps what rounding drops. */
    vf first = vec_fnma(n, vec_set(0x1.921fb6p+0f), x), product = vec_mul(n, vec_set(-0x1.777a5cp-25f));
    vf low = vec_fnma(n, vec_set(-0x1.ee59dap-50f),
                      vec_negate(vec_fma(n, vec_set(-0x1.777a5cp-25f), vec_negate(product))));
    *r = vec_sub(first, product);
    *tail = vec_add(vec_sub(vec_sub(first, *r), product), low);
#endif
    return n;
}

/* Lane by lane, by the C library in double precision: huge angles are rare. */
VEC void vec_sincos_far(vf x, vf *sine, vf *cosine)
{
    float lanes[3][VEC_WIDTH];
    vec_store_f32(lanes[0], x);
    for (int i = 0; i < VEC_WIDTH; i++) {
        lanes[1][i] = (float)sin(lanes[0][i]);
        lanes[2][i] = (float)cos(lanes[0][i]);
    }
    *sine = vec_load_f32(lanes[1]);
    *cosine = vec_load_f32(lanes[2]);
}

VEC void vec_sincos(vf x, vf *sine, vf *cosine)
{
    if (__builtin_expect(vec_any(vec_less(vec_set(0x1p20f), vec_abs(x))), 0)) {
        vec_sincos_far(x, sine, cosine);
        return;
    }
    vf r, tail, n = vec_reduce_angle(x, &r, &tail), square = vec_mul(r, r);
    vf s = vec_set(0x1.782a4ep-19f);
    s = vec_fma(s, square, vec_set(-0x1.a04c04p-13f));
    s = vec_fma(s, square, vec_set(0x1.11116ap-7f));
    s = vec_fma(s, square, vec_set(-0x1.555556p-3f));
    s = vec_add(r, vec_fma(vec_mul(s, square), r, tail));
    vf c = vec_set(0x1.997ad4p-16f);
    c = vec_fma(c, square, vec_set(-0x1.6c0ac4p-10f));
    c = vec_fma(c, square, vec_set(0x1.555548p-5f));
    c = vec_fma(c, square, vec_set(-0.5f));
    c = vec_fma(c, square, vec_set(1.0f));
    /* Odd quarters swap the two; the second bit of n is the sign of the sine, that of n + 1 of the cosine. */
    vi quarter = vec_to_int(n), one = vec_int_set(1), top = vec_int_set(2);
    vm even = vec_int_equal(vec_int_and(quarter, one), vec_int_set(0));
    vi sine_sign = vec_int_left(vec_int_and(quarter, top), 30);
    vi cosine_sign = vec_int_left(vec_int_and(vec_int_add(quarter, one), top), 30);
    *sine = vec_of_bits(vec_int_xor(vec_bits(vec_select(even, s, c)), sine_sign));
    *cosine = vec_of_bits(vec_int_xor(vec_bits(vec_select(even, c, s)), cosine_sign));
}

#endif
