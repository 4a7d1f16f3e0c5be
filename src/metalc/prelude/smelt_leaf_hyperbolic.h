/* SPDX-License-Identifier: Apache-2.0 */
/* Leaves: hyperbolic functions and their inverses. */
#ifndef SMELT_LEAF_HYPERBOLIC_H
#define SMELT_LEAF_HYPERBOLIC_H

#include "smelt_leaf_exponential.h"

#pragma float_control(precise, on, push)
#pragma STDC FP_CONTRACT OFF

SMELT_LEAF float __smelt_math_sinh_f32(float x)
{
    using namespace smelt;
    float a = magnitude(x);
    float u = x * x;
    float p = fused(0x1.75a6fp-19f, u, 0x1.a02156p-13f);
    p = fused(p, u, 0x1.1110e2p-7f);
    p = fused(p, u, 0x1.555556p-3f);
    float small = fused(p, u * x, x);
    float half_exp = exp_shifted(a, -1.0f);
    return with_sign(select(a < 1.0f, small, half_exp - 0.25f / half_exp), x);
}

SMELT_LEAF float __smelt_math_cosh_f32(float x)
{
    float half_exp = smelt::exp_shifted(smelt::magnitude(x), -1.0f);
    return half_exp + 0.25f / half_exp;
}

SMELT_LEAF float __smelt_math_tanh_f32(float x)
{
    using namespace smelt;
    float a = magnitude(x);
    float u = x * x;
    float p = fused(0x1.06e6dcp-9f, u, -0x1.06e782p-7f);
    p = fused(p, u, 0x1.627f1ep-6f);
    p = fused(p, u, -0x1.b9d594p-5f);
    p = fused(p, u, 0x1.110fe6p-3f);
    p = fused(p, u, -0x1.555552p-2f);
    float small = fused(p, u * x, x);
    /* beyond 10 it is 1; the exponential stays normal */
    float e = exp_shifted(2.0f * select(a > 10.0f, 10.0f, a), 0.0f);
    return with_sign(select(a < 0.65f, small, 1.0f - 2.0f / (e + 1.0f)), x);
}

SMELT_LEAF float __smelt_math_asinh_f32(float x)
{
    using namespace smelt;
    float a = magnitude(x);
    bool huge = a > 0x1p62f;
    float b = select(huge, 1.0f, a);
    float root = __builtin_elementwise_sqrt(fused(b, b, 1.0f));
    float result = __smelt_math_log1p_f32(b + b * (b / (1.0f + root)));
    return with_sign(select(huge, __smelt_math_log_f32(a) + 0x1.62e43p-1f, result), x);
}

SMELT_LEAF float __smelt_math_acosh_f32(float x)
{
    using namespace smelt;
    bool huge = x > 0x1p62f;
    float t = select(huge, 1.0f, x) - 1.0f;
    float result = __smelt_math_log1p_f32(t + __builtin_elementwise_sqrt(fused(t, t, 2.0f * t)));
    result = select(huge, __smelt_math_log_f32(x) + 0x1.62e43p-1f, result);
    return select(x >= 1.0f, result, not_a_number);
}

SMELT_LEAF float __smelt_math_atanh_f32(float x)
{
    float a = smelt::magnitude(x);
    float result = 0.5f * __smelt_math_log1p_f32(2.0f * a / (1.0f - a));
    return smelt::with_sign(result, x);
}

#pragma float_control(pop)

#endif
