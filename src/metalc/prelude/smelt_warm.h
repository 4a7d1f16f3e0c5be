/* SPDX-License-Identifier: Apache-2.0 */
/* Instantiates what most kernels use, once, in the precompiled header: a constructor or a function that first
   comes into being in the user's text makes clang load and check whole classes there. */
#ifndef SMELT_WARM_H
#define SMELT_WARM_H

#include "metal_common"
#include "metal_geometric"

namespace smelt
{
template <class V, class T, int N> SMELT_INLINE V warm(V a, T s)
{
    V b = a, c;
    c = b;
    V d = static_cast<V &&>(b);
    c = static_cast<V &&>(d);
    c += a * b - s * c + a * s;
    c *= s;
    c = a / b + c / s - a;
    if constexpr (N == 2)
        return V(s, s) + V(s) + c;
    else if constexpr (N == 3)
        return V(s, s, s) + V(s) + c;
    else
        return V(s, s, s, s) + V(s) + c;
}
#define SMELT_WARM(type)                                                                                     \
    inline void warm_##type(metal::vec<type, 2> a, metal::vec<type, 3> b, metal::vec<type, 4> c)             \
    {                                                                                                        \
        (void)warm<metal::vec<type, 2>, type, 2>(a, (type)1);                                                \
        (void)warm<metal::vec<type, 3>, type, 3>(b, (type)1);                                                \
        (void)warm<metal::vec<type, 4>, type, 4>(c, (type)1);                                                \
    }
SMELT_WARM(float)
SMELT_WARM(half)
SMELT_WARM(bfloat)
SMELT_WARM(int)
SMELT_WARM(uint)
SMELT_WARM(ushort)
SMELT_WARM(uchar)
#undef SMELT_WARM
} // namespace smelt

#endif
