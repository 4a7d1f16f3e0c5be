/* SPDX-License-Identifier: Apache-2.0 */
/* The Metal compiler's own names of the maths functions. Programs that add overloads for bfloat call them,
   with a last argument that asks for the fast form; here the math mode alone decides, so that no branch is
   left. */
#ifndef SMELT_BUILTIN_NAMES_H
#define SMELT_BUILTIN_NAMES_H

#include "metal_math"
#include "metal_quadgroup"
#include "metal_simdgroup"

#define SMELT_BUILTIN1(name)                                                                                 \
    template <class T> SMELT_INLINE T __metal_##name(T x, bool = false) { return metal::name(x); }
#define SMELT_BUILTIN2(name)                                                                                 \
    template <class T> SMELT_INLINE T __metal_##name(T x, smelt::plain<T> y, bool = false)                   \
    {                                                                                                        \
        return metal::name(x, y);                                                                            \
    }
#define SMELT_BUILTIN3(name)                                                                                 \
    template <class T> SMELT_INLINE T __metal_##name(T x, T y, T z, bool = false)                            \
    {                                                                                                        \
        return metal::precise::name(x, y, z);                                                                \
    }

SMELT_BUILTIN1(exp)
SMELT_BUILTIN1(exp2)
SMELT_BUILTIN1(exp10)
SMELT_BUILTIN1(log)
SMELT_BUILTIN1(log2)
SMELT_BUILTIN1(log10)
SMELT_BUILTIN1(sin)
SMELT_BUILTIN1(cos)
SMELT_BUILTIN1(tan)
SMELT_BUILTIN1(sinpi)
SMELT_BUILTIN1(cospi)
SMELT_BUILTIN1(tanpi)
SMELT_BUILTIN1(asin)
SMELT_BUILTIN1(acos)
SMELT_BUILTIN1(atan)
SMELT_BUILTIN1(sinh)
SMELT_BUILTIN1(cosh)
SMELT_BUILTIN1(tanh)
SMELT_BUILTIN1(asinh)
SMELT_BUILTIN1(acosh)
SMELT_BUILTIN1(atanh)
SMELT_BUILTIN1(ceil)
SMELT_BUILTIN1(floor)
SMELT_BUILTIN1(trunc)
SMELT_BUILTIN1(round)
SMELT_BUILTIN1(rint)
SMELT_BUILTIN1(sqrt)
SMELT_BUILTIN1(rsqrt)
SMELT_BUILTIN1(fabs)
SMELT_BUILTIN1(fract)
SMELT_BUILTIN2(pow)
SMELT_BUILTIN2(powr)
SMELT_BUILTIN2(atan2)
SMELT_BUILTIN2(fmod)
SMELT_BUILTIN2(fmin)
SMELT_BUILTIN2(fmax)
SMELT_BUILTIN2(fdim)
SMELT_BUILTIN2(divide)
SMELT_BUILTIN2(copysign)
SMELT_BUILTIN2(nextafter)
SMELT_BUILTIN3(fma)
SMELT_BUILTIN3(fmin3)
SMELT_BUILTIN3(fmax3)
SMELT_BUILTIN3(fmedian3)

template <class T> SMELT_INLINE T __metal_ldexp(T x, int n, bool = false) { return metal::ldexp(x, n); }
template <class T> SMELT_INLINE int __metal_ilogb(T x) { return metal::ilogb(x); }
template <class T> SMELT_INLINE T __metal_frexp(T x, int *exponent, bool = false)
{
    return metal::frexp(x, *exponent);
}
template <class T> SMELT_INLINE T __metal_modf(T x, T *whole, bool = false) { return metal::modf(x, *whole); }
template <class T> SMELT_INLINE T __metal_sincos(T x, T *cosine, bool = false)
{
    return metal::sincos(x, *cosine);
}

/* The same for what lanes do together */
#define SMELT_BUILTIN_REDUCTION(name)                                                                        \
    template <class T> SMELT_INLINE T __metal_##name(T v) { return metal::name(v); }
#define SMELT_BUILTIN_MOVE(name)                                                                             \
    template <class T> SMELT_INLINE T __metal_##name(T v, ushort lane) { return metal::name(v, lane); }
#define SMELT_BUILTIN_FILL(name)                                                                             \
    template <class T> SMELT_INLINE T __metal_##name(T v, T filling, ushort delta, ushort modulo)            \
    {                                                                                                        \
        return metal::name(v, filling, delta, modulo);                                                       \
    }
/* Of floats they take the bits */
#define SMELT_BUILTIN_BITWISE(name)                                                                          \
    template <class T> SMELT_INLINE T __metal_##name(T v)                                                    \
    {                                                                                                        \
        return as_type<T>(metal::name(as_type<smelt::unsigned_of<T>>(v)));                                   \
    }
#define SMELT_BUILTIN_GROUP(group)                                                                           \
    SMELT_BUILTIN_REDUCTION(group##_sum)                                                                     \
    SMELT_BUILTIN_REDUCTION(group##_product)                                                                 \
    SMELT_BUILTIN_REDUCTION(group##_min)                                                                     \
    SMELT_BUILTIN_REDUCTION(group##_max)                                                                     \
    SMELT_BUILTIN_REDUCTION(group##_prefix_inclusive_sum)                                                    \
    SMELT_BUILTIN_REDUCTION(group##_prefix_exclusive_sum)                                                    \
    SMELT_BUILTIN_REDUCTION(group##_prefix_inclusive_product)                                                \
    SMELT_BUILTIN_REDUCTION(group##_prefix_exclusive_product)                                                \
    SMELT_BUILTIN_REDUCTION(group##_broadcast_first)                                                         \
    SMELT_BUILTIN_BITWISE(group##_and)                                                                       \
    SMELT_BUILTIN_BITWISE(group##_or)                                                                        \
    SMELT_BUILTIN_BITWISE(group##_xor)                                                                       \
    SMELT_BUILTIN_MOVE(group##_broadcast)                                                                    \
    SMELT_BUILTIN_MOVE(group##_shuffle)                                                                      \
    SMELT_BUILTIN_MOVE(group##_shuffle_xor)                                                                  \
    SMELT_BUILTIN_MOVE(group##_shuffle_up)                                                                   \
    SMELT_BUILTIN_MOVE(group##_shuffle_down)                                                                 \
    SMELT_BUILTIN_MOVE(group##_shuffle_rotate_up)                                                            \
    SMELT_BUILTIN_MOVE(group##_shuffle_rotate_down)                                                          \
    SMELT_BUILTIN_FILL(group##_shuffle_and_fill_up)                                                          \
    SMELT_BUILTIN_FILL(group##_shuffle_and_fill_down)
SMELT_BUILTIN_GROUP(simd)
SMELT_BUILTIN_GROUP(quad)
SMELT_INLINE_CONSTEXPR ushort __metal_get_simdgroup_size(ushort) { return 32; }
SMELT_INLINE_CONSTEXPR ushort __metal_get_quadgroup_size(ushort) { return 4; }

#undef SMELT_BUILTIN_GROUP
#undef SMELT_BUILTIN_BITWISE
#undef SMELT_BUILTIN_FILL
#undef SMELT_BUILTIN_MOVE
#undef SMELT_BUILTIN_REDUCTION
#undef SMELT_BUILTIN1
#undef SMELT_BUILTIN2
#undef SMELT_BUILTIN3
#endif
