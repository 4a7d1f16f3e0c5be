/* SPDX-License-Identifier: Apache-2.0 */
/* activation(g) = g * factor(g), and the derivative. For results that are rounded to 16 bits as far as the
 * rounding hides it, with the instructions that approximate. */
#pragma once

#include "../common.cuh"
#include "params.h"

namespace smelt
{

/* log2 of (1 - Phi(g)) / Phi(g), where Phi is the integral of the normal distribution: an odd function, to
 * 2^-14 of the result. Below -5.8 Phi is smaller than 4e-9 and only its order counts. */
__device__ __forceinline__ float normal_odds(float g)
{
    const float size = fminf(5.8f, fabsf(g));
    float p = fmaf(-0x1.7c539ap-19f, size, 0x1.283a3ap-14f);
    p = fmaf(p, size, -0x1.62905ap-11f);
    p = fmaf(p, size, 0x1.79ab1ep-9f);
    p = fmaf(p, size, -0x1.f34c2ep-9f);
    p = fmaf(p, size, 0x1.b2ad80p-16f);
    p = fmaf(p, size, -0x1.98d2e4p-4f);
    p = fmaf(p, size, -0x1.12b29ap-8f);
    p = fmaf(p, size, -0x1.26908ep+1f);
    return g * p;
}

/* 2 sqrt(2/pi) (g + 0.044715 g^3): gelu_tanh(g) = g sigmoid(this). */
__device__ __forceinline__ float tanh_argument(float g)
{
    return g * fmaf(g * g, 0x1.2444f2p-4f, 0x1.988454p+0f);
}

template <int kType> __device__ __forceinline__ float exponential(float x)
{
    return kType == SMELT_CUDA_F32 ? expf(x) : __expf(x);
}
template <int kType> __device__ __forceinline__ float quotient(float a, float b)
{
    return kType == SMELT_CUDA_F32 ? a / b : __fdividef(a, b);
}

/* g * factor(g) */
template <int kType, int kActivation> __device__ __forceinline__ float activation(float g)
{
    if (kActivation == SMELT_GLU_SILU) return quotient<kType>(g, 1.0f + exponential<kType>(-g));
    if (kActivation == SMELT_GLU_GELU_TANH)
        return quotient<kType>(g, 1.0f + exponential<kType>(-tanh_argument(g)));
    return kType == SMELT_CUDA_F32 ? g * normcdff(g) : __fdividef(g, 1.0f + exp2f(normal_odds(g)));
}

/* sigmoid(x), and of -x without the loss of 1 - sigmoid */
template <int kType> __device__ __forceinline__ float sigmoid(float x, float &rest)
{
    const float e = exponential<kType>(-fabsf(x)), large = quotient<kType>(1.0f, 1.0f + e), small = e * large;
    rest = x < 0.0f ? large : small;
    return x < 0.0f ? small : large;
}

/* factor(g); the derivative of the activation goes to `derivative`. */
template <int kType, int kActivation> __device__ __forceinline__ float slope(float g, float &derivative)
{
    float factor, rest;
    if (kActivation == SMELT_GLU_SILU) {
        factor = sigmoid<kType>(g, rest);
        derivative = factor * fmaf(g, rest, 1.0f);
    } else if (kActivation == SMELT_GLU_GELU_TANH) {
        factor = sigmoid<kType>(tanh_argument(g), rest);
        /* beyond 30 factor * rest is 0: the bound only keeps the square finite */
        const float near = fmaxf(-30.0f, fminf(30.0f, g));
        derivative = fmaf(g * (factor * rest), fmaf(near * near, 0x1.b6676cp-3f, 0x1.988454p+0f), factor);
    } else {
        factor = kType == SMELT_CUDA_F32 ? normcdff(g) : __fdividef(1.0f, 1.0f + exp2f(normal_odds(g)));
        derivative = fmaf(g * exponential<kType>(-0.5f * g * g), 0x1.988454p-2f, factor);
    }
    return factor;
}

} // namespace smelt
