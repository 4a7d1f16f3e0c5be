/* SPDX-License-Identifier: Apache-2.0 */
/* <simd/simd.h>: the names that shaders share with host code. */
#ifndef SMELT_SIMD_SIMD_H
#define SMELT_SIMD_SIMD_H

#include "../metal_matrix"

#define SMELT_SIMD_VECTORS(name, type)                                                                       \
    typedef metal::vec<type, 2> simd_##name##2, vector_##name##2;                                            \
    typedef metal::vec<type, 3> simd_##name##3, vector_##name##3;                                            \
    typedef metal::vec<type, 4> simd_##name##4, vector_##name##4;
SMELT_SIMD_VECTORS(char, char)
SMELT_SIMD_VECTORS(uchar, uchar)
SMELT_SIMD_VECTORS(short, short)
SMELT_SIMD_VECTORS(ushort, ushort)
SMELT_SIMD_VECTORS(int, int)
SMELT_SIMD_VECTORS(uint, uint)
SMELT_SIMD_VECTORS(long, long)
SMELT_SIMD_VECTORS(ulong, ulong)
SMELT_SIMD_VECTORS(half, half)
SMELT_SIMD_VECTORS(float, float)
#undef SMELT_SIMD_VECTORS

#define SMELT_SIMD_MATRICES(name, type)                                                                      \
    typedef metal::matrix<type, 2, 2> simd_##name##2x2, matrix_##name##2x2;                                  \
    typedef metal::matrix<type, 2, 3> simd_##name##2x3, matrix_##name##2x3;                                  \
    typedef metal::matrix<type, 2, 4> simd_##name##2x4, matrix_##name##2x4;                                  \
    typedef metal::matrix<type, 3, 2> simd_##name##3x2, matrix_##name##3x2;                                  \
    typedef metal::matrix<type, 3, 3> simd_##name##3x3, matrix_##name##3x3;                                  \
    typedef metal::matrix<type, 3, 4> simd_##name##3x4, matrix_##name##3x4;                                  \
    typedef metal::matrix<type, 4, 2> simd_##name##4x2, matrix_##name##4x2;                                  \
    typedef metal::matrix<type, 4, 3> simd_##name##4x3, matrix_##name##4x3;                                  \
    typedef metal::matrix<type, 4, 4> simd_##name##4x4, matrix_##name##4x4;
SMELT_SIMD_MATRICES(half, half)
SMELT_SIMD_MATRICES(float, float)
#undef SMELT_SIMD_MATRICES

namespace simd
{
using namespace metal;
}

#endif
