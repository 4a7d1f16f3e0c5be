/* SPDX-License-Identifier: Apache-2.0 */
/* Shared by the maths leaves: functions of one float, branch-free, so that 32 lanes of one become one vector
   function. Every leaf is compiled without reassociation and contraction, whatever the math mode. */
#ifndef SMELT_LEAF_H
#define SMELT_LEAF_H

#include "smelt_types.h"
#include "smelt_intrinsics.h"

#define SMELT_LEAF extern "C" inline __attribute__((nothrow, const))
/* For leaves that vote: not const, as the vote depends on the mask. */
#define SMELT_VOTING_LEAF extern "C" inline __attribute__((nothrow))

/* Turns the branch around a rare slow part into a uniform one: taken when any active lane needs it. */
#ifdef SMELT_LEAF_NO_VOTE
#    define SMELT_ANY_LANE(condition) true
#else
#    define SMELT_ANY_LANE(condition) __smelt_simd_any(condition)
#endif

/* A constant of type double: the frontend makes unsuffixed literals single precision, as Metal does. */
#define SMELT_DOUBLE(literal) ((double)literal##L)

#pragma float_control(precise, on, push)
#pragma STDC FP_CONTRACT OFF

namespace smelt
{
SMELT_INLINE float fused(float a, float b, float c) { return __builtin_elementwise_fma(a, b, c); }
SMELT_INLINE double fused(double a, double b, double c) { return __builtin_elementwise_fma(a, b, c); }
SMELT_INLINE unsigned bits(float x) { return __builtin_bit_cast(unsigned, x); }
SMELT_INLINE unsigned long bits(double x) { return __builtin_bit_cast(unsigned long, x); }
SMELT_INLINE float from_bits(unsigned u) { return __builtin_bit_cast(float, u); }
SMELT_INLINE double from_bits(unsigned long u) { return __builtin_bit_cast(double, u); }
SMELT_INLINE float magnitude(float x) { return __builtin_elementwise_abs(x); }
SMELT_INLINE float with_sign(float x, float sign) { return __builtin_elementwise_copysign(x, sign); }

/* Adding this rounds to an integer and leaves it in the low bits: no conversion instruction, which the engine
   would have to saturate. */
inline constexpr float to_integer = 0x1.8p23f;
inline constexpr double to_integer_wide = SMELT_DOUBLE(0x1.8p52);
inline constexpr float infinity = __builtin_inff();
inline constexpr float not_a_number = __builtin_nanf("");

/* NaN stays NaN: both comparisons are false. */
SMELT_INLINE float clamp(float x, float low, float high)
{
    x = select(x < low, low, x);
    return select(x > high, high, x);
}

/* p * 2^n for n as `to_integer + n`, -300 < n < 256: in two steps, so that denormal results round once. */
SMELT_INLINE float scale(float p, float biased)
{
    int n = (int)(bits(biased) - bits(to_integer));
    int half_n = n >> 1;
    float first = from_bits((unsigned)(half_n + 127) << 23);
    float second = from_bits((unsigned)(n - half_n + 127) << 23);
    return p * first * second;
}
/* p * 2^n where the result is known to be normal. */
SMELT_INLINE float scale_normal(float p, float biased) { return from_bits(bits(p) + (bits(biased) << 23)); }
} // namespace smelt

#pragma float_control(pop)

#endif
