/* SPDX-License-Identifier: Apache-2.0 */
/* The vocabulary of every CPU kernel: one vector of VEC_WIDTH floats, under the same names for every ISA. A
 * kernel file is compiled once per ISA with -DSMELT_VEC=<isa>, and this header brings the right words:
 *
 * - types: vf floats, vi int32, vm mask
 *
 * - memory: vec_load, vec_load_part (n < width, the rest 0), vec_store, vec_store_part, vec_stream (aligned
 * to the vector, past the cache), vec_stream_fence, vec_load_pair and vec_store_pair (two vectors at once,
 * 16-bit ones in an order of their own), vec_store_two (in order), vec_rounded; the dtype is a constant, and
 * the conversion exact or to nearest even
 *
 * - arithmetic: vec_set add sub mul div reciprocal sqrt fma (a*b+c) fnma (c-a*b) min max round; min and max
 * give the second operand where one is NaN
 *
 * - lanes: vec_sum and vec_largest (fixed trees), vec_even/odd and zip_low/high (pairs of vectors)
 *
 * - bits: vec_int_*, vec_bits, vec_of_bits, vec_to_int (nearest), vec_from_int
 *
 * - masks: vec_less, less_equal, equal, int_equal, is_nan, mask_first, select (mask, yes, no), any
 *
 * Results that use fma differ in the last bit between ISAs, never between runs. */
#ifndef SMELT_CPU_VEC_H
#define SMELT_CPU_VEC_H

#include <math.h>
#include <stdint.h>
#include <string.h>

#include "core/dtype.h"

#define VEC                   static inline __attribute__((always_inline, unused))

#define SMELT_VEC_scalar      0
#define SMELT_VEC_avx2        1
#define SMELT_VEC_avx512      2
#define SMELT_VEC_avx512bf16  2
#define SMELT_VEC_avx512fp16  2
#define SMELT_VEC_neon        3
#define SMELT_VEC_JOIN(a, b)  a##b
#define SMELT_VEC_CHOICE(isa) SMELT_VEC_JOIN(SMELT_VEC_, isa)

#if SMELT_VEC_CHOICE(SMELT_VEC) == SMELT_VEC_avx512
#    include "cpu/vec/avx512.h"
#elif SMELT_VEC_CHOICE(SMELT_VEC) == SMELT_VEC_avx2
#    include "cpu/vec/avx2.h"
#elif SMELT_VEC_CHOICE(SMELT_VEC) == SMELT_VEC_neon
#    include "cpu/vec/neon.h"
#else
#    include "cpu/vec/scalar.h"
#endif

/* smelt_glu becomes smelt_glu_avx2: the name of what this compilation exports. */
#define SMELT_ISA_NAME2(name, isa) name##_##isa
#define SMELT_ISA_NAME1(name, isa) SMELT_ISA_NAME2(name, isa)
#define SMELT_ISA_NAME(name)       SMELT_ISA_NAME1(name, SMELT_VEC)

/* Element `i` on of an array of a dtype that is known when this is compiled. */
VEC const char *vec_at(enum smelt_dtype dtype, const void *base, int64_t i)
{
    return (const char *)base + i * (dtype == SMELT_F32 ? 4 : 2);
}
VEC vf vec_load(enum smelt_dtype dtype, const void *base, int64_t i)
{
    const char *p = vec_at(dtype, base, i);
    return dtype == SMELT_F32 ? vec_load_f32(p) : dtype == SMELT_F16 ? vec_load_f16(p) : vec_load_bf16(p);
}
VEC vf vec_load_part(enum smelt_dtype dtype, const void *base, int64_t i, int64_t n)
{
    const char *p = vec_at(dtype, base, i);
    return dtype == SMELT_F32   ? vec_load_part_f32(p, n)
           : dtype == SMELT_F16 ? vec_load_part_f16(p, n)
                                : vec_load_part_bf16(p, n);
}
VEC void vec_store(enum smelt_dtype dtype, void *base, int64_t i, vf v)
{
    char *p = (char *)vec_at(dtype, base, i);
    if (dtype == SMELT_F32)
        vec_store_f32(p, v);
    else if (dtype == SMELT_F16)
        vec_store_f16(p, v);
    else
        vec_store_bf16(p, v);
}
VEC void vec_store_part(enum smelt_dtype dtype, void *base, int64_t i, vf v, int64_t n)
{
    char *p = (char *)vec_at(dtype, base, i);
    if (dtype == SMELT_F32)
        vec_store_part_f32(p, v, n);
    else if (dtype == SMELT_F16)
        vec_store_part_f16(p, v, n);
    else
        vec_store_part_bf16(p, v, n);
}
VEC void vec_stream(enum smelt_dtype dtype, void *base, int64_t i, vf v)
{
    char *p = (char *)vec_at(dtype, base, i);
    if (dtype == SMELT_F32)
        vec_stream_f32(p, v);
    else if (dtype == SMELT_F16)
        vec_stream_f16(p, v);
    else
        vec_stream_bf16(p, v);
}
/* Two vectors of neighbours at once, in an order of the dtype's own that the store undoes: for work on one
 * element at a time. With 16 bits it saves half of the conversion. NaN must come from arithmetic on numbers
 * of this dtype. A streamed pair is aligned to VEC_WIDTH * 4 bytes: vec_pair_head() elements from `p`. */
VEC void vec_load_pair(enum smelt_dtype dtype, const void *base, int64_t i, vf v[2])
{
#ifdef VEC_HAS_PAIRS
    if (dtype == SMELT_F16) {
        vec_load_pair_f16(vec_at(dtype, base, i), v);
        return;
    }
    if (dtype == SMELT_BF16) {
        vec_load_pair_bf16(vec_at(dtype, base, i), v);
        return;
    }
#endif
    v[0] = vec_load(dtype, base, i), v[1] = vec_load(dtype, base, i + VEC_WIDTH);
}
VEC void vec_store_pair(enum smelt_dtype dtype, void *base, int64_t i, const vf v[2], int stream)
{
#ifdef VEC_HAS_PAIRS
    if (dtype != SMELT_F32) {
        char *p = (char *)vec_at(dtype, base, i);
        __m512i bits = dtype == SMELT_F16 ? vec_pair_bits_f16(v) : vec_pair_bits_bf16(v);
        if (stream)
            vec_stream_pair_16(p, bits);
        else
            vec_store_pair_16(p, bits);
        return;
    }
#endif
    for (int half = 0; half < 2; half++)
        if (stream)
            vec_stream(dtype, base, i + half * VEC_WIDTH, v[half]);
        else
            vec_store(dtype, base, i + half * VEC_WIDTH, v[half]);
}
VEC int64_t vec_pair_head(enum smelt_dtype dtype, const void *p)
{
    uintptr_t size = dtype == SMELT_F32 ? 4 : 2, bytes = VEC_WIDTH * 4;
    return (int64_t)(-(uintptr_t)p % bytes / size);
}
/* Two vectors of neighbours in their own order, under the rule for NaN of vec_store_pair, whole cache lines
 * of 16-bit elements at once. */
VEC void vec_store_two(enum smelt_dtype dtype, void *base, int64_t i, const vf v[2], int stream)
{
#ifdef VEC_HAS_PAIRS
    if (dtype != SMELT_F32) {
        char *p = (char *)vec_at(dtype, base, i);
        __m512i bits = dtype == SMELT_F16 ? vec_pair_bits_f16(v) : vec_two_bits_bf16(v);
        if (stream)
            vec_stream_pair_16(p, bits);
        else
            vec_store_pair_16(p, bits);
        return;
    }
#endif
    for (int half = 0; half < 2; half++)
        if (stream)
            vec_stream(dtype, base, i + half * VEC_WIDTH, v[half]);
        else
            vec_store(dtype, base, i + half * VEC_WIDTH, v[half]);
}
/* The value as it would come back from memory of this dtype, under the rule for NaN of vec_store_pair. */
VEC vf vec_rounded(enum smelt_dtype dtype, vf v)
{
    return dtype == SMELT_F32 ? v : dtype == SMELT_F16 ? vec_rounded_f16(v) : vec_rounded_bf16(v);
}
VEC vf vec_zero(void) { return vec_set(0); }
VEC vf vec_abs(vf v) { return vec_of_bits(vec_int_and(vec_bits(v), vec_int_set(0x7fffffff))); }
VEC vf vec_negate(vf v) { return vec_of_bits(vec_int_xor(vec_bits(v), vec_int_set(INT32_MIN))); }

/* How many elements stand before `p` is aligned for vec_stream. */
VEC int64_t vec_stream_head(enum smelt_dtype dtype, const void *p)
{
    int64_t size = dtype == SMELT_F32 ? 4 : 2, bytes = VEC_WIDTH * size;
    return (int64_t)(-(uintptr_t)p % (uintptr_t)bytes) / size;
}

#endif
