/* SPDX-License-Identifier: Apache-2.0 */
/* Scalar types by Metal's names, literal suffixes, and the small type predicates the other headers share. */
#ifndef SMELT_TYPES_H
#define SMELT_TYPES_H

#include "smelt_base.h"
#include "smelt_bfloat.h"

/* 1.0h is Metal's; 1.0_b is what the lexer makes of 1.0bh (the text keeps its length). */
consteval half operator""h(long double value) { return (half)value; }
consteval half operator""h(unsigned long long value) { return (half)value; }
consteval bfloat operator""_b(long double value) { return (bfloat)(float)value; }
consteval bfloat operator""_b(unsigned long long value) { return (bfloat)value; }

namespace metal
{
using ::bfloat;
using ::half;
using ::int16_t;
using ::int32_t;
using ::int64_t;
using ::int8_t;
using ::intptr_t;
using ::ptrdiff_t;
using ::size_t;
using ::uchar;
using ::uint;
using ::uint16_t;
using ::uint32_t;
using ::uint64_t;
using ::uint8_t;
using ::uintptr_t;
using ::ulong;
using ::ushort;

template <class T, int N> struct vec;
template <class T, int N> struct packed_vec;
template <class T, int C, int R> struct matrix;
} // namespace metal

namespace smelt
{
/* Keeps a parameter out of template deduction, so that scalars convert to the element type. */
template <class T> struct identity {
    using type = T;
};
template <class T> using plain = typename identity<T>::type;

template <bool condition, class A, class B> struct choose {
    using type = A;
};
template <class A, class B> struct choose<false, A, B> {
    using type = B;
};
template <bool condition, class A, class B> using choose_t = typename choose<condition, A, B>::type;

/* Without instantiations: clang answers these by itself. */
template <class T>
inline constexpr bool is_floating = __is_floating_point(T) || __is_same(T, half) || __is_same(T, bfloat);
template <class T> inline constexpr bool is_integer = __is_integral(T);
template <class T>
inline constexpr bool is_scalar = __is_arithmetic(T) || __is_same(T, half) || __is_same(T, bfloat);
template <class T> inline constexpr bool is_signed = is_floating<T> || (T)-1 < (T)0;

/* Two scalars of one type stay what they are (short stays short); others follow C++. */
template <class A, class B> struct common {
    using type = decltype(A() + B());
};
template <class A> struct common<A, A> {
    using type = A;
};
template <> struct common<half, bfloat> {
    using type = float;
};
template <> struct common<bfloat, half> {
    using type = float;
};
template <class A, class B> using common_t = typename common<A, B>::type;

/* What a maths function computes in: its own floating type, float for integers. */
template <class T> using floating_t = choose_t<is_floating<T>, T, float>;

template <class T> using signed_of = typename integer_of_size<sizeof(T)>::type;
template <class T> using unsigned_of = typename integer_of_size<sizeof(T)>::unsigned_type;
} // namespace smelt

/* The bits of one type read as another of the same size. Metal has it in the global namespace. */
template <class To, class From> SMELT_INLINE_CONSTEXPR To as_type(From value)
{
    static_assert(sizeof(To) == sizeof(From), "as_type needs two types of the same size");
    return __builtin_bit_cast(To, value);
}
namespace metal
{
using ::as_type;
}

#endif
