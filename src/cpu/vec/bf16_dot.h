/* SPDX-License-Identifier: Apache-2.0 */
/* Dot products of bfloat16 pairs, for the kernels of AVX-512 BF16. A vector of words holds two numbers in
 * each lane, the first in the low half. With SMELT_EMULATE_BF16 (tests) plain AVX-512 gives the same results.
 */
#ifndef SMELT_CPU_VEC_BF16_DOT_H
#define SMELT_CPU_VEC_BF16_DOT_H

#include "cpu/vec/vec.h"

/* The first, or the second, numbers of the words as floats. */
VEC vf vec_word_low(vf words) { return vec_of_bits(vec_int_left(vec_bits(words), 16)); }
VEC vf vec_word_high(vf words)
{
    return vec_of_bits(vec_int_and(vec_bits(words), vec_int_set((int32_t)0xffff0000)));
}
/* Words of numbers that are bfloat16 already. */
VEC vf vec_words(vf low, vf high)
{
    vi first = vec_int_and(vec_int_right(vec_bits(low), 16), vec_int_set(0xffff));
    return vec_of_bits(vec_int_or(first, vec_bits(high)));
}

#ifdef SMELT_EMULATE_BF16
/* sum + a.high * b.high + a.low * b.low, rounded twice in this order (products are exact) */
VEC vf vec_dot_bf16(vf a, vf b, vf sum)
{
    sum = vec_fma(vec_word_high(a), vec_word_high(b), sum);
    return vec_fma(vec_word_low(a), vec_word_low(b), sum);
}
VEC vf vec_round_words(vf low, vf high)
{
    return vec_words(vec_rounded(SMELT_BF16, low), vec_rounded(SMELT_BF16, high));
}
#else
VEC vf vec_dot_bf16(vf a, vf b, vf sum)
{
    return _mm512_dpbf16_ps(sum, (__m512bh)_mm512_castps_si512(a), (__m512bh)_mm512_castps_si512(b));
}
VEC vf vec_round_words(vf low, vf high)
{
    const __m512i order = _mm512_set_epi16(31, 15, 30, 14, 29, 13, 28, 12, 27, 11, 26, 10, 25, 9, 24, 8, 23,
                                           7, 22, 6, 21, 5, 20, 4, 19, 3, 18, 2, 17, 1, 16, 0);
    __m512i both = (__m512i)_mm512_cvtne2ps_pbh(high, low);
    return _mm512_castsi512_ps(_mm512_permutexvar_epi16(order, both));
}
#endif

#endif
