/* SPDX-License-Identifier: Apache-2.0 */
/* Leaves: sine and its kin, and the inverse functions. */
#ifndef SMELT_LEAF_TRIGONOMETRIC_H
#define SMELT_LEAF_TRIGONOMETRIC_H

#include "smelt_leaf_reduction.h"

#pragma float_control(precise, on, push)
#pragma STDC FP_CONTRACT OFF

namespace smelt
{
/* For |r| <= pi / 4 */
SMELT_INLINE float sin_polynomial(float r)
{
    float u = r * r;
    float p = fused(0x1.7cccf4p-19f, u, -0x1.a05ba4p-13f);
    p = fused(p, u, 0x1.111176p-7f);
    p = fused(p, u, -0x1.555556p-3f);
    return fused(p, u * r, r);
}
SMELT_INLINE float cos_polynomial(float r)
{
    float u = r * r;
    float p = fused(-0x1.3719a2p-22f, u, 0x1.a075d2p-16f);
    p = fused(p, u, -0x1.6c1762p-10f);
    p = fused(p, u, 0x1.555556p-5f);
    return fused(p * u, u, fused(-0.5f, u, 1.0f));
}
/* sin or cos of r, by the lowest bit of quadrant, with the sign of its second bit */
SMELT_INLINE float by_quadrant(float sine, float cosine, unsigned quadrant)
{
    float value = select((quadrant & 1) != 0, cosine, sine);
    return from_bits(bits(value) ^ (quadrant & 2) << 30);
}
/* sin(pi * r), cos(pi * r) for |r| <= 1/4 */
SMELT_INLINE float sinpi_polynomial(float r)
{
    float u = r * r;
    float p = fused(0x1.443894p-4f, u, -0x1.32ada6p-1f);
    p = fused(p, u, 0x1.466b78p+1f);
    p = fused(p, u, -0x1.4abbcep+2f);
    return fused(r, 0x1.921fb6p+1f, r * fused(p, u, -0x1.777a5cp-24f));
}
SMELT_INLINE float cospi_polynomial(float r)
{
    float u = r * r;
    float p = fused(0x1.d46f6ap-3f, u, -0x1.55b15p+0f);
    p = fused(p, u, 0x1.03c1aep+2f);
    p = fused(p, u, -0x1.3bd3ccp+2f);
    return fused(p, u, 1.0f);
}
/* r and quadrant of x in half turns; the whole turns go first, exactly */
SMELT_INLINE float reduce_pi(float x, unsigned &quadrant)
{
    float y = fused(__builtin_elementwise_rint(0.5f * x), -2.0f, x);
    float biased = (y + y) + to_integer;
    quadrant = bits(biased);
    float r = fused(biased - to_integer, -0.5f, y);
    return select(magnitude(x) < infinity, r, not_a_number);
}
/* atan of 0 <= t <= 1, without the leading t */
SMELT_INLINE float atan_polynomial(float t)
{
    float u = t * t;
    float p = fused(0x1.2d62b6p-10f, u, -0x1.eb72eap-8f);
    p = fused(p, u, 0x1.77a6ecp-6f);
    p = fused(p, u, -0x1.71e1b2p-5f);
    p = fused(p, u, 0x1.157f68p-4f);
    p = fused(p, u, -0x1.6982ccp-4f);
    p = fused(p, u, 0x1.c51c64p-4f);
    p = fused(p, u, -0x1.2476cap-3f);
    p = fused(p, u, 0x1.999824p-3f);
    p = fused(p, u, -0x1.555552p-2f);
    return p * u * t;
}
/* asin of s with s^2 = u <= 1/4, without the leading s */
SMELT_INLINE float asin_polynomial(float s, float u)
{
    float p = fused(0x1.344322p-5f, u, 0x1.d6686ap-7f);
    p = fused(p, u, 0x1.04c116p-5f);
    p = fused(p, u, 0x1.6ca8eap-5f);
    p = fused(p, u, 0x1.3338a6p-4f);
    p = fused(p, u, 0x1.55554cp-3f);
    return p * u * s;
}
inline constexpr float half_pi = 0x1.921fb6p+0f;
inline constexpr float half_pi_low = -0x1.777a5cp-25f;
} // namespace smelt

SMELT_VOTING_LEAF float __smelt_math_sin_f32(float x)
{
    unsigned quadrant;
    float r = smelt::reduce(x, quadrant);
    float result = smelt::by_quadrant(smelt::sin_polynomial(r), smelt::cos_polynomial(r), quadrant);
    return smelt::select(x == 0.0f, x, result);
}
SMELT_VOTING_LEAF float __smelt_math_cos_f32(float x)
{
    unsigned quadrant;
    float r = smelt::reduce(x, quadrant);
    return smelt::by_quadrant(smelt::sin_polynomial(r), smelt::cos_polynomial(r), quadrant + 1);
}
SMELT_VOTING_LEAF float __smelt_math_tan_f32(float x)
{
    unsigned quadrant;
    float r = smelt::reduce(x, quadrant);
    float sine = smelt::sin_polynomial(r), cosine = smelt::cos_polynomial(r);
    bool odd = (quadrant & 1) != 0;
    float result = smelt::select(odd, -cosine, sine) / smelt::select(odd, sine, cosine);
    return smelt::select(x == 0.0f, x, result);
}

SMELT_LEAF float __smelt_math_sinpi_f32(float x)
{
    unsigned quadrant;
    float r = smelt::reduce_pi(x, quadrant);
    float result = smelt::by_quadrant(smelt::sinpi_polynomial(r), smelt::cospi_polynomial(r), quadrant);
    return smelt::select(__builtin_elementwise_trunc(x) == x, smelt::with_sign(0.0f, x), result);
}
SMELT_LEAF float __smelt_math_cospi_f32(float x)
{
    unsigned quadrant;
    float r = smelt::reduce_pi(x, quadrant);
    float result = smelt::by_quadrant(smelt::sinpi_polynomial(r), smelt::cospi_polynomial(r), quadrant + 1);
    return smelt::select(result == 0.0f, 0.0f, result);
}
SMELT_LEAF float __smelt_math_tanpi_f32(float x)
{
    return __smelt_math_sinpi_f32(x) / __smelt_math_cospi_f32(x);
}

SMELT_LEAF float __smelt_math_atan_f32(float x)
{
    using namespace smelt;
    float a = magnitude(x);
    bool inverse = a > 1.0f;
    float t = select(inverse, 1.0f, a) / select(inverse, a, 1.0f);
    float p = atan_polynomial(t);
    float direct = t + p;
    float flipped = half_pi - (t + (p - half_pi_low));
    return with_sign(select(inverse, flipped, direct), x);
}
SMELT_LEAF float __smelt_math_atan2_f32(float y, float x)
{
    using namespace smelt;
    float ax = magnitude(x), ay = magnitude(y);
    bool swap = ay > ax;
    float low = select(swap, ax, ay), high = select(swap, ay, ax);
    float t = select(high == 0.0f, 0.0f, select(low == infinity, 1.0f, low / high));
    float p = atan_polynomial(t);
    float angle = select(swap, half_pi - (t + (p - half_pi_low)), t + p);
    bool left = (int)bits(x) < 0;
    /* pi minus the angle, with the low parts of pi kept */
    float straight =
        select(swap, half_pi + (t + (p + half_pi_low)), 2 * half_pi - (t + (p - 2 * half_pi_low)));
    angle = select(left, straight, angle);
    return select((x != x) | (y != y), not_a_number, with_sign(angle, y));
}
SMELT_LEAF float __smelt_math_asin_f32(float x)
{
    using namespace smelt;
    float a = magnitude(x);
    bool large = a > 0.5f;
    float u = select(large, fused(a, -0.5f, 0.5f), a * a);
    float s = select(large, __builtin_elementwise_sqrt(u), a);
    float p = asin_polynomial(s, u);
    float flipped = half_pi - (2.0f * s + (2.0f * p - half_pi_low));
    return with_sign(select(large, flipped, s + p), x);
}
SMELT_LEAF float __smelt_math_acos_f32(float x)
{
    using namespace smelt;
    float a = magnitude(x);
    bool large = a > 0.5f;
    float u = select(large, fused(a, -0.5f, 0.5f), a * a);
    float s = select(large, __builtin_elementwise_sqrt(u), x);
    float p = asin_polynomial(s, u);
    float near = half_pi - (s + (p - half_pi_low));
    float right = 2.0f * (s + p);
    float left = 2 * half_pi - (2.0f * s + (2.0f * p - 2 * half_pi_low));
    return select(large, select(x < 0.0f, left, right), near);
}

/* Fast forms: two parts of pi / 2, good to 2^-20 for |x| < 2^12 or so */
namespace smelt
{
SMELT_INLINE float reduce_fast(float x, unsigned &quadrant)
{
    float biased = fused(x, 0x1.45f306p-1f, to_integer);
    float n = biased - to_integer;
    quadrant = bits(biased);
    return fused(n, 0x1.777a5cp-25f, fused(n, -0x1.921fb6p+0f, x));
}
} // namespace smelt
SMELT_LEAF float __smelt_math_fast_sin_f32(float x)
{
    unsigned quadrant;
    float r = smelt::reduce_fast(x, quadrant);
    return smelt::by_quadrant(smelt::sin_polynomial(r), smelt::cos_polynomial(r), quadrant);
}
SMELT_LEAF float __smelt_math_fast_cos_f32(float x)
{
    unsigned quadrant;
    float r = smelt::reduce_fast(x, quadrant);
    return smelt::by_quadrant(smelt::sin_polynomial(r), smelt::cos_polynomial(r), quadrant + 1);
}
SMELT_LEAF float __smelt_math_fast_tan_f32(float x)
{
    return __smelt_math_fast_sin_f32(x) / __smelt_math_fast_cos_f32(x);
}

#pragma float_control(pop)

#endif
