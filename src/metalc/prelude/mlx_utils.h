/* SPDX-License-Identifier: Apache-2.0 */
/* What a kernel body given to metal_kernel finds without including anything: indexing over strides, limits,
   complex numbers and small helpers, by the names and rules of MLX (specification 9.7). */
#ifndef SMELT_MLX_UTILS_H
#define SMELT_MLX_UTILS_H

#include "metal_stdlib"

using namespace metal;

typedef half float16_t;
typedef bfloat bfloat16_t;

#include "mlx_complex.h"

#define MTL_CONST       static constexpr const
#define MTL_LOOP_UNROLL _Pragma("clang loop unroll(full)")

SMELT_INLINE uint16_t bfloat16_to_uint16(bfloat16_t x) { return as_type<uint16_t>(x); }
SMELT_INLINE bfloat16_t uint16_to_bfloat16(uint16_t x) { return as_type<bfloat16_t>(x); }

/* max and min are infinite for floating types; finite_max and finite_min never are */
template <class U> struct Limits {
    static constexpr U max = smelt::is_floating<U> ? numeric_limits<U>::infinity() : numeric_limits<U>::max();
    static constexpr U min =
        smelt::is_floating<U> ? (U)-numeric_limits<U>::infinity() : numeric_limits<U>::min();
    static constexpr U finite_max = numeric_limits<U>::max();
    static constexpr U finite_min = numeric_limits<U>::lowest();
};
template <> struct Limits<complex64_t> {
    static constexpr complex64_t max = complex64_t(smelt::infinity, smelt::infinity);
    static constexpr complex64_t min = complex64_t(-smelt::infinity, -smelt::infinity);
    static constexpr complex64_t finite_max = complex64_t(FLT_MAX, FLT_MAX);
    static constexpr complex64_t finite_min = complex64_t(-FLT_MAX, -FLT_MAX);
};

/* Elements that one thread handles: as many as fill 8 bytes */
template <class U> struct WorkPerThread {
    static_assert(sizeof(U) <= 8, "WorkPerThread needs a type of at most 8 bytes");
    static constexpr int n = 8 / sizeof(U);
};

template <bool condition, class T, class U> struct ConditionalType {
    using type = smelt::choose_t<condition, T, U>;
};

template <class T, class U> SMELT_INLINE_CONSTEXPR auto ceildiv(T n, U m) { return (n + m - 1) / m; }

/* A complex number casts to its real part, anything casts to bool by comparison with 0 */
template <class U, class T> SMELT_INLINE_CONSTEXPR U cast_to(T value)
{
    if constexpr (__is_same(U, bool))
        return value != T(0);
    else
        return static_cast<U>(value);
}

/* Offset of an element: the last axis varies fastest */
template <class I = int64_t>
SMELT_INLINE I elem_to_loc(I elem, const int *shape, const int64_t *strides, int ndim)
{
    I loc = 0;
    for (int d = ndim - 1; d >= 0; d--) {
        loc += (elem % (I)shape[d]) * (I)strides[d];
        elem /= (I)shape[d];
    }
    return loc;
}
/* x and y are the last two axes, z counts the rest */
template <class I = int64_t>
SMELT_INLINE I elem_to_loc(uint3 elem, const int *shape, const int64_t *strides, int ndim)
{
    I loc = (I)elem.x * (I)strides[ndim - 1] + (I)elem.y * (I)strides[ndim - 2];
    uint z = elem.z;
    for (int d = ndim - 3; d >= 0; d--) {
        loc += (I)(z % (uint)shape[d]) * (I)strides[d];
        z /= (uint)shape[d];
    }
    return loc;
}
template <class I = int64_t> SMELT_INLINE I elem_to_loc_1(uint elem, const int64_t &stride)
{
    return (I)elem * (I)stride;
}
template <class I = int64_t> SMELT_INLINE I elem_to_loc_2(uint2 elem, const int64_t *strides)
{
    return (I)elem.x * (I)strides[1] + (I)elem.y * (I)strides[0];
}
template <class I = int64_t> SMELT_INLINE I elem_to_loc_3(uint3 elem, const int64_t *strides)
{
    return (I)elem.x * (I)strides[2] + (I)elem.y * (I)strides[1] + (I)elem.z * (I)strides[0];
}
/* The same element in two or three arrays of one shape */
template <class I = int64_t>
SMELT_INLINE vec<I, 2> elem_to_loc_2_nd(uint3 elem, const int *shape, const int64_t *a_strides,
                                        const int64_t *b_strides, int ndim)
{
    return vec<I, 2>(elem_to_loc<I>(elem, shape, a_strides, ndim),
                     elem_to_loc<I>(elem, shape, b_strides, ndim));
}
template <class I = int64_t>
SMELT_INLINE vec<I, 3> elem_to_loc_3_nd(uint3 elem, const int *shape, const int64_t *a_strides,
                                        const int64_t *b_strides, const int64_t *c_strides, int ndim)
{
    return vec<I, 3>(elem_to_loc<I>(elem, shape, a_strides, ndim),
                     elem_to_loc<I>(elem, shape, b_strides, ndim),
                     elem_to_loc<I>(elem, shape, c_strides, ndim));
}

/* Walks over the elements in order. Steps inside the last axis only add its stride; a step out of it starts
   from the element's number again, which is right for any number of axes. DIM and General only keep the
   signature. */
template <int DIM, class Offset = size_t, bool General = true> struct LoopedElemToLoc {
    int dim;
    int index = 0;
    int64_t element = 0;
    Offset offset = 0;

    SMELT_INLINE LoopedElemToLoc(int dim) : dim(dim) {}
    SMELT_INLINE void next(const int *shape, const int64_t *strides) { next(1, shape, strides); }
    SMELT_INLINE void next(int n, const int *shape, const int64_t *strides)
    {
        if (dim == 0) return;
        element += n;
        index += n;
        if (index < shape[dim - 1]) {
            offset += (Offset)n * (Offset)strides[dim - 1];
        } else {
            index = (int)(element % shape[dim - 1]);
            offset = (Offset)elem_to_loc<int64_t>(element, shape, strides, dim);
        }
    }
    SMELT_INLINE Offset location() { return offset; }
};

SMELT_INLINE float log1p(float x) { return __smelt_math_log1p_f32(x); }
SMELT_INLINE bfloat16_t log1p(bfloat16_t x) { return (bfloat16_t)__smelt_math_log1p_f32((float)x); }
SMELT_INLINE half log1p(half x) { return (half)__smelt_math_log1p_f32((float)x); }
SMELT_INLINE complex64_t log1p(complex64_t z)
{
    const float x = z.real, y = z.imag;
    const float angle = metal::precise::atan2(y, x + 1.0f);
    /* |1 + z|^2 - 1 = x (2 + x) + y^2 keeps what 1 + x would lose */
    return complex64_t(0.5f * __smelt_math_log1p_f32(x * (2.0f + x) + y * y), angle);
}

/* Lane moves of complex numbers; 64-bit integers and bool are in metal already */
#define SMELT_COMPLEX_MOVE(name)                                                                             \
    SMELT_INLINE complex64_t name(complex64_t v, uint16_t lane)                                              \
    {                                                                                                        \
        return complex64_t(metal::name(v.real, lane), metal::name(v.imag, lane));                            \
    }
SMELT_COMPLEX_MOVE(simd_shuffle)
SMELT_COMPLEX_MOVE(simd_shuffle_up)
SMELT_COMPLEX_MOVE(simd_shuffle_down)
SMELT_COMPLEX_MOVE(simd_shuffle_xor)
SMELT_COMPLEX_MOVE(simd_broadcast)
#undef SMELT_COMPLEX_MOVE
#define SMELT_COMPLEX_FILL(name)                                                                             \
    SMELT_INLINE complex64_t name(complex64_t v, complex64_t filling, uint16_t delta)                        \
    {                                                                                                        \
        return complex64_t(metal::name(v.real, filling.real, delta),                                         \
                           metal::name(v.imag, filling.imag, delta));                                        \
    }
SMELT_COMPLEX_FILL(simd_shuffle_and_fill_up)
SMELT_COMPLEX_FILL(simd_shuffle_and_fill_down)
#undef SMELT_COMPLEX_FILL

namespace mlx
{
using metal::os_log;
}

#endif
