/* SPDX-License-Identifier: Apache-2.0 */
/* bfloat: the upper 16 bits of a float, rounded to nearest even at every operation by integer arithmetic.
   Metal's conversions: to float by itself, from integers by itself, all others by a cast. (clang's own __bf16
   has no conversion to or from half at all.) */
#ifndef SMELT_BFLOAT_H
#define SMELT_BFLOAT_H

#include "smelt_base.h"

struct bfloat;

namespace smelt
{
/* Scalars other than bfloat */
template <class T>
concept Builtin = __is_arithmetic(T) || __is_same(T, _Float16);
template <class T>
concept Whole = __is_integral(T);
template <class T>
concept OnlyFloat = __is_same(T, float);
template <class T>
concept NotFloat = Builtin<T> && !__is_same(T, float);
} // namespace smelt

struct bfloat {
    unsigned short bits;

    bfloat() = default;
    SMELT_INLINE_CONSTEXPR explicit bfloat(float value) : bits(0)
    {
        const unsigned u = __builtin_bit_cast(unsigned, value);
        const unsigned rounded = (u + 0x7fffu + ((u >> 16) & 1u)) >> 16;
        const unsigned quiet = (u >> 16) | 0x40u;
        bits = (unsigned short)smelt::select((u & 0x7fffffffu) > 0x7f800000u, quiet, rounded);
    }
    template <smelt::Whole T> SMELT_INLINE_CONSTEXPR bfloat(T value) : bfloat((float)value) {}
    SMELT_INLINE_CONSTEXPR explicit bfloat(_Float16 value) : bfloat((float)value) {}
    SMELT_INLINE_CONSTEXPR explicit bfloat(double value) : bfloat((float)value) {}
    SMELT_INLINE_CONSTEXPR explicit bfloat(long double value) : bfloat((float)value) {}

    /* templates, so that no second conversion follows: bfloat is no int without a cast */
    template <smelt::OnlyFloat T> SMELT_INLINE_CONSTEXPR operator T() const { return value(); }
    template <smelt::NotFloat T> SMELT_INLINE_CONSTEXPR explicit operator T() const { return (T)value(); }
    SMELT_INLINE_CONSTEXPR float value() const { return __builtin_bit_cast(float, (unsigned)bits << 16); }

    template <smelt::Builtin T> SMELT_INLINE_CONSTEXPR bfloat &operator=(T v) { return *this = (bfloat)v; }
    SMELT_INLINE_CONSTEXPR bfloat operator+() const { return *this; }
    SMELT_INLINE_CONSTEXPR bfloat operator-() const
    {
        bfloat negated = *this;
        negated.bits = (unsigned short)(bits ^ 0x8000u);
        return negated;
    }
    SMELT_INLINE_CONSTEXPR bool operator!() const { return value() == 0.0f; }
    SMELT_INLINE_CONSTEXPR bfloat &operator++() { return *this = (bfloat)(value() + 1.0f); }
    SMELT_INLINE_CONSTEXPR bfloat &operator--() { return *this = (bfloat)(value() - 1.0f); }
    SMELT_INLINE_CONSTEXPR bfloat operator++(int)
    {
        const bfloat before = *this;
        *this = (bfloat)(value() + 1.0f);
        return before;
    }
    SMELT_INLINE_CONSTEXPR bfloat operator--(int)
    {
        const bfloat before = *this;
        *this = (bfloat)(value() - 1.0f);
        return before;
    }
};

namespace smelt
{
/* bfloat with an integer stays bfloat, with a wider floating type becomes that (half with bfloat: float) */
template <class T> struct beside_bfloat {
    using type = float;
};
template <Whole T> struct beside_bfloat<T> {
    using type = bfloat;
};
} // namespace smelt

/* A template on both sides: an exact match is better than any built-in operator after conversion */
#define SMELT_BFLOAT_ARITHMETIC(op)                                                                          \
    SMELT_INLINE_CONSTEXPR bfloat operator op(bfloat a, bfloat b)                                            \
    {                                                                                                        \
        return (bfloat)(a.value() op b.value());                                                             \
    }                                                                                                        \
    template <smelt::Builtin T>                                                                              \
    SMELT_INLINE_CONSTEXPR typename smelt::beside_bfloat<T>::type operator op(bfloat a, T b)                 \
    {                                                                                                        \
        using R = typename smelt::beside_bfloat<T>::type;                                                    \
        return (R)((R)a op(R) b);                                                                            \
    }                                                                                                        \
    template <smelt::Builtin T>                                                                              \
    SMELT_INLINE_CONSTEXPR typename smelt::beside_bfloat<T>::type operator op(T a, bfloat b)                 \
    {                                                                                                        \
        using R = typename smelt::beside_bfloat<T>::type;                                                    \
        return (R)((R)a op(R) b);                                                                            \
    }                                                                                                        \
    template <class T>                                                                                       \
    requires(smelt::Builtin<T> || __is_same(T, bfloat)) SMELT_INLINE_CONSTEXPR bfloat &operator op##=(       \
        bfloat &a, T b)                                                                                      \
    {                                                                                                        \
        return a = (bfloat)(a op b);                                                                         \
    }                                                                                                        \
    template <smelt::Builtin T> SMELT_INLINE_CONSTEXPR T &operator op##=(T &a, bfloat b)                     \
    {                                                                                                        \
        return a = (T)(a op b.value());                                                                      \
    }
SMELT_BFLOAT_ARITHMETIC(+)
SMELT_BFLOAT_ARITHMETIC(-)
SMELT_BFLOAT_ARITHMETIC(*)
SMELT_BFLOAT_ARITHMETIC(/)
#undef SMELT_BFLOAT_ARITHMETIC

#define SMELT_BFLOAT_COMPARISON(op)                                                                          \
    SMELT_INLINE_CONSTEXPR bool operator op(bfloat a, bfloat b) { return a.value() op b.value(); }           \
    template <smelt::Builtin T> SMELT_INLINE_CONSTEXPR bool operator op(bfloat a, T b)                       \
    {                                                                                                        \
        return (typename smelt::beside_bfloat<T>::type)a op(typename smelt::beside_bfloat<T>::type) b;       \
    }                                                                                                        \
    template <smelt::Builtin T> SMELT_INLINE_CONSTEXPR bool operator op(T a, bfloat b)                       \
    {                                                                                                        \
        return (typename smelt::beside_bfloat<T>::type)a op(typename smelt::beside_bfloat<T>::type) b;       \
    }
SMELT_BFLOAT_COMPARISON(==)
SMELT_BFLOAT_COMPARISON(!=)
SMELT_BFLOAT_COMPARISON(<)
SMELT_BFLOAT_COMPARISON(>)
SMELT_BFLOAT_COMPARISON(<=)
SMELT_BFLOAT_COMPARISON(>=)
#undef SMELT_BFLOAT_COMPARISON

namespace smelt
{
/* A scalar operand of a bfloat vector: any scalar, converted as by a cast */
struct bfloat_operand {
    bfloat value;
    SMELT_INLINE_CONSTEXPR bfloat_operand(bfloat v) : value(v) {}
    template <Builtin T> SMELT_INLINE_CONSTEXPR bfloat_operand(T v) : value((bfloat)v) {}
    SMELT_INLINE_CONSTEXPR operator bfloat() const { return value; }
};
template <class T> struct operand_of {
    using type = T;
};
template <> struct operand_of<bfloat> {
    using type = bfloat_operand;
};
template <class T> using operand = typename operand_of<T>::type;
} // namespace smelt

#endif
