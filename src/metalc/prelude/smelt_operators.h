/* SPDX-License-Identifier: Apache-2.0 */
/* Operators of vec: element by element with the plain operator of the element, so that the engine's rules for
   shifts and conversions hold here too. A scalar operand takes the element type. */
#ifndef SMELT_OPERATORS_H
#define SMELT_OPERATORS_H

#include "smelt_vector.h"

namespace metal
{
#define SMELT_BINARY(op, R)                                                                                  \
    template <class T, int N>                                                                                \
    SMELT_INLINE_CONSTEXPR vec<R, N> operator op(const vec<T, N> &a, const vec<T, N> &b)                     \
    {                                                                                                        \
        SMELT_EACH(N, R, a.x op b.x, a.y op b.y, a.z op b.z, a.w op b.w)                                     \
    }                                                                                                        \
    template <class T, int N>                                                                                \
    SMELT_INLINE_CONSTEXPR vec<R, N> operator op(const vec<T, N> &a, smelt::plain<smelt::operand<T>> b)      \
    {                                                                                                        \
        SMELT_EACH(N, R, a.x op(T) b, a.y op(T) b, a.z op(T) b, a.w op(T) b)                                 \
    }                                                                                                        \
    template <class T, int N>                                                                                \
    SMELT_INLINE_CONSTEXPR vec<R, N> operator op(smelt::plain<smelt::operand<T>> a, const vec<T, N> &b)      \
    {                                                                                                        \
        SMELT_EACH(N, R, (T)a op b.x, (T)a op b.y, (T)a op b.z, (T)a op b.w)                                 \
    }

#define SMELT_ARITHMETIC(op)                                                                                 \
    SMELT_BINARY(op, T)                                                                                      \
    template <class T, int N>                                                                                \
    SMELT_INLINE_CONSTEXPR vec<T, N> &operator op##=(vec<T, N> &a, const smelt::plain<vec<T, N>> &b)         \
    {                                                                                                        \
        return a = a op b;                                                                                   \
    }

#define SMELT_UNARY(op, R)                                                                                   \
    template <class T, int N> SMELT_INLINE_CONSTEXPR vec<R, N> operator op(const vec<T, N> &a)               \
    {                                                                                                        \
        SMELT_EACH(N, R, op a.x, op a.y, op a.z, op a.w)                                                     \
    }

SMELT_ARITHMETIC(+)
SMELT_ARITHMETIC(-)
SMELT_ARITHMETIC(*)
SMELT_ARITHMETIC(/)
SMELT_ARITHMETIC(%)
SMELT_ARITHMETIC(&)
SMELT_ARITHMETIC(|)
SMELT_ARITHMETIC(^)
SMELT_ARITHMETIC(<<)
SMELT_ARITHMETIC(>>)
SMELT_BINARY(==, bool)
SMELT_BINARY(!=, bool)
SMELT_BINARY(<, bool)
SMELT_BINARY(>, bool)
SMELT_BINARY(<=, bool)
SMELT_BINARY(>=, bool)
/* no short circuit on vectors: a branch for each component would be the price */
#define SMELT_LOGICAL(op, bitwise)                                                                           \
    template <class T, int N>                                                                                \
    SMELT_INLINE_CONSTEXPR vec<bool, N> operator op(const vec<T, N> &a, const vec<T, N> &b)                  \
    {                                                                                                        \
        return vec<bool, N>(a) bitwise vec<bool, N>(b);                                                      \
    }                                                                                                        \
    template <class T, int N> SMELT_INLINE_CONSTEXPR vec<bool, N> operator op(const vec<T, N> &a, bool b)    \
    {                                                                                                        \
        return vec<bool, N>(a) bitwise b;                                                                    \
    }                                                                                                        \
    template <class T, int N> SMELT_INLINE_CONSTEXPR vec<bool, N> operator op(bool a, const vec<T, N> &b)    \
    {                                                                                                        \
        return a bitwise vec<bool, N>(b);                                                                    \
    }
SMELT_LOGICAL(&&, &)
SMELT_LOGICAL(||, |)
#undef SMELT_LOGICAL
SMELT_UNARY(+, T)
SMELT_UNARY(-, T)
SMELT_UNARY(~, T)
SMELT_UNARY(!, bool)

template <class T, int N> SMELT_INLINE_CONSTEXPR vec<T, N> &operator++(vec<T, N> &a) { return a = a + (T)1; }
template <class T, int N> SMELT_INLINE_CONSTEXPR vec<T, N> &operator--(vec<T, N> &a) { return a = a - (T)1; }
template <class T, int N> SMELT_INLINE_CONSTEXPR vec<T, N> operator++(vec<T, N> &a, int)
{
    vec<T, N> before = a;
    a = a + (T)1;
    return before;
}
template <class T, int N> SMELT_INLINE_CONSTEXPR vec<T, N> operator--(vec<T, N> &a, int)
{
    vec<T, N> before = a;
    a = a - (T)1;
    return before;
}

#undef SMELT_BINARY
#undef SMELT_ARITHMETIC
#undef SMELT_UNARY
} // namespace metal

#endif
