/* SPDX-License-Identifier: Apache-2.0 */
/* vec<T, N> and packed_vec<T, N>: plain members, so that the engine sees scalars; Metal's sizes and
 * alignment. */
#ifndef SMELT_VECTOR_H
#define SMELT_VECTOR_H

#include "smelt_types.h"
#include "smelt_swizzle.h"

/* What vectors of every length share: single letters by colour, and the index. (&x)[i] stays inside the
   object; constant evaluation does not allow it, hence the other way there. */
#define SMELT_COLOUR(colour, member)                                                                         \
    __declspec(property(get = get_##colour, put = put_##colour)) T colour;                                   \
    SMELT_INLINE_CONSTEXPR T get_##colour() const { return member; }                                         \
    SMELT_INLINE_CONSTEXPR T put_##colour(T value) { return member = value; }

#define SMELT_INDEX(last)                                                                                    \
    SMELT_INLINE_CONSTEXPR T &operator[](size_t i)                                                           \
    {                                                                                                        \
        if (__builtin_is_constant_evaluated()) return i == 0 ? x : i == 1 ? y : last;                        \
        return (&x)[i];                                                                                      \
    }                                                                                                        \
    SMELT_INLINE_CONSTEXPR const T &operator[](size_t i) const                                               \
    {                                                                                                        \
        if (__builtin_is_constant_evaluated()) return i == 0 ? x : i == 1 ? y : last;                        \
        return (&x)[i];                                                                                      \
    }

namespace smelt
{
/* The vector that an argument is or stands for; scalars have none. */
template <class A> struct as_vector {
    static constexpr bool exists = false;
};
template <class T, int N> struct as_vector<metal::vec<T, N>> {
    static constexpr bool exists = true;
    static constexpr int count = N;
    using element = T;
    using type = metal::vec<T, N>;
    using truth = metal::vec<bool, N>;
    using integers = metal::vec<int, N>;
};
template <class T, int N> struct as_vector<metal::packed_vec<T, N>> : as_vector<metal::vec<T, N>> {
};
/* The same for two or three arguments of which at least one is a vector; the others are converted to it. */
template <class A, class B> struct pair_vector : choose_t<as_vector<A>::exists, as_vector<A>, as_vector<B>> {
};
template <class A, class B, class C>
struct triple_vector : choose_t<as_vector<A>::exists, as_vector<A>, pair_vector<B, C>> {
};
} // namespace smelt

namespace metal
{
template <class T> struct alignas(2 * sizeof(T)) vec<T, 2> : smelt_parts::swizzles<vec<T, 2>, T, 2> {
    using value_type = T;
    T x, y;
    vec() = default;
    SMELT_INLINE_CONSTEXPR vec(T s) : x(s), y(s) {}
    SMELT_INLINE_CONSTEXPR vec(T a, T b) : x(a), y(b) {}
    template <class U> SMELT_INLINE_CONSTEXPR explicit vec(vec<U, 2> v) : x((T)v.x), y((T)v.y) {}
    template <class U> SMELT_INLINE_CONSTEXPR explicit vec(packed_vec<U, 2> v) : x((T)v.x), y((T)v.y) {}
    /* bfloat takes no float without a cast, but a constructor is one */
    template <class S>
    requires(__is_same(T, bfloat) && smelt::Builtin<S>) SMELT_INLINE_CONSTEXPR explicit vec(S s)
        : x((T)s), y((T)s)
    {
    }
    template <class S0, class S1>
    requires(__is_same(T, bfloat) && smelt::is_scalar<S0> && smelt::is_scalar<S1>) SMELT_INLINE_CONSTEXPR
        explicit vec(S0 a, S1 b)
        : x((T)a), y((T)b)
    {
    }
    SMELT_COLOUR(r, x)
    SMELT_COLOUR(g, y)
    SMELT_INDEX(y)
};

template <class T> struct alignas(4 * sizeof(T)) vec<T, 3> : smelt_parts::swizzles<vec<T, 3>, T, 3> {
    using value_type = T;
    T x, y, z;
    vec() = default;
    SMELT_INLINE_CONSTEXPR vec(T s) : x(s), y(s), z(s) {}
    SMELT_INLINE_CONSTEXPR vec(T a, T b, T c) : x(a), y(b), z(c) {}
    SMELT_INLINE_CONSTEXPR vec(vec<T, 2> v, T c) : x(v.x), y(v.y), z(c) {}
    SMELT_INLINE_CONSTEXPR vec(T a, vec<T, 2> v) : x(a), y(v.x), z(v.y) {}
    template <class U> SMELT_INLINE_CONSTEXPR explicit vec(vec<U, 3> v) : x((T)v.x), y((T)v.y), z((T)v.z) {}
    template <class U>
    SMELT_INLINE_CONSTEXPR explicit vec(packed_vec<U, 3> v) : x((T)v.x), y((T)v.y), z((T)v.z)
    {
    }
    /* bfloat takes no float without a cast, but a constructor is one */
    template <class S>
    requires(__is_same(T, bfloat) && smelt::Builtin<S>) SMELT_INLINE_CONSTEXPR explicit vec(S s)
        : x((T)s), y((T)s), z((T)s)
    {
    }
    template <class S0, class S1, class S2>
    requires(__is_same(T, bfloat) && smelt::is_scalar<S0> && smelt::is_scalar<S1> &&
             smelt::is_scalar<S2>) SMELT_INLINE_CONSTEXPR explicit vec(S0 a, S1 b, S2 c)
        : x((T)a), y((T)b), z((T)c)
    {
    }
    SMELT_COLOUR(r, x)
    SMELT_COLOUR(g, y)
    SMELT_COLOUR(b, z)
    SMELT_INDEX(z)
};

template <class T> struct alignas(4 * sizeof(T)) vec<T, 4> : smelt_parts::swizzles<vec<T, 4>, T, 4> {
    using value_type = T;
    T x, y, z, w;
    vec() = default;
    SMELT_INLINE_CONSTEXPR vec(T s) : x(s), y(s), z(s), w(s) {}
    SMELT_INLINE_CONSTEXPR vec(T a, T b, T c, T d) : x(a), y(b), z(c), w(d) {}
    SMELT_INLINE_CONSTEXPR vec(vec<T, 2> v, T c, T d) : x(v.x), y(v.y), z(c), w(d) {}
    SMELT_INLINE_CONSTEXPR vec(T a, vec<T, 2> v, T d) : x(a), y(v.x), z(v.y), w(d) {}
    SMELT_INLINE_CONSTEXPR vec(T a, T b, vec<T, 2> v) : x(a), y(b), z(v.x), w(v.y) {}
    SMELT_INLINE_CONSTEXPR vec(vec<T, 2> u, vec<T, 2> v) : x(u.x), y(u.y), z(v.x), w(v.y) {}
    SMELT_INLINE_CONSTEXPR vec(vec<T, 3> v, T d) : x(v.x), y(v.y), z(v.z), w(d) {}
    SMELT_INLINE_CONSTEXPR vec(T a, vec<T, 3> v) : x(a), y(v.x), z(v.y), w(v.z) {}
    template <class U>
    SMELT_INLINE_CONSTEXPR explicit vec(vec<U, 4> v) : x((T)v.x), y((T)v.y), z((T)v.z), w((T)v.w)
    {
    }
    template <class U>
    SMELT_INLINE_CONSTEXPR explicit vec(packed_vec<U, 4> v) : x((T)v.x), y((T)v.y), z((T)v.z), w((T)v.w)
    {
    }
    /* bfloat takes no float without a cast, but a constructor is one */
    template <class S>
    requires(__is_same(T, bfloat) && smelt::Builtin<S>) SMELT_INLINE_CONSTEXPR explicit vec(S s)
        : x((T)s), y((T)s), z((T)s), w((T)s)
    {
    }
    template <class S0, class S1, class S2, class S3>
    requires(__is_same(T, bfloat) && smelt::is_scalar<S0> && smelt::is_scalar<S1> && smelt::is_scalar<S2> &&
             smelt::is_scalar<S3>) SMELT_INLINE_CONSTEXPR explicit vec(S0 a, S1 b, S2 c, S3 d)
        : x((T)a), y((T)b), z((T)c), w((T)d)
    {
    }
    SMELT_COLOUR(r, x)
    SMELT_COLOUR(g, y)
    SMELT_COLOUR(b, z)
    SMELT_COLOUR(a, w)
    SMELT_INDEX(i == 2 ? z : w)
};

/* Packed vectors are storage: scalar alignment, and every operation first makes a vec of them. */
#define SMELT_PACKED_OPERATOR(op)                                                                            \
    friend SMELT_INLINE_CONSTEXPR auto operator op(packed_vec a, packed_vec b) { return V(a) op V(b); }
#define SMELT_PACKED_ASSIGN(op)                                                                              \
    SMELT_INLINE_CONSTEXPR packed_vec &operator op##=(V b) { return *this = V(*this) op b; }
#define SMELT_PACKED_COMMON(N)                                                                               \
    using V = vec<T, N>;                                                                                     \
    using value_type = T;                                                                                    \
    packed_vec() = default;                                                                                  \
    template <class U> SMELT_INLINE_CONSTEXPR explicit packed_vec(packed_vec<U, N> v) : packed_vec(V(v)) {}  \
    template <class U> SMELT_INLINE_CONSTEXPR explicit packed_vec(vec<U, N> v) : packed_vec(V(v)) {}         \
    SMELT_INLINE_CONSTEXPR packed_vec(T s) : packed_vec(V(s)) {}                                             \
    SMELT_PACKED_OPERATOR(+)                                                                                 \
    SMELT_PACKED_OPERATOR(-)                                                                                 \
    SMELT_PACKED_OPERATOR(*)                                                                                 \
    SMELT_PACKED_OPERATOR(/)                                                                                 \
    SMELT_PACKED_OPERATOR(==)                                                                                \
    SMELT_PACKED_OPERATOR(!=)                                                                                \
    SMELT_PACKED_OPERATOR(<)                                                                                 \
    SMELT_PACKED_OPERATOR(>)                                                                                 \
    SMELT_PACKED_OPERATOR(<=)                                                                                \
    SMELT_PACKED_OPERATOR(>=)                                                                                \
    SMELT_PACKED_ASSIGN(+)                                                                                   \
    SMELT_PACKED_ASSIGN(-)                                                                                   \
    SMELT_PACKED_ASSIGN(*)                                                                                   \
    SMELT_PACKED_ASSIGN(/)                                                                                   \
    friend SMELT_INLINE_CONSTEXPR V operator-(packed_vec a) { return -V(a); }

template <class T> struct packed_vec<T, 2> : smelt_parts::swizzles<packed_vec<T, 2>, T, 2> {
    T x, y;
    SMELT_PACKED_COMMON(2)
    SMELT_INLINE_CONSTEXPR packed_vec(V v) : x(v.x), y(v.y) {}
    SMELT_INLINE_CONSTEXPR packed_vec(T a, T b) : x(a), y(b) {}
    SMELT_INLINE_CONSTEXPR operator V() const { return V(x, y); }
    SMELT_COLOUR(r, x)
    SMELT_COLOUR(g, y)
    SMELT_INDEX(y)
};

template <class T> struct packed_vec<T, 3> : smelt_parts::swizzles<packed_vec<T, 3>, T, 3> {
    T x, y, z;
    SMELT_PACKED_COMMON(3)
    SMELT_INLINE_CONSTEXPR packed_vec(V v) : x(v.x), y(v.y), z(v.z) {}
    SMELT_INLINE_CONSTEXPR packed_vec(T a, T b, T c) : x(a), y(b), z(c) {}
    SMELT_INLINE_CONSTEXPR operator V() const { return V(x, y, z); }
    SMELT_COLOUR(r, x)
    SMELT_COLOUR(g, y)
    SMELT_COLOUR(b, z)
    SMELT_INDEX(z)
};

template <class T> struct packed_vec<T, 4> : smelt_parts::swizzles<packed_vec<T, 4>, T, 4> {
    T x, y, z, w;
    SMELT_PACKED_COMMON(4)
    SMELT_INLINE_CONSTEXPR packed_vec(V v) : x(v.x), y(v.y), z(v.z), w(v.w) {}
    SMELT_INLINE_CONSTEXPR packed_vec(T a, T b, T c, T d) : x(a), y(b), z(c), w(d) {}
    SMELT_INLINE_CONSTEXPR operator V() const { return V(x, y, z, w); }
    SMELT_COLOUR(r, x)
    SMELT_COLOUR(g, y)
    SMELT_COLOUR(b, z)
    SMELT_COLOUR(a, w)
    SMELT_INDEX(i == 2 ? z : w)
};
} // namespace metal

#undef SMELT_COLOUR
#undef SMELT_INDEX
#undef SMELT_PACKED_OPERATOR
#undef SMELT_PACKED_ASSIGN
#undef SMELT_PACKED_COMMON

/* The names, in the global namespace and again in metal. */
#define SMELT_VECTOR_NAMES(name, type)                                                                       \
    typedef metal::vec<type, 2> name##2;                                                                     \
    typedef metal::vec<type, 3> name##3;                                                                     \
    typedef metal::vec<type, 4> name##4;
#define SMELT_PACKED_NAMES(name, type)                                                                       \
    typedef metal::packed_vec<type, 2> packed_##name##2;                                                     \
    typedef metal::packed_vec<type, 3> packed_##name##3;                                                     \
    typedef metal::packed_vec<type, 4> packed_##name##4;
#define SMELT_ALL_VECTOR_NAMES                                                                               \
    SMELT_VECTOR_NAMES(bool, bool)                                                                           \
    SMELT_VECTOR_NAMES(char, char)                                                                           \
    SMELT_VECTOR_NAMES(uchar, unsigned char)                                                                 \
    SMELT_VECTOR_NAMES(short, short)                                                                         \
    SMELT_VECTOR_NAMES(ushort, unsigned short)                                                               \
    SMELT_VECTOR_NAMES(int, int)                                                                             \
    SMELT_VECTOR_NAMES(uint, unsigned)                                                                       \
    SMELT_VECTOR_NAMES(long, long)                                                                           \
    SMELT_VECTOR_NAMES(ulong, unsigned long)                                                                 \
    SMELT_VECTOR_NAMES(half, _Float16)                                                                       \
    SMELT_VECTOR_NAMES(float, float)                                                                         \
    SMELT_VECTOR_NAMES(bfloat, bfloat)                                                                       \
    SMELT_PACKED_NAMES(char, char)                                                                           \
    SMELT_PACKED_NAMES(uchar, unsigned char)                                                                 \
    SMELT_PACKED_NAMES(short, short)                                                                         \
    SMELT_PACKED_NAMES(ushort, unsigned short)                                                               \
    SMELT_PACKED_NAMES(int, int)                                                                             \
    SMELT_PACKED_NAMES(uint, unsigned)                                                                       \
    SMELT_PACKED_NAMES(long, long)                                                                           \
    SMELT_PACKED_NAMES(ulong, unsigned long)                                                                 \
    SMELT_PACKED_NAMES(half, _Float16)                                                                       \
    SMELT_PACKED_NAMES(float, float)                                                                         \
    SMELT_PACKED_NAMES(bfloat, bfloat)

SMELT_ALL_VECTOR_NAMES
namespace metal
{
SMELT_ALL_VECTOR_NAMES
}
#undef SMELT_ALL_VECTOR_NAMES
#undef SMELT_PACKED_NAMES

/* Body of a function that gives vec<R, N>, one expression an element. */
#define SMELT_EACH(N, R, expression_x, expression_y, expression_z, expression_w)                             \
    if constexpr (N == 2)                                                                                    \
        return metal::vec<R, N>((R)(expression_x), (R)(expression_y));                                       \
    else if constexpr (N == 3)                                                                               \
        return metal::vec<R, N>((R)(expression_x), (R)(expression_y), (R)(expression_z));                    \
    else                                                                                                     \
        return metal::vec<R, N>((R)(expression_x), (R)(expression_y), (R)(expression_z), (R)(expression_w));

#endif
