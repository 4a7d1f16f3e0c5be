/* SPDX-License-Identifier: Apache-2.0 */
/* Functions over the names of vec.h: our own polynomials (minimax fits with float32 coefficients), at most 2
 * ULP in float32 where nothing else is said. tests/unit/vec_math.c measures them. */
#ifndef SMELT_CPU_VEC_MATH_H
#define SMELT_CPU_VEC_MATH_H

#include "cpu/vec/vec.h"

#ifndef VEC_HAS_SCALE
/* v * 2^n for whole n from -252 to 254, rounded once where the result is subnormal: two factors, either of
 * which is a normal number. */
VEC vf vec_scale_power(vf v, vf n)
{
    vi whole = vec_to_int(n), half = vec_int_right(whole, 1), bias = vec_int_set(127);
    vf first = vec_of_bits(vec_int_left(vec_int_add(half, bias), 23));
    vf second = vec_of_bits(vec_int_left(vec_int_add(vec_int_sub(whole, half), bias), 23));
    return vec_mul(vec_mul(v, first), second);
}
#endif

/* exp(x + tail) for a tail small beside ln 2, or none: exp = 2^n exp(r), |r| <= ln(2)/2. exp(-inf) = 0,
 * exp(inf) = inf, NaN stays. */
VEC vf vec_exp_tail(vf x, const vf *tail)
{
    x = vec_max(vec_set(-104.0f), vec_min(vec_set(89.0f), x)); /* NaN is the second operand: it stays */
    vf n = vec_round(vec_mul(x, vec_set(0x1.715476p+0f)));
    vf r = vec_fnma(n, vec_set(0x1.62e4p-1f), x); /* ln 2 in two parts; n times the first is exact */
    r = vec_fnma(n, vec_set(0x1.7f7d1cp-20f), r);
    if (tail) r = vec_add(r, *tail);
    vf p = vec_set(0x1.6b6376p-10f);
    p = vec_fma(p, r, vec_set(0x1.124da4p-7f));
    p = vec_fma(p, r, vec_set(0x1.5557e6p-5f));
    p = vec_fma(p, r, vec_set(0x1.555476p-3f));
    p = vec_fma(p, r, vec_set(0x1.fffffcp-2f));
    p = vec_add(vec_fma(p, vec_mul(r, r), r), vec_set(1.0f));
    return vec_scale_power(p, n);
}
VEC vf vec_exp(vf x) { return vec_exp_tail(x, NULL); }

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

/* log(x) = e log 2 + log(1 + f), sqrt(1/2) <= 1 + f < sqrt(2). log(0) = -inf, below 0 NaN. */
VEC vf vec_log(vf x)
{
    vm small = vec_less(x, vec_set(0x1p-126f));
    vf scaled = vec_select(small, vec_mul(x, vec_set(0x1p24f)), x);
    vi origin = vec_int_set(0x3f3504f3); /* sqrt(1/2) */
    vi power = vec_int_right(vec_int_sub(vec_bits(scaled), origin), 23);
    vf f = vec_sub(vec_of_bits(vec_int_sub(vec_bits(scaled), vec_int_left(power, 23))), vec_set(1.0f));
    vf e = vec_sub(vec_from_int(power), vec_select(small, vec_set(24.0f), vec_zero()));
    vf p = vec_set(0x1.1456c4p-4f);
    p = vec_fma(p, f, vec_set(-0x1.de65a6p-4f));
    p = vec_fma(p, f, vec_set(0x1.e70710p-4f));
    p = vec_fma(p, f, vec_set(-0x1.fc1d58p-4f));
    p = vec_fma(p, f, vec_set(0x1.2335b2p-3f));
    p = vec_fma(p, f, vec_set(-0x1.555c5cp-3f));
    p = vec_fma(p, f, vec_set(0x1.99a4cap-3f));
    p = vec_fma(p, f, vec_set(-0x1.000006p-2f));
    p = vec_fma(p, f, vec_set(0x1.555548p-2f));
    vf square = vec_mul(f, f);
    p = vec_fma(vec_mul(square, f), p, vec_mul(e, vec_set(-0x1.bd0106p-13f)));
    p = vec_add(vec_fnma(vec_set(0.5f), square, p), f);
    vf y = vec_fma(e, vec_set(0x1.63p-1f), p);
    y = vec_select(vec_less(x, vec_zero()), vec_set(NAN), y);
    y = vec_select(vec_equal(x, vec_zero()), vec_set(-INFINITY), y);
    vm kept = vec_less(vec_set(0x1.fffffep127f), x);
    return vec_select(vec_is_nan(x), x, vec_select(kept, x, y));
}

/* An odd polynomial near 0, 1 - 2 / (exp(2|x|) + 1) elsewhere. */
VEC vf vec_tanh(vf x)
{
    vf size = vec_abs(x), square = vec_mul(x, x);
    vf p = vec_set(-0x1.767a14p-8f);
    p = vec_fma(p, square, vec_set(0x1.524c40p-6f));
    p = vec_fma(p, square, vec_set(-0x1.b842c4p-5f));
    p = vec_fma(p, square, vec_set(0x1.11075ep-3f));
    p = vec_fma(p, square, vec_set(-0x1.555534p-2f));
    vf near = vec_fma(vec_mul(p, square), size, size);
    vf e = vec_exp(vec_add(size, size));
    vf far = vec_sub(vec_set(1.0f), vec_div(vec_set(2.0f), vec_add(e, vec_set(1.0f))));
    vf y = vec_select(vec_less(size, vec_set(0.625f)), near, far);
    return vec_of_bits(vec_int_or(vec_bits(y), vec_int_and(vec_bits(x), vec_int_set(INT32_MIN))));
}

/* 1 / (1 + exp(-x)) as `value`, and 1 minus that as `rest`, each with full relative accuracy. */
VEC void vec_sigmoid_pair(vf x, vf *value, vf *rest)
{
    vf e = vec_exp(vec_negate(vec_abs(x)));
    vf large = vec_reciprocal(vec_add(vec_set(1.0f), e)), little = vec_mul(e, large);
    vm below = vec_less(x, vec_zero());
    *value = vec_select(below, little, large);
    *rest = vec_select(below, large, little);
}
VEC vf vec_sigmoid(vf x)
{
    vf value, rest;
    vec_sigmoid_pair(x, &value, &rest);
    return value;
}

#ifdef VEC_HAS_SCALE
/* 2^x as part of a result of 16 bits: within 2^-12 where it is bfloat16, 2^-13 where it is float16. */
VEC vf vec_exp2_16(enum smelt_dtype dtype, vf x)
{
    vf r = vec_fraction(x), p;
    if (dtype == SMELT_BF16) {
        p = vec_fma(vec_set(0x1.3f969ep-4f), r, vec_set(0x1.cefc50p-3f));
        p = vec_fma(p, r, vec_set(0x1.64444ap-1f));
        p = vec_fma(p, r, vec_set(0x1.fff632p-1f));
        return vec_scale_any(p, x);
    }
    p = vec_fma(vec_set(0x1.bb7ccep-7f), r, vec_set(0x1.aa13f4p-5f));
    p = vec_fma(p, r, vec_set(0x1.ee798ap-3f));
    p = vec_fma(p, r, vec_set(0x1.62d166p-1f));
    p = vec_fma(p, r, vec_set(0x1.00002cp+0f));
    return vec_scale_any(p, x);
}
/* 1 / (1 + 2^x), likewise. */
VEC vf vec_sigmoid_16(enum smelt_dtype dtype, vf x)
{
    return vec_reciprocal_rough(vec_add(vec_exp2_16(dtype, x), vec_set(1.0f)));
}
/* The same, with 1 minus it as `rest`. */
VEC vf vec_sigmoid_pair_16(enum smelt_dtype dtype, vf x, vf *rest)
{
    vf e = vec_exp2_16(dtype, x), value = vec_reciprocal_rough(vec_add(e, vec_set(1.0f)));
    *rest = vec_min(vec_mul(e, value), vec_set(1.0f)); /* 1 where e is infinite and value 0 */
    return value;
}
#endif

/* The normal distribution at x: its integral up to x (half of erfc(-x / sqrt 2)), and exp(-x^2 / 2). In the
 * lower tail Phi = exp(-x^2/2) q(|x|), where q falls slowly and is a polynomial of u = (|x| - 4) / (|x| + 4)
 * over |x| + 4: the relative error stays small, about 4 ULP, down to where float32 ends. */
VEC void vec_normal(vf x, vf *integral, vf *density)
{
    vf size = vec_min(vec_set(15.0f), vec_abs(x)); /* beyond it all is 0; NaN stays */
    /* The square without rounding: a leading part whose square is exact, and what it leaves. */
    vf lead = vec_of_bits(vec_int_and(vec_bits(size), vec_int_set(-0x1000)));
    vf left = vec_mul(vec_sub(size, lead), vec_add(size, lead));
    vf rest = vec_mul(left, vec_set(-0.5f));
    vf e = vec_exp_tail(vec_mul(vec_mul(lead, lead), vec_set(-0.5f)), &rest);
    vf r = vec_reciprocal(vec_add(size, vec_set(4.0f))), u = vec_fnma(vec_set(8.0f), r, vec_set(1.0f));
    vf p = vec_set(-0x1.15bb7ap-13f);
    p = vec_fma(p, u, vec_set(0x1.7612d4p-13f));
    p = vec_fma(p, u, vec_set(0x1.9b7566p-10f));
    p = vec_fma(p, u, vec_set(-0x1.cc55ccp-9f));
    p = vec_fma(p, u, vec_set(-0x1.ed289ep-8f));
    p = vec_fma(p, u, vec_set(0x1.eed3e0p-5f));
    p = vec_fma(p, u, vec_set(-0x1.7e0006p-3f));
    p = vec_fma(p, u, vec_set(0x1.8c6d9ep-2f));
    p = vec_fma(p, u, vec_set(-0x1.373e38p-1f));
    p = vec_fma(p, u, vec_set(0x1.82b4bcp-1f));
    vf tail = vec_mul(vec_mul(p, r), e);
    *integral = vec_select(vec_less(x, vec_zero()), tail, vec_sub(vec_set(1.0f), tail));
    *density = e;
}

#endif
