/* SPDX-License-Identifier: Apache-2.0 */
/* Makes a function of floats into Metal's overload set: float, half, the other scalars, vectors of all of
   them and packed vectors, with scalars accepted beside vectors. */
#ifndef SMELT_APPLY_H
#define SMELT_APPLY_H

#include "smelt_operators.h"

namespace smelt
{
/* Scalars without an overload of their own: bfloat, and integers, which are computed as float. A template, so
   that a program's own bfloat overload in namespace metal is chosen before it. */
template <class T>
concept OtherScalar = is_scalar<T> && !__is_same(T, float) && !__is_same(T, half);
template <class A, class B>
concept MixedScalars =
    is_scalar<A> && is_scalar<B> && !(__is_same(A, B) && (__is_same(A, float) || __is_same(A, half)));
template <class A, class B, class C>
concept MixedTriple = is_scalar<A> && is_scalar<B> && is_scalar<C> &&
    !(__is_same(A, B) && __is_same(B, C) && (__is_same(A, float) || __is_same(A, half)));
template <class T>
concept Integer = is_integer<T>;
template <class T>
concept Floating = is_floating<T>;

template <class A, class B> using floating_common_t = floating_t<common_t<A, B>>;
} // namespace smelt

/* f is a function or macro of one float */
#define SMELT_FLOAT1(name, f)                                                                                \
    SMELT_INLINE float name(float x) { return f(x); }                                                        \
    SMELT_INLINE half name(half x) { return (half)f((float)x); }                                             \
    template <smelt::OtherScalar T> SMELT_INLINE smelt::floating_t<T> name(T x)                              \
    {                                                                                                        \
        return (smelt::floating_t<T>)f((float)x);                                                            \
    }                                                                                                        \
    SMELT_VECTOR1(name)

#define SMELT_VECTOR1(name)                                                                                  \
    template <class V> SMELT_INLINE typename smelt::as_vector<V>::type name(const V &v)                      \
    {                                                                                                        \
        using A = smelt::as_vector<V>;                                                                       \
        const typename A::type a = v;                                                                        \
        SMELT_EACH(A::count, typename A::element, name(a.x), name(a.y), name(a.z), name(a.w))                \
    }

#define SMELT_FLOAT2(name, f)                                                                                \
    SMELT_INLINE float name(float x, float y) { return f(x, y); }                                            \
    SMELT_INLINE half name(half x, half y) { return (half)f((float)x, (float)y); }                           \
    template <class A, class B>                                                                              \
    requires smelt::MixedScalars<A, B> SMELT_INLINE smelt::floating_common_t<A, B> name(A x, B y)            \
    {                                                                                                        \
        return (smelt::floating_common_t<A, B>)f((float)x, (float)y);                                        \
    }                                                                                                        \
    SMELT_VECTOR2(name)

#define SMELT_VECTOR2(name)                                                                                  \
    template <class P, class Q>                                                                              \
    SMELT_INLINE typename smelt::pair_vector<P, Q>::type name(const P &p, const Q &q)                        \
    {                                                                                                        \
        using A = smelt::pair_vector<P, Q>;                                                                  \
        const typename A::type a = p, b = q;                                                                 \
        SMELT_EACH(A::count, typename A::element, name(a.x, b.x), name(a.y, b.y), name(a.z, b.z),            \
                   name(a.w, b.w))                                                                           \
    }

#define SMELT_FLOAT3(name, f)                                                                                \
    SMELT_INLINE float name(float x, float y, float z) { return f(x, y, z); }                                \
    SMELT_INLINE half name(half x, half y, half z) { return (half)f((float)x, (float)y, (float)z); }         \
    template <class A, class B, class C>                                                                     \
    requires smelt::MixedTriple<A, B, C> SMELT_INLINE auto name(A x, B y, C z)                               \
    {                                                                                                        \
        using R = smelt::floating_common_t<smelt::common_t<A, B>, C>;                                        \
        return (R)f((float)x, (float)y, (float)z);                                                           \
    }                                                                                                        \
    SMELT_VECTOR3(name)

#define SMELT_VECTOR3(name)                                                                                  \
    template <class P, class Q, class S>                                                                     \
    SMELT_INLINE typename smelt::triple_vector<P, Q, S>::type name(const P &p, const Q &q, const S &s)       \
    {                                                                                                        \
        using A = smelt::triple_vector<P, Q, S>;                                                             \
        const typename A::type a = p, b = q, c = s;                                                          \
        SMELT_EACH(A::count, typename A::element, name(a.x, b.x, c.x), name(a.y, b.y, c.y),                  \
                   name(a.z, b.z, c.z), name(a.w, b.w, c.w))                                                 \
    }

#endif
