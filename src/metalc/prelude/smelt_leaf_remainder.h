/* SPDX-License-Identifier: Apache-2.0 */
/* Leaves: fmod, nextafter and the functions that take a float apart. */
#ifndef SMELT_LEAF_REMAINDER_H
#define SMELT_LEAF_REMAINDER_H

#include "smelt_leaf.h"

#pragma float_control(precise, on, push)
#pragma STDC FP_CONTRACT OFF

namespace smelt
{
/* x modulo y for 0 <= x < 2^29 y: the product of the quotient and a float is exact in double */
SMELT_INLINE double remainder_step(double x, double y)
{
    double r = fused(__builtin_elementwise_trunc(x / y), -y, x);
    return select(r < SMELT_DOUBLE(0.0), r + y, r);
}
} // namespace smelt

SMELT_VOTING_LEAF float __smelt_math_fmod_f32(float x, float y)
{
    using namespace smelt;
    double r = (double)magnitude(x), divisor = (double)magnitude(y);
    if (SMELT_ANY_LANE(r >= divisor * SMELT_DOUBLE(0x1p29)))
        for (double s = SMELT_DOUBLE(0x1p252); s > SMELT_DOUBLE(1.0); s *= SMELT_DOUBLE(0x1p-28))
            r = remainder_step(r, divisor * s);
    float result = with_sign((float)remainder_step(r, divisor), x);
    result = select(magnitude(x) < magnitude(y), x, result);
    result = select(magnitude(x) < infinity, result, not_a_number);
    return select(magnitude(y) > 0.0f, result, not_a_number);
}

/* The neighbour of x towards y, through the order of the bit patterns */
SMELT_LEAF float __smelt_math_nextafter_f32(float x, float y)
{
    using namespace smelt;
    bool away = (y > x) == (x > 0.0f);
    unsigned u = bits(x);
    float result = from_bits(select(away, u + 1, u - 1));
    result = select(x == 0.0f, with_sign(0x1p-149f, y), result);
    result = select(x == y, y, result);
    return select((x != x) | (y != y), not_a_number, result);
}

/* x * 2^n in three steps: any n, denormal results rounded once */
SMELT_LEAF float __smelt_math_ldexp_f32(float x, int n)
{
    using namespace smelt;
    n = __builtin_elementwise_max(__builtin_elementwise_min(n, 300), -300);
    double scaled = (double)x * from_bits((unsigned long)(n + 1023) << 52);
    return (float)scaled;
}

/* The exponent of x as C's ilogb gives it: 0 gives INT_MIN, infinity INT_MAX, NaN INT_MIN */
SMELT_LEAF int __smelt_math_ilogb_f32(float x)
{
    using namespace smelt;
    unsigned long u = bits((double)magnitude(x));
    int e = (int)(u >> 52) - 1023;
    e = (int)select(magnitude(x) == infinity, 0x7fffffffu, (unsigned)e);
    return (int)select((x == 0.0f) | (x != x), 0x80000000u, (unsigned)e);
}

/* Significand in [1/2, 1) and exponent; 0, infinity and NaN keep their value with exponent 0 */
SMELT_LEAF float __smelt_math_frexp_significand_f32(float x)
{
    using namespace smelt;
    unsigned long u = bits((double)x);
    float significand = (float)from_bits((u & 0x800ffffffffffffful) | 0x3fe0000000000000ul);
    return select((x == 0.0f) | !(magnitude(x) < infinity), x, significand);
}
SMELT_LEAF int __smelt_math_frexp_exponent_f32(float x)
{
    using namespace smelt;
    unsigned long u = bits((double)magnitude(x));
    unsigned e = (unsigned)(int)(u >> 52) - 1022u;
    return (int)select((x == 0.0f) | !(magnitude(x) < infinity), 0u, e);
}

#pragma float_control(pop)

#endif
