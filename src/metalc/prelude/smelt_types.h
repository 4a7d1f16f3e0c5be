/* SPDX-License-Identifier: Apache-2.0 */
/* Scalar types by Metal's names, literal suffixes, and the small type predicates the other headers share. */
#ifndef SMELT_TYPES_H
#define SMELT_TYPES_H

#ifndef __METAL_VERSION__
#define __METAL_VERSION__ 320
#endif
#ifndef __METAL__
#define __METAL__ 1
#endif

/* safe and relaxed take the accurate functions, fast takes fast::. The frontend defines SMELT_MATH_FAST. */
#ifdef SMELT_MATH_FAST
#define __METAL_MAYBE_FAST_MATH__ true
#else
#define __METAL_MAYBE_FAST_MATH__ false
#endif

#define METAL_FUNC                  inline __attribute__((always_inline))
#define METAL_CONST                 __attribute__((const))
#define METAL_PURE                  __attribute__((pure))
#define METAL_ALIGN(n)              __attribute__((aligned(n)))
#define METAL_INTERNAL              inline __attribute__((always_inline))
#define SMELT_INLINE                inline __attribute__((always_inline, nothrow))
#define SMELT_INLINE_CONSTEXPR      constexpr __attribute__((always_inline, nothrow))
#define SMELT_UNSUPPORTED(what)     __attribute__((unavailable(what " not supported by smelt")))

typedef unsigned char  uchar;
typedef unsigned short ushort;
typedef unsigned int   uint;
typedef unsigned long  ulong;
typedef signed char    int8_t;
typedef unsigned char  uint8_t;
typedef short          int16_t;
typedef unsigned short uint16_t;
typedef int            int32_t;
typedef unsigned int   uint32_t;
typedef long           int64_t;
typedef unsigned long  uint64_t;
typedef unsigned long  size_t;
typedef long           ptrdiff_t;
typedef long           intptr_t;
typedef unsigned long  uintptr_t;
typedef _Float16       half;

namespace smelt
{
template <int size> struct integer_of_size;
template <> struct integer_of_size<1> {
    using type = signed char;
    using unsigned_type = unsigned char;
};
template <> struct integer_of_size<2> {
    using type = short;
    using unsigned_type = unsigned short;
};
template <> struct integer_of_size<4> {
    using type = int;
    using unsigned_type = unsigned;
};
template <> struct integer_of_size<8> {
    using type = long;
    using unsigned_type = unsigned long;
};

/* yes where the condition holds, else no, without control flow: clang makes a branch of ?: unless both values are
   constants, and a branch costs the engine a mask. LLVM turns this into one select. */
SMELT_INLINE_CONSTEXPR unsigned select(bool condition, unsigned yes, unsigned no)
{
    const unsigned mask = 0u - (unsigned)condition;
    return (yes & mask) | (no & ~mask);
}
SMELT_INLINE_CONSTEXPR unsigned long select(bool condition, unsigned long yes, unsigned long no)
{
    const unsigned long mask = 0ul - (unsigned long)condition;
    return (yes & mask) | (no & ~mask);
}
SMELT_INLINE_CONSTEXPR float select(bool condition, float yes, float no)
{
    const unsigned bits =
        select(condition, __builtin_bit_cast(unsigned, yes), __builtin_bit_cast(unsigned, no));
    return __builtin_bit_cast(float, bits);
}
SMELT_INLINE_CONSTEXPR double select(bool condition, double yes, double no)
{
    const unsigned long bits =
        select(condition, __builtin_bit_cast(unsigned long, yes), __builtin_bit_cast(unsigned long, no));
    return __builtin_bit_cast(double, bits);
}
/* For values of any scalar type */
template <class T> SMELT_INLINE_CONSTEXPR T select_value(bool condition, T yes, T no)
{
    using U = typename integer_of_size<sizeof(T)>::unsigned_type;
    if constexpr (sizeof(T) == 8) {
        const unsigned long y = __builtin_bit_cast(unsigned long, yes), n = __builtin_bit_cast(unsigned long, no);
        return __builtin_bit_cast(T, select(condition, y, n));
    } else {
        const unsigned y = __builtin_bit_cast(U, yes), n = __builtin_bit_cast(U, no);
        return __builtin_bit_cast(T, (U)select(condition, y, n));
    }
}
} // namespace smelt

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
