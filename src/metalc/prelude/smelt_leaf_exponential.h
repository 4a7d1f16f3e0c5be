/* SPDX-License-Identifier: Apache-2.0 */
/* Leaves: exponentials, logarithms and powers. Polynomials are our own minimax fits. */
#ifndef SMELT_LEAF_EXPONENTIAL_H
#define SMELT_LEAF_EXPONENTIAL_H

#include "smelt_leaf.h"

#pragma float_control(precise, on, push)
#pragma STDC FP_CONTRACT OFF

namespace smelt
{
/* e^r for |r| <= ln(2) / 2 */
SMELT_INLINE float exp_polynomial(float r)
{
    float p = fused(0x1.6a4d44p-10f, r, 0x1.123986p-7f);
    p = fused(p, r, 0x1.5558bp-5f);
    p = fused(p, r, 0x1.555492p-3f);
    p = fused(p, r, 0x1.fffffcp-2f);
    return 1.0f + fused(p, r * r, r);
}
/* 2^r for |r| <= 1/2 */
SMELT_INLINE float exp2_polynomial(float r)
{
    float p = fused(0x1.4178a4p-13f, r, 0x1.5f0952p-10f);
    p = fused(p, r, 0x1.3b2dd4p-7f);
    p = fused(p, r, 0x1.c6af7ap-5f);
    p = fused(p, r, 0x1.ebfbdcp-3f);
    p = fused(p, r, 0x1.62e43p-1f);
    return fused(p, r, 1.0f);
}
/* 2^shift * e^x; the shift keeps sinh and cosh from overflowing early */
SMELT_INLINE float exp_shifted(float x, float shift)
{
    x = clamp(x, -105.0f, 90.0f);
    float biased = fused(x, 0x1.715476p+0f, to_integer);
    float n = biased - to_integer;
    float r = fused(n, -0x1.62e43p-1f, x);
    r = fused(n, 0x1.05c61p-29f, r);
    return scale(exp_polynomial(r), biased + shift);
}

/* log(1 + f) - f for f in [-1/3, 1/3] */
SMELT_INLINE float log_polynomial(float f)
{
    float p = fused(0x1.e9d82ap-4f, f, -0x1.06d852p-3f);
    p = fused(p, f, 0x1.b91dd8p-4f);
    p = fused(p, f, -0x1.f3a65ep-4f);
    p = fused(p, f, 0x1.24eb74p-3f);
    p = fused(p, f, -0x1.5597e6p-3f);
    p = fused(p, f, 0x1.9997eep-3f);
    p = fused(p, f, -0x1.ffff16p-3f);
    p = fused(p, f, 0x1.555556p-2f);
    float square = f * f;
    return fused(-0.5f, square, square * f * p);
}
/* x = 2^exponent * (1 + fraction), fraction in [-1/3, 1/3], also for denormal x */
SMELT_INLINE void split(float x, float &exponent, float &fraction)
{
    bool tiny = x < 0x1p-126f;
    unsigned u = bits(select(tiny, x * 0x1p23f, x));
    int e = (int)(u - 0x3f2aaaabu) >> 23;
    fraction = from_bits(u - ((unsigned)e << 23)) - 1.0f;
    exponent = (float)e + select(tiny, -23.0f, 0.0f);
}
/* What every logarithm gives for 0, infinity, negative numbers and NaN */
SMELT_INLINE float log_special(float x, float result)
{
    result = select(x == infinity, infinity, result);
    result = select(x == 0.0f, -infinity, result);
    return select(x >= 0.0f, result, not_a_number);
}
/* exponent * c + log(1 + fraction) / log(base), both constants in two parts */
SMELT_INLINE float log_scaled(float exponent, float c, float c_low, float f, float l, float l_low)
{
    float high = f * l;
    float low = fused(f, l, -high) + f * l_low;
    float sum = high + fused(exponent, c_low, fused(log_polynomial(f), l, low));
    return fused(exponent, c, sum);
}
} // namespace smelt

SMELT_LEAF float __smelt_math_exp_f32(float x) { return smelt::exp_shifted(x, 0.0f); }

SMELT_LEAF float __smelt_math_exp2_f32(float x)
{
    x = smelt::clamp(x, -151.0f, 129.0f);
    float biased = x + smelt::to_integer;
    return smelt::scale(smelt::exp2_polynomial(x - (biased - smelt::to_integer)), biased);
}

SMELT_LEAF float __smelt_math_exp10_f32(float x)
{
    x = smelt::clamp(x, -46.0f, 39.0f);
    float biased = smelt::fused(x, 0x1.a934fp+1f, smelt::to_integer);
    float n = biased - smelt::to_integer;
    float r = smelt::fused(n, -0x1.344136p-2f, x);
    r = smelt::fused(n, 0x1.ec10cp-27f, r);
    float p = smelt::fused(0x1.a637e6p-3f, r, 0x1.156a4ep-1f);
    p = smelt::fused(p, r, 0x1.2bda02p+0f);
    p = smelt::fused(p, r, 0x1.046f9cp+1f);
    p = smelt::fused(p, r, 0x1.53524ap+1f);
    p = smelt::fused(p, r, 0x1.26bb1cp+1f);
    return smelt::scale(smelt::fused(p, r, 1.0f), biased);
}

SMELT_LEAF float __smelt_math_log_f32(float x)
{
    float e, f;
    smelt::split(x, e, f);
    float sum = f + smelt::fused(e, -0x1.05c61p-29f, smelt::log_polynomial(f));
    return smelt::log_special(x, smelt::fused(e, 0x1.62e43p-1f, sum));
}

SMELT_LEAF float __smelt_math_log2_f32(float x)
{
    float e, f;
    smelt::split(x, e, f);
    return smelt::log_special(x, smelt::log_scaled(e, 1.0f, 0.0f, f, 0x1.715476p+0f, 0x1.4ae0cp-26f));
}

SMELT_LEAF float __smelt_math_log10_f32(float x)
{
    float e, f;
    smelt::split(x, e, f);
    float result = smelt::log_scaled(e, 0x1.344136p-2f, -0x1.ec10cp-27f, f, 0x1.bcb7b2p-2f, -0x1.5b235ep-27f);
    return smelt::log_special(x, result);
}

/* log(1 + x): what the rounding of 1 + x lost is put back */
SMELT_LEAF float __smelt_math_log1p_f32(float x)
{
    float u = 1.0f + x;
    float lost = x - (u - 1.0f);
    float result = __smelt_math_log_f32(u) + lost / u;
    result = smelt::select(smelt::magnitude(u) == smelt::infinity, u, result);
    result = smelt::select(u == 0.0f, -smelt::infinity, result);
    return smelt::select(x == 0.0f, x, smelt::select(x < -1.0f, smelt::not_a_number, result));
}

namespace smelt
{
/* log2 of a positive finite float, to 2^-44, in double: no denormals there */
SMELT_INLINE double log2_wide(float magnitude)
{
    unsigned long u = bits((double)magnitude);
    unsigned long biased = (u + (0x3ff0000000000000ul - 0x3fe5555555555555ul)) >> 52;
    double exponent =
        from_bits(biased | 0x4330000000000000ul) - (SMELT_DOUBLE(0x1p52) + SMELT_DOUBLE(1023.0));
    double m = from_bits(u - ((biased - 1023ul) << 52));
    double s = (m - SMELT_DOUBLE(1.0)) / (m + SMELT_DOUBLE(1.0));
    double square = s * s;
    double p = fused(SMELT_DOUBLE(0x1.00f82a62516cfp-2), square, SMELT_DOUBLE(0x1.0af02760b5909p-2));
    p = fused(p, square, SMELT_DOUBLE(0x1.4856bf5db0c1cp-2));
    p = fused(p, square, SMELT_DOUBLE(0x1.a617392b7c096p-2));
    p = fused(p, square, SMELT_DOUBLE(0x1.2776c53177f1ap-1));
    p = fused(p, square, SMELT_DOUBLE(0x1.ec709dc38bce9p-1));
    p = fused(p, square, SMELT_DOUBLE(0x1.71547652b8303p+1));
    return fused(s, p, exponent);
}
/* 2^z rounded once to float */
SMELT_INLINE float exp2_wide(double z)
{
    z = select(z < -SMELT_DOUBLE(160.0), -SMELT_DOUBLE(160.0), z);
    z = select(z > SMELT_DOUBLE(140.0), SMELT_DOUBLE(140.0), z);
    double biased = z + to_integer_wide;
    double r = z - (biased - to_integer_wide);
    double p = fused(SMELT_DOUBLE(0x1.41d30d88c9d76p-13), r, SMELT_DOUBLE(0x1.5f4597d9bea05p-10));
    p = fused(p, r, SMELT_DOUBLE(0x1.3b2dbc683273cp-7));
    p = fused(p, r, SMELT_DOUBLE(0x1.c6aed45fe927fp-5));
    p = fused(p, r, SMELT_DOUBLE(0x1.ebfbdadb12702p-3));
    p = fused(p, r, SMELT_DOUBLE(0x1.62e430c82aadfp-1));
    p = fused(p, r, SMELT_DOUBLE(0x1.00000002624e7p+0));
    return (float)from_bits(bits(p) + (bits(biased) << 52));
}
} // namespace smelt

/* C's rules: pow(x, 0) and pow(1, y) are 1, a negative base needs an integer exponent */
SMELT_LEAF float __smelt_math_pow_f32(float x, float y)
{
    using namespace smelt;
    float base = magnitude(x);
    float result = exp2_wide((double)y * log2_wide(base));
    result = select((base == 1.0f) & (magnitude(y) == infinity), 1.0f, result);
    result = select(base == 0.0f, select(y < 0.0f, infinity, 0.0f), result);
    result = select(base == infinity, select(y < 0.0f, 0.0f, infinity), result);
    float halves = y * 0.5f;
    bool integer = __builtin_elementwise_trunc(y) == y;
    bool odd = integer & (__builtin_elementwise_trunc(halves) != halves);
    bool negative = (int)bits(x) < 0;
    result = select(negative & odd, -result, result);
    result = select((x < 0.0f) & (x != -infinity) & !integer, not_a_number, result);
    result = select((x != x) | (y != y), not_a_number, result);
    return select((y == 0.0f) | (x == 1.0f), 1.0f, result);
}

/* powr: the base is not negative; 0^0, inf^0 and 1^inf are NaN */
SMELT_LEAF float __smelt_math_powr_f32(float x, float y)
{
    using namespace smelt;
    float result = __smelt_math_pow_f32(magnitude(x), y);
    bool undefined = ((y == 0.0f) & ((x == 0.0f) | (x == infinity))) |
                     ((x == 1.0f) & (magnitude(y) == infinity)) | (x < 0.0f) | (x != x) | (y != y);
    return select(undefined, not_a_number, result);
}

/* Fast forms: no denormal results, an error that grows with the argument, infinities still right */
SMELT_LEAF float __smelt_math_fast_exp2_f32(float x)
{
    float biased = smelt::clamp(x, -126.0f, 128.0f) + smelt::to_integer;
    float r = smelt::clamp(x, -126.0f, 128.0f) - (biased - smelt::to_integer);
    float result = smelt::scale_normal(smelt::exp2_polynomial(r), biased);
    return smelt::select(x != x, x, smelt::select(x < -126.0f, 0.0f, result));
}
SMELT_LEAF float __smelt_math_fast_exp_f32(float x) { return __smelt_math_fast_exp2_f32(x * 0x1.715476p+0f); }
SMELT_LEAF float __smelt_math_fast_exp10_f32(float x)
{
    return __smelt_math_fast_exp2_f32(x * 0x1.a934fp+1f);
}
SMELT_LEAF float __smelt_math_fast_log_f32(float x)
{
    unsigned u = smelt::bits(x);
    int e = (int)(u - 0x3f2aaaabu) >> 23;
    float f = smelt::from_bits(u - ((unsigned)e << 23)) - 1.0f;
    return smelt::log_special(x, smelt::fused((float)e, 0x1.62e43p-1f, f + smelt::log_polynomial(f)));
}
SMELT_LEAF float __smelt_math_fast_log2_f32(float x) { return __smelt_math_fast_log_f32(x) * 0x1.715476p+0f; }
SMELT_LEAF float __smelt_math_fast_log10_f32(float x)
{
    return __smelt_math_fast_log_f32(x) * 0x1.bcb7b2p-2f;
}
/* Exact in the corners that kernels use: 0^0, 0^y, negative bases */
SMELT_LEAF float __smelt_math_fast_pow_f32(float x, float y)
{
    using namespace smelt;
    float base = magnitude(x);
    float result = __smelt_math_fast_exp2_f32(y * __smelt_math_log2_f32(base));
    float halves = y * 0.5f;
    bool integer = __builtin_elementwise_trunc(y) == y;
    bool odd = integer & (__builtin_elementwise_trunc(halves) != halves);
    result = select((x < 0.0f) & odd, -result, result);
    result = select((x < 0.0f) & !integer, not_a_number, result);
    return select((y == 0.0f) | (x == 1.0f), 1.0f, result);
}

#pragma float_control(pop)

#endif
