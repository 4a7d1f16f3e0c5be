/* SPDX-License-Identifier: Apache-2.0 */
/* complex64_t: two floats, ordered by the real part and then the imaginary one; scalars convert to it and it
   to them by its real part. */
#ifndef SMELT_MLX_COMPLEX_H
#define SMELT_MLX_COMPLEX_H

#include "metal_common"

struct complex64_t {
    float real;
    float imag;

    complex64_t() = default;
    SMELT_INLINE_CONSTEXPR complex64_t(float real, float imag) : real(real), imag(imag) {}
    template <class T>
    requires smelt::is_scalar<T> SMELT_INLINE_CONSTEXPR complex64_t(T x) : real((float)x), imag(0) {}
    template <class T>
    requires smelt::is_scalar<T> SMELT_INLINE_CONSTEXPR operator T() const { return (T)real; }
    SMELT_INLINE_CONSTEXPR complex64_t operator-() const { return complex64_t(-real, -imag); }
    SMELT_INLINE_CONSTEXPR complex64_t operator+() const { return *this; }
};

namespace smelt
{
SMELT_INLINE_CONSTEXPR complex64_t add(complex64_t a, complex64_t b)
{
    return complex64_t(a.real + b.real, a.imag + b.imag);
}
SMELT_INLINE_CONSTEXPR complex64_t subtract(complex64_t a, complex64_t b)
{
    return complex64_t(a.real - b.real, a.imag - b.imag);
}
SMELT_INLINE_CONSTEXPR complex64_t multiply(complex64_t a, complex64_t b)
{
    return complex64_t(a.real * b.real - a.imag * b.imag, a.real * b.imag + a.imag * b.real);
}
SMELT_INLINE_CONSTEXPR complex64_t divide(complex64_t a, complex64_t b)
{
    const float square = b.real * b.real + b.imag * b.imag;
    return complex64_t((a.real * b.real + a.imag * b.imag) / square,
                       (a.imag * b.real - a.real * b.imag) / square);
}
/* part by part, as the real modulo */
SMELT_INLINE_CONSTEXPR complex64_t modulo(complex64_t a, complex64_t b)
{
    return complex64_t(a.real - b.real * (float)(int64_t)(a.real / b.real),
                       a.imag - b.imag * (float)(int64_t)(a.imag / b.imag));
}
SMELT_INLINE_CONSTEXPR bool equal(complex64_t a, complex64_t b)
{
    return (a.real == b.real) & (a.imag == b.imag);
}
SMELT_INLINE_CONSTEXPR bool differ(complex64_t a, complex64_t b) { return !equal(a, b); }
SMELT_INLINE_CONSTEXPR bool greater(complex64_t a, complex64_t b)
{
    return (a.real > b.real) | ((a.real == b.real) & (a.imag > b.imag));
}
SMELT_INLINE_CONSTEXPR bool greater_equal(complex64_t a, complex64_t b)
{
    return (a.real > b.real) | ((a.real == b.real) & (a.imag >= b.imag));
}
} // namespace smelt

/* With a scalar on either side as well: both convert to each other, so only an exact match is no ambiguity.
 */
#define SMELT_COMPLEX(op, type, f, a, b)                                                                     \
    SMELT_INLINE_CONSTEXPR type operator op(complex64_t x, complex64_t y) { return smelt::f(a, b); }         \
    template <class T>                                                                                       \
    requires smelt::is_scalar<T> SMELT_INLINE_CONSTEXPR type operator op(complex64_t x, T s)                 \
    {                                                                                                        \
        const complex64_t y = s;                                                                             \
        return smelt::f(a, b);                                                                               \
    }                                                                                                        \
    template <class T>                                                                                       \
    requires smelt::is_scalar<T> SMELT_INLINE_CONSTEXPR type operator op(T s, complex64_t y)                 \
    {                                                                                                        \
        const complex64_t x = s;                                                                             \
        return smelt::f(a, b);                                                                               \
    }
SMELT_COMPLEX(+, complex64_t, add, x, y)
SMELT_COMPLEX(-, complex64_t, subtract, x, y)
SMELT_COMPLEX(*, complex64_t, multiply, x, y)
SMELT_COMPLEX(/, complex64_t, divide, x, y)
SMELT_COMPLEX(%, complex64_t, modulo, x, y)
SMELT_COMPLEX(==, bool, equal, x, y)
SMELT_COMPLEX(!=, bool, differ, x, y)
SMELT_COMPLEX(>, bool, greater, x, y)
SMELT_COMPLEX(>=, bool, greater_equal, x, y)
SMELT_COMPLEX(<, bool, greater, y, x)
SMELT_COMPLEX(<=, bool, greater_equal, y, x)
#undef SMELT_COMPLEX
#define SMELT_COMPLEX_ASSIGN(op)                                                                             \
    SMELT_INLINE_CONSTEXPR complex64_t &operator op##=(complex64_t &x, complex64_t y) { return x = x op y; }
SMELT_COMPLEX_ASSIGN(+)
SMELT_COMPLEX_ASSIGN(-)
SMELT_COMPLEX_ASSIGN(*)
SMELT_COMPLEX_ASSIGN(/)
#undef SMELT_COMPLEX_ASSIGN

namespace metal
{
/* The modulus without overflow on the way */
SMELT_INLINE float abs(complex64_t z)
{
    const float a = smelt::magnitude(z.real), b = smelt::magnitude(z.imag);
    const float high = smelt::maximum_f32(a, b), ratio = smelt::minimum_f32(a, b) / high;
    const float modulus = high * smelt::sqrt_f32(1.0f + ratio * ratio);
    return smelt::select((high == 0.0f) | (high == smelt::infinity), high, modulus);
}
SMELT_INLINE complex64_t exp(complex64_t z)
{
    const float modulus = exp(z.real);
    return complex64_t(modulus * cos(z.imag), modulus * sin(z.imag));
}
SMELT_INLINE complex64_t log(complex64_t z) { return complex64_t(log(abs(z)), atan2(z.imag, z.real)); }
} // namespace metal

#endif
