/* SPDX-License-Identifier: Apache-2.0 */
/* Operations between lanes for both groups, simd and quad: every scalar and vector type on top of the
   engine's closed set of types. */
#ifndef SMELT_LANES_H
#define SMELT_LANES_H

#include "smelt_intrinsics.h"
#include "smelt_operators.h"

namespace smelt_parts
{
template <class T>
concept Whole = __is_integral(T);
}

/* call(suffix, carrier) sends the bits of T through the carrier type of the intrinsic. */
#define SMELT_CARRY_BITS(T, call)                                                                            \
    if constexpr (__is_same(T, float))                                                                       \
        return call(f32, float);                                                                             \
    else if constexpr (__is_same(T, half))                                                                   \
        return call(f16, half);                                                                              \
    else if constexpr (sizeof(T) == 8)                                                                       \
        return (T)call(i64, long);                                                                           \
    else                                                                                                     \
        return (T)call(i32, int);
/* The same for arithmetic; bfloat is computed in float and rounded once. */
#define SMELT_CARRY_SUM(T, call)                                                                             \
    if constexpr (__is_same(T, float) || __is_same(T, bfloat))                                               \
        return (T)call(f32, float);                                                                          \
    else if constexpr (__is_same(T, half))                                                                   \
        return call(f16, half);                                                                              \
    else if constexpr (sizeof(T) == 8)                                                                       \
        return (T)call(i64, long);                                                                           \
    else                                                                                                     \
        return (T)call(i32, int);
#define SMELT_CARRY_WHOLE(T, call)                                                                           \
    if constexpr (sizeof(T) == 8)                                                                            \
        return (T)call(i64, long);                                                                           \
    else                                                                                                     \
        return (T)call(i32, int);
#define SMELT_CARRY_ORDER(T, call)                                                                           \
    if constexpr (__is_same(T, float) || __is_same(T, bfloat))                                               \
        return (T)call(f32, float);                                                                          \
    else if constexpr (__is_same(T, half))                                                                   \
        return call(f16, half);                                                                              \
    else if constexpr (sizeof(T) == 8 && smelt::is_signed<T>)                                                \
        return (T)call(i64, long);                                                                           \
    else if constexpr (sizeof(T) == 8)                                                                       \
        return (T)call(u64, ulong);                                                                          \
    else if constexpr (smelt::is_signed<T>)                                                                  \
        return (T)call(i32, int);                                                                            \
    else                                                                                                     \
        return (T)call(u32, uint);

/* Vectors, one component after the other; ... are the further arguments, all scalars */
#define SMELT_LANE_VECTOR(name, parameters, ...)                                                             \
    template <class T, int N> SMELT_INLINE vec<T, N> name parameters                                         \
    {                                                                                                        \
        SMELT_EACH(N, T, name(v.x __VA_OPT__(, ) __VA_ARGS__), name(v.y __VA_OPT__(, ) __VA_ARGS__),         \
                   name(v.z __VA_OPT__(, ) __VA_ARGS__), name(v.w __VA_OPT__(, ) __VA_ARGS__))               \
    }

#define SMELT_LANE_REDUCTION(name, carry, check)                                                             \
    template <class T>                                                                                       \
    requires check<T> SMELT_INLINE T name(T v) { carry(T, SMELT_REDUCTION_CALL_##name) }                     \
    SMELT_LANE_VECTOR(name, (const vec<T, N> &v))

/* bfloat moves as the 16 bits it is */
#define SMELT_LANE_MOVE(name, argument)                                                                      \
    template <class T>                                                                                       \
    requires smelt::is_scalar<T> SMELT_INLINE T name(T v, ushort argument)                                   \
    {                                                                                                        \
        if constexpr (__is_same(T, bfloat))                                                                  \
            return as_type<bfloat>(name(as_type<ushort>(v), argument));                                      \
        else {                                                                                               \
            SMELT_CARRY_BITS(T, SMELT_MOVE_CALL_##name)                                                      \
        }                                                                                                    \
    }                                                                                                        \
    SMELT_LANE_VECTOR(name, (const vec<T, N> &v, ushort argument), argument)

#define SMELT_LANE_FILL(name, size)                                                                          \
    template <class T>                                                                                       \
    requires smelt::is_scalar<T> SMELT_INLINE T name(T v, smelt::plain<T> filling, ushort delta,             \
                                                     ushort modulo = size)                                   \
    {                                                                                                        \
        if constexpr (__is_same(T, bfloat))                                                                  \
            return as_type<bfloat>(name(as_type<ushort>(v), as_type<ushort>(filling), delta, modulo));       \
        else {                                                                                               \
            SMELT_CARRY_BITS(T, SMELT_FILL_CALL_##name)                                                      \
        }                                                                                                    \
    }                                                                                                        \
    template <class T, int N>                                                                                \
    SMELT_INLINE vec<T, N> name(const vec<T, N> &v, const smelt::plain<vec<T, N>> &f, ushort delta,          \
                                ushort modulo = size)                                                        \
    {                                                                                                        \
        SMELT_EACH(N, T, name(v.x, f.x, delta, modulo), name(v.y, f.y, delta, modulo),                       \
                   name(v.z, f.z, delta, modulo), name(v.w, f.w, delta, modulo))                             \
    }

#endif
