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

/* 1 / (1 + exp(-x)), without a division of infinities. */
VEC vf vec_sigmoid(vf x) { return vec_div(vec_set(1.0f), vec_add(vec_set(1.0f), vec_exp(vec_negate(x)))); }

#endif
