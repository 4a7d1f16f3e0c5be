/* SPDX-License-Identifier: Apache-2.0 */
/* What every other header stands on: Metal's predefined macros, the names of the built-in scalars, and
   selection without control flow. */
#ifndef SMELT_BASE_H
#define SMELT_BASE_H

#ifndef __METAL_VERSION__
#    define __METAL_VERSION__ 320
#endif
#ifndef __METAL__
#    define __METAL__ 1
#endif

/* safe and relaxed take the accurate functions, fast takes fast::. The frontend defines SMELT_MATH_FAST. */
#ifdef SMELT_MATH_FAST
#    define __METAL_MAYBE_FAST_MATH__ true
#else
#    define __METAL_MAYBE_FAST_MATH__ false
#endif

/* what a program may pass to the compiler's own maths names */
#define __METAL_FAST_MATH__     true
#define __METAL_PRECISE_MATH__  false

#define METAL_FUNC              inline __attribute__((always_inline))
#define METAL_CONST             __attribute__((const))
#define METAL_PURE              __attribute__((pure))
#define METAL_ALIGN(n)          __attribute__((aligned(n)))
#define METAL_INTERNAL          inline __attribute__((always_inline))
#define SMELT_INLINE            inline __attribute__((always_inline, nothrow))
#define SMELT_INLINE_CONSTEXPR  constexpr __attribute__((always_inline, nothrow))
#define SMELT_UNSUPPORTED(what) __attribute__((unavailable(what " not supported by smelt")))

typedef unsigned char uchar;
typedef unsigned short ushort;
typedef unsigned int uint;
typedef unsigned long ulong;
typedef signed char int8_t;
typedef unsigned char uint8_t;
typedef short int16_t;
typedef unsigned short uint16_t;
typedef int int32_t;
typedef unsigned int uint32_t;
typedef long int64_t;
typedef unsigned long uint64_t;
typedef unsigned long size_t;
typedef long ptrdiff_t;
typedef long intptr_t;
typedef unsigned long uintptr_t;
typedef _Float16 half;

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

/* yes where the condition holds, else no, without control flow: clang makes a branch of ?: unless both values
   are constants, and a branch costs the engine a mask. LLVM turns this into one select. */
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
        const unsigned long y = __builtin_bit_cast(unsigned long, yes),
                            n = __builtin_bit_cast(unsigned long, no);
        return __builtin_bit_cast(T, select(condition, y, n));
    } else {
        const unsigned y = __builtin_bit_cast(U, yes), n = __builtin_bit_cast(U, no);
        return __builtin_bit_cast(T, (U)select(condition, y, n));
    }
}
} // namespace smelt

#endif
