/* SPDX-License-Identifier: Apache-2.0 */
/* Vector mathematics over the names of vec.h: our own polynomials, at most 2 ULP in float32. */
#ifndef SMELT_CPU_VEC_MATH_H
#define SMELT_CPU_VEC_MATH_H

#include "cpu/vec/vec.h"

/* v * 2^n for n from -252 to 254, in two steps so that subnormal results and results near the top come out
 * right. */
VEC vf vec_scale_power(vf v, vi n)
{
    vi half = vec_int_right(n, 1), rest = vec_int_sub(n, half), bias = vec_int_set(127);
    vf first = vec_of_bits(vec_int_left(vec_int_add(half, bias), 23));
    vf second = vec_of_bits(vec_int_left(vec_int_add(rest, bias), 23));
    return vec_mul(vec_mul(v, first), second);
}

/* exp(x) = 2^n exp(r), |r| <= ln(2)/2. exp(-inf) = 0, exp(+inf) = inf, NaN stays. */
VEC vf vec_exp(vf x)
{
    x = vec_max(vec_set(-104.0f), vec_min(vec_set(89.0f), x)); /* NaN is the second operand: it stays */
    vf n = vec_round(vec_mul(x, vec_set(0x1.715476p+0f)));
    vf r = vec_fnma(n, vec_set(0x1.62e4p-1f), x); /* ln 2 in two parts; n times the first is exact */
    r = vec_fnma(n, vec_set(0x1.7f7d1cp-20f), r);
    vf p = vec_set(1.9875691500e-4f);
    p = vec_fma(p, r, vec_set(1.3981999507e-3f));
    p = vec_fma(p, r, vec_set(8.3334519073e-3f));
    p = vec_fma(p, r, vec_set(4.1665795894e-2f));
    p = vec_fma(p, r, vec_set(1.6666665459e-1f));
    p = vec_fma(p, r, vec_set(5.0000001201e-1f));
    p = vec_add(vec_fma(p, vec_mul(r, r), r), vec_set(1.0f));
    return vec_select(vec_is_nan(x), x, vec_scale_power(p, vec_to_int(n)));
}

/* 2^x for x up to 127: 0 where the result would be subnormal, NaN stays. The cheapest exponential: for
 * probabilities. */
VEC vf vec_exp2(vf x)
{
#ifdef VEC_HAS_SCALE
    vf r = vec_fraction(x), p = vec_set(0x1.e9750ap-10f);
    p = vec_fma(p, r, vec_set(0x1.277850p-7f));
    p = vec_fma(p, r, vec_set(0x1.c91ce8p-5f));
    p = vec_fma(p, r, vec_set(0x1.ebdb56p-3f));
    p = vec_fma(p, r, vec_set(0x1.62e4bap-1f));
    p = vec_fma(p, r, vec_set(1.0f));
    return vec_scale_floor(p, x);
#else
    vf bound = vec_max(vec_set(-127.0f), x), n = vec_round(bound), r = vec_sub(bound, n);
    vf p = vec_set(0x1.41fbb8p-13f);
    p = vec_fma(p, r, vec_set(0x1.5f3e54p-10f));
    p = vec_fma(p, r, vec_set(0x1.3b2d4cp-7f));
    p = vec_fma(p, r, vec_set(0x1.c6aee8p-5f));
    p = vec_fma(p, r, vec_set(0x1.ebfbdcp-3f));
    p = vec_fma(p, r, vec_set(0x1.62e430p-1f));
    p = vec_fma(p, r, vec_set(1.0f));
    vi power = vec_int_left(vec_int_add(vec_to_int(n), vec_int_set(127)), 23);
    vf result = vec_mul(p, vec_of_bits(power)); /* NaN in p stays, whatever its power */
    return vec_select(vec_less(x, vec_set(-126.0f)), vec_zero(), result);
#endif
}

/* tanh(x) with an error of a few ULP. */
VEC vf vec_tanh(vf x)
{
    vf size = vec_abs(x), square = vec_mul(x, x);
    vf t = vec_exp2(vec_mul(size, vec_set(-0x1.715476p+1f)));
    vf large = vec_div(vec_sub(vec_set(1.0f), t), vec_add(vec_set(1.0f), t));
    vf p = vec_set(0x1.664f48p-6f); /* the series: 62/2835, -17/315, 2/15, -1/3 */
    p = vec_fma(p, square, vec_set(-0x1.ba1ba2p-5f));
    p = vec_fma(p, square, vec_set(0x1.111112p-3f));
    p = vec_fma(p, square, vec_set(-0x1.555556p-2f));
    vf small = vec_fma(vec_mul(p, square), size, size);
    vf result = vec_select(vec_less(size, vec_set(0.25f)), small, large);
    vi sign = vec_int_and(vec_bits(x), vec_int_set(INT32_MIN));
    return vec_of_bits(vec_int_or(vec_bits(result), sign));
}

/* 1 / (1 + exp(-x)), without a division of infinities. */
VEC vf vec_sigmoid(vf x) { return vec_div(vec_set(1.0f), vec_add(vec_set(1.0f), vec_exp(vec_negate(x)))); }

#endif
