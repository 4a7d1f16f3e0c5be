/* SPDX-License-Identifier: Apache-2.0 */
/* Swizzles of two to four components as assignable properties, by xyzw and by rgba. They live in an empty
   base class: clang walks a class's member list when it defines a constructor, and this list is long. */
#ifndef SMELT_SWIZZLE_H
#define SMELT_SWIZZLE_H

#include "smelt_types.h"

/* One swizzle: M(a, ra, b, rb, ...) with the xyzw and the rgba letter of every component. The setters exist
   only for swizzles without repetition, so that writing to .xx is an error. */
#define SMELT_GET2(a, ra, b, rb)                                                                             \
    __declspec(property(get = get_##a##b, put = put_##a##b)) metal::vec<T, 2> a##b, ra##rb;                  \
    SMELT_INLINE_CONSTEXPR metal::vec<T, 2> get_##a##b() const                                               \
    {                                                                                                        \
        const V &v = *static_cast<const V *>(this);                                                          \
        return metal::vec<T, 2>(v.a, v.b);                                                                   \
    }
#define SMELT_GET3(a, ra, b, rb, c, rc)                                                                      \
    __declspec(property(get = get_##a##b##c, put = put_##a##b##c)) metal::vec<T, 3> a##b##c, ra##rb##rc;     \
    SMELT_INLINE_CONSTEXPR metal::vec<T, 3> get_##a##b##c() const                                            \
    {                                                                                                        \
        const V &v = *static_cast<const V *>(this);                                                          \
        return metal::vec<T, 3>(v.a, v.b, v.c);                                                              \
    }
#define SMELT_GET4(a, ra, b, rb, c, rc, d, rd)                                                               \
    __declspec(property(get = get_##a##b##c##d, put = put_##a##b##c##d)) metal::vec<T, 4> a##b##c##d,        \
        ra##rb##rc##rd;                                                                                      \
    SMELT_INLINE_CONSTEXPR metal::vec<T, 4> get_##a##b##c##d() const                                         \
    {                                                                                                        \
        const V &v = *static_cast<const V *>(this);                                                          \
        return metal::vec<T, 4>(v.a, v.b, v.c, v.d);                                                         \
    }

#define SMELT_PUT2(a, b)                                                                                     \
    SMELT_INLINE_CONSTEXPR metal::vec<T, 2> put_##a##b(metal::vec<T, 2> s)                                   \
    {                                                                                                        \
        V &v = *static_cast<V *>(this);                                                                      \
        v.a = s.x, v.b = s.y;                                                                                \
        return s;                                                                                            \
    }
#define SMELT_PUT3(a, b, c)                                                                                  \
    SMELT_INLINE_CONSTEXPR metal::vec<T, 3> put_##a##b##c(metal::vec<T, 3> s)                                \
    {                                                                                                        \
        V &v = *static_cast<V *>(this);                                                                      \
        v.a = s.x, v.b = s.y, v.c = s.z;                                                                     \
        return s;                                                                                            \
    }
#define SMELT_PUT4(a, b, c, d)                                                                               \
    SMELT_INLINE_CONSTEXPR metal::vec<T, 4> put_##a##b##c##d(metal::vec<T, 4> s)                             \
    {                                                                                                        \
        V &v = *static_cast<V *>(this);                                                                      \
        v.a = s.x, v.b = s.y, v.c = s.z, v.d = s.w;                                                          \
        return s;                                                                                            \
    }

/* Every choice of a last component, then of the one before it, and so on: the preprocessor does not expand a
   macro inside itself, so each depth has its own copy. */
#define SMELT_LAST2(M, ...)  M(__VA_ARGS__, x, r) M(__VA_ARGS__, y, g)
#define SMELT_LAST3(M, ...)  SMELT_LAST2(M, __VA_ARGS__) M(__VA_ARGS__, z, b)
#define SMELT_LAST4(M, ...)  SMELT_LAST3(M, __VA_ARGS__) M(__VA_ARGS__, w, a)

#define SMELT_THIRD2(M, ...) SMELT_LAST2(M, __VA_ARGS__, x, r) SMELT_LAST2(M, __VA_ARGS__, y, g)
#define SMELT_THIRD3(M, ...)                                                                                 \
    SMELT_LAST3(M, __VA_ARGS__, x, r) SMELT_LAST3(M, __VA_ARGS__, y, g) SMELT_LAST3(M, __VA_ARGS__, z, b)
#define SMELT_THIRD4(M, ...)                                                                                 \
    SMELT_LAST4(M, __VA_ARGS__, x, r)                                                                        \
    SMELT_LAST4(M, __VA_ARGS__, y, g) SMELT_LAST4(M, __VA_ARGS__, z, b) SMELT_LAST4(M, __VA_ARGS__, w, a)

#define SMELT_SECOND2(M, ...) SMELT_THIRD2(M, __VA_ARGS__, x, r) SMELT_THIRD2(M, __VA_ARGS__, y, g)
#define SMELT_SECOND3(M, ...)                                                                                \
    SMELT_THIRD3(M, __VA_ARGS__, x, r) SMELT_THIRD3(M, __VA_ARGS__, y, g) SMELT_THIRD3(M, __VA_ARGS__, z, b)
#define SMELT_SECOND4(M, ...)                                                                                \
    SMELT_THIRD4(M, __VA_ARGS__, x, r)                                                                       \
    SMELT_THIRD4(M, __VA_ARGS__, y, g) SMELT_THIRD4(M, __VA_ARGS__, z, b) SMELT_THIRD4(M, __VA_ARGS__, w, a)

#define SMELT_FIRST2(NEXT, M) NEXT##2(M, x, r)NEXT##2(M, y, g)
#define SMELT_FIRST3(NEXT, M) NEXT##3(M, x, r)NEXT##3(M, y, g)NEXT##3(M, z, b)
#define SMELT_FIRST4(NEXT, M) NEXT##4(M, x, r)NEXT##4(M, y, g)NEXT##4(M, z, b)NEXT##4(M, w, a)

#define SMELT_GETTERS(n)                                                                                     \
    SMELT_FIRST##n(SMELT_LAST, SMELT_GET2) SMELT_FIRST##n(SMELT_THIRD, SMELT_GET3)                           \
        SMELT_FIRST##n(SMELT_SECOND, SMELT_GET4)

/* Setters: all orders of two, three and four different letters. */
#define SMELT_ORDERS2(a, b) SMELT_PUT2(a, b) SMELT_PUT2(b, a)
#define SMELT_ORDERS3(a, b, c)                                                                               \
    SMELT_PUT3(a, b, c)                                                                                      \
    SMELT_PUT3(a, c, b) SMELT_PUT3(b, a, c) SMELT_PUT3(b, c, a) SMELT_PUT3(c, a, b) SMELT_PUT3(c, b, a)
#define SMELT_ORDERS4(a, b, c, d)                                                                            \
    SMELT_PUT4(a, b, c, d)                                                                                   \
    SMELT_PUT4(a, b, d, c) SMELT_PUT4(a, c, b, d) SMELT_PUT4(a, c, d, b) SMELT_PUT4(a, d, b, c)              \
        SMELT_PUT4(a, d, c, b)

/* A namespace with nothing else in it: a base class makes its namespace one that calls with vectors search.
 */
namespace smelt_parts
{
template <class V, class T, int N> struct swizzles;

template <class V, class T> struct swizzles<V, T, 2> {
    SMELT_GETTERS(2)
    SMELT_ORDERS2(x, y)
};

template <class V, class T> struct swizzles<V, T, 3> {
    SMELT_GETTERS(3)
    SMELT_ORDERS2(x, y)
    SMELT_ORDERS2(x, z)
    SMELT_ORDERS2(y, z)
    SMELT_ORDERS3(x, y, z)
};

template <class V, class T> struct swizzles<V, T, 4> {
    SMELT_GETTERS(4)
    SMELT_ORDERS2(x, y)
    SMELT_ORDERS2(x, z)
    SMELT_ORDERS2(x, w)
    SMELT_ORDERS2(y, z)
    SMELT_ORDERS2(y, w)
    SMELT_ORDERS2(z, w)
    SMELT_ORDERS3(x, y, z)
    SMELT_ORDERS3(x, y, w)
    SMELT_ORDERS3(x, z, w)
    SMELT_ORDERS3(y, z, w)
    SMELT_ORDERS4(x, y, z, w)
    SMELT_ORDERS4(y, x, z, w)
    SMELT_ORDERS4(z, x, y, w)
    SMELT_ORDERS4(w, x, y, z)
};
} // namespace smelt_parts

#undef SMELT_GETTERS
#undef SMELT_ORDERS2
#undef SMELT_ORDERS3
#undef SMELT_ORDERS4
#endif
