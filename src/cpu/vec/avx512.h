/* SPDX-License-Identifier: Apache-2.0 */
/* AVX-512: 16 floats. The names are described in vec.h. */
#if !defined(__AVX512F__) || !defined(__AVX512BW__) || !defined(__AVX512DQ__) || !defined(__AVX512VL__)
#    error "compile with -mavx512f -mavx512bw -mavx512dq -mavx512vl"
#endif
#include <immintrin.h>

#define VEC_WIDTH 16
typedef __m512 vf;
typedef __m512i vi;
typedef __mmask16 vm;

VEC vm vec_mask_first(int64_t n) { return n >= 16 ? (vm)0xffff : (vm)((1u << n) - 1); }

VEC vf vec_load_f32(const void *p) { return _mm512_loadu_ps(p); }
VEC vf vec_load_f16(const void *p) { return _mm512_cvtph_ps(_mm256_loadu_si256(p)); }
VEC vf vec_load_bf16(const void *p)
{
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(_mm256_loadu_si256(p)), 16));
}
VEC vf vec_load_part_f32(const void *p, int64_t n) { return _mm512_maskz_loadu_ps(vec_mask_first(n), p); }
VEC vf vec_load_part_f16(const void *p, int64_t n)
{
    return _mm512_cvtph_ps(_mm256_maskz_loadu_epi16(vec_mask_first(n), p));
}
VEC vf vec_load_part_bf16(const void *p, int64_t n)
{
    __m256i bits = _mm256_maskz_loadu_epi16(vec_mask_first(n), p);
    return _mm512_castsi512_ps(_mm512_slli_epi32(_mm512_cvtepu16_epi32(bits), 16));
}

VEC __m256i vec_bits_f16(vf v) { return _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
VEC __m256i vec_bits_bf16(vf v)
{
    __m512i bits = _mm512_castps_si512(v), rounded = _mm512_add_epi32(bits, _mm512_set1_epi32(0x7fff));
    __mmask16 odd = _mm512_test_epi32_mask(bits, _mm512_set1_epi32(0x10000));
    rounded = _mm512_mask_add_epi32(rounded, odd, rounded, _mm512_set1_epi32(1));
    __mmask16 nan = _mm512_cmp_ps_mask(v, v, _CMP_UNORD_Q);
    rounded = _mm512_mask_or_epi32(rounded, nan, bits, _mm512_set1_epi32(0x400000));
    return _mm512_cvtepi32_epi16(_mm512_srli_epi32(rounded, 16));
}
VEC void vec_store_f32(void *p, vf v) { _mm512_storeu_ps(p, v); }
VEC void vec_store_f16(void *p, vf v) { _mm256_storeu_si256(p, vec_bits_f16(v)); }
VEC void vec_store_bf16(void *p, vf v) { _mm256_storeu_si256(p, vec_bits_bf16(v)); }
VEC void vec_store_part_f32(void *p, vf v, int64_t n) { _mm512_mask_storeu_ps(p, vec_mask_first(n), v); }
VEC void vec_store_part_f16(void *p, vf v, int64_t n)
{
    _mm256_mask_storeu_epi16(p, vec_mask_first(n), vec_bits_f16(v));
}
VEC void vec_store_part_bf16(void *p, vf v, int64_t n)
{
    _mm256_mask_storeu_epi16(p, vec_mask_first(n), vec_bits_bf16(v));
}
VEC void vec_stream_f32(void *p, vf v) { _mm512_stream_ps(p, v); }
VEC void vec_stream_f16(void *p, vf v) { _mm256_stream_si256(p, vec_bits_f16(v)); }
VEC void vec_stream_bf16(void *p, vf v) { _mm256_stream_si256(p, vec_bits_bf16(v)); }
VEC void vec_stream_fence(void) { _mm_sfence(); }

/* One register of 32 neighbours: bfloat16 by halves of its words, the even elements before the odd ones. */
#define VEC_HAS_PAIRS
VEC void vec_load_pair_f16(const void *p, vf v[2])
{
    v[0] = vec_load_f16(p), v[1] = vec_load_f16((const char *)p + 32);
}
VEC void vec_load_pair_bf16(const void *p, vf v[2])
{
    __m512i bits = _mm512_loadu_si512(p);
    v[0] = _mm512_castsi512_ps(_mm512_slli_epi32(bits, 16));
    v[1] = _mm512_castsi512_ps(_mm512_and_si512(bits, _mm512_set1_epi32(-0x10000)));
}
VEC __m512i vec_pair_bits_f16(const vf v[2])
{
    return _mm512_inserti64x4(_mm512_castsi256_si512(vec_bits_f16(v[0])), vec_bits_f16(v[1]), 1);
}
/* The upper half becomes the number. The carry of this rounding cannot run out of a NaN whose lower half is
 * 0, and arithmetic on bfloat16 makes no others. */
VEC __m512i vec_rounded_bits_bf16(vf v)
{
    __m512i bits = _mm512_castps_si512(v);
    __mmask16 odd = _mm512_test_epi32_mask(bits, _mm512_set1_epi32(0x10000));
    __m512i rounded = _mm512_add_epi32(bits, _mm512_set1_epi32(0x7fff));
    return _mm512_mask_add_epi32(rounded, odd, bits, _mm512_set1_epi32(0x8000));
}
VEC __m512i vec_pair_bits_bf16(const vf v[2])
{
    __m512i even = _mm512_srli_epi32(vec_rounded_bits_bf16(v[0]), 16);
    return _mm512_mask_mov_epi16(even, 0xaaaaaaaa, vec_rounded_bits_bf16(v[1]));
}
/* In order: the upper words of both. */
VEC __m512i vec_two_bits_bf16(const vf v[2])
{
    const __m512i upper = _mm512_setr_epi32(
        0x00030001, 0x00070005, 0x000b0009, 0x000f000d, 0x00130011, 0x00170015, 0x001b0019, 0x001f001d,
        0x00230021, 0x00270025, 0x002b0029, 0x002f002d, 0x00330031, 0x00370035, 0x003b0039, 0x003f003d);
    return _mm512_permutex2var_epi16(vec_rounded_bits_bf16(v[0]), upper, vec_rounded_bits_bf16(v[1]));
}
VEC vf vec_rounded_bf16(vf v)
{
    return _mm512_castsi512_ps(_mm512_and_si512(vec_rounded_bits_bf16(v), _mm512_set1_epi32(-0x10000)));
}
VEC vf vec_rounded_f16(vf v) { return _mm512_cvtph_ps(vec_bits_f16(v)); }
VEC void vec_store_pair_16(void *p, __m512i bits) { _mm512_storeu_si512(p, bits); }
VEC void vec_stream_pair_16(void *p, __m512i bits) { _mm512_stream_si512(p, bits); }

VEC vf vec_set(float x) { return _mm512_set1_ps(x); }
VEC vf vec_add(vf a, vf b) { return _mm512_add_ps(a, b); }
VEC vf vec_sub(vf a, vf b) { return _mm512_sub_ps(a, b); }
VEC vf vec_mul(vf a, vf b) { return _mm512_mul_ps(a, b); }
VEC vf vec_div(vf a, vf b) { return _mm512_div_ps(a, b); }
/* 14 bits and a step of Newton: half the time of a division, right to 1 ULP for 1/v in the normal range. */
VEC vf vec_reciprocal(vf v)
{
    vf guess = _mm512_rcp14_ps(v);
    return _mm512_fmadd_ps(guess, _mm512_fnmadd_ps(v, guess, _mm512_set1_ps(1.0f)), guess);
}
VEC vf vec_reciprocal_rough(vf v) { return _mm512_rcp14_ps(v); } /* 14 bits */
VEC vf vec_sqrt(vf a) { return _mm512_sqrt_ps(a); }
VEC vf vec_fma(vf a, vf b, vf c) { return _mm512_fmadd_ps(a, b, c); }
VEC vf vec_fnma(vf a, vf b, vf c) { return _mm512_fnmadd_ps(a, b, c); }
VEC vf vec_min(vf a, vf b) { return _mm512_min_ps(a, b); }
VEC vf vec_max(vf a, vf b) { return _mm512_max_ps(a, b); }
VEC vf vec_round(vf a) { return _mm512_roundscale_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
VEC float vec_sum(vf v)
{
    __m256 half = _mm256_add_ps(_mm512_castps512_ps256(v), _mm512_extractf32x8_ps(v, 1));
    __m128 quarter = _mm_add_ps(_mm256_castps256_ps128(half), _mm256_extractf128_ps(half, 1));
    quarter = _mm_add_ps(quarter, _mm_movehl_ps(quarter, quarter));
    return _mm_cvtss_f32(_mm_add_ss(quarter, _mm_shuffle_ps(quarter, quarter, 1)));
}
VEC float vec_largest(vf v) { return _mm512_reduce_max_ps(v); }

VEC vi vec_int_set(int32_t x) { return _mm512_set1_epi32(x); }
VEC vi vec_int_add(vi a, vi b) { return _mm512_add_epi32(a, b); }
VEC vi vec_int_sub(vi a, vi b) { return _mm512_sub_epi32(a, b); }
VEC vi vec_int_and(vi a, vi b) { return _mm512_and_si512(a, b); }
VEC vi vec_int_or(vi a, vi b) { return _mm512_or_si512(a, b); }
VEC vi vec_int_xor(vi a, vi b) { return _mm512_xor_si512(a, b); }
VEC vi vec_int_left(vi a, int n) { return _mm512_slli_epi32(a, (unsigned)n); }
VEC vi vec_int_right(vi a, int n) { return _mm512_srai_epi32(a, (unsigned)n); }
VEC vi vec_to_int(vf a) { return _mm512_cvtps_epi32(a); }
VEC vf vec_from_int(vi a) { return _mm512_cvtepi32_ps(a); }
VEC vi vec_bits(vf a) { return _mm512_castps_si512(a); }
VEC vf vec_of_bits(vi a) { return _mm512_castsi512_ps(a); }

VEC vm vec_less(vf a, vf b) { return _mm512_cmp_ps_mask(a, b, _CMP_LT_OQ); }
VEC vm vec_less_equal(vf a, vf b) { return _mm512_cmp_ps_mask(a, b, _CMP_LE_OQ); }
VEC vm vec_equal(vf a, vf b) { return _mm512_cmp_ps_mask(a, b, _CMP_EQ_OQ); }
VEC vm vec_int_equal(vi a, vi b) { return _mm512_cmpeq_epi32_mask(a, b); }
VEC vm vec_is_nan(vf a) { return _mm512_cmp_ps_mask(a, a, _CMP_UNORD_Q); }
VEC vf vec_select(vm m, vf yes, vf no) { return _mm512_mask_mov_ps(no, m, yes); }
VEC int vec_any(vm m) { return m != 0; }

/* The lanes of the mask moved together, and how many they are. */
#define VEC_HAS_KEEP
VEC vf vec_keep(vm m, vf v) { return _mm512_maskz_compress_ps(m, v); }
VEC int vec_count(vm m) { return __builtin_popcount(m); }
VEC vi vec_int_lanes(void) { return _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15); }

VEC vf vec_even(vf a, vf b)
{
    const __m512i index = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
    return _mm512_permutex2var_ps(a, index, b);
}
VEC vf vec_odd(vf a, vf b)
{
    const __m512i index = _mm512_setr_epi32(1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
    return _mm512_permutex2var_ps(a, index, b);
}
VEC vf vec_zip_low(vf a, vf b)
{
    const __m512i index = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
    return _mm512_permutex2var_ps(a, index, b);
}
VEC vf vec_zip_high(vf a, vf b)
{
    const __m512i index = _mm512_setr_epi32(8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
    return _mm512_permutex2var_ps(a, index, b);
}

/* 2^x in fewer steps than elsewhere: x - floor(x), and a * 2^floor(x), 0 where that would be subnormal. */
#define VEC_HAS_SCALE
VEC vf vec_fraction(vf x) { return _mm512_reduce_ps(x, _MM_FROUND_TO_NEG_INF | _MM_FROUND_NO_EXC); }
VEC vf vec_scale_power(vf v, vf n) { return _mm512_scalef_ps(v, n); }
VEC vf vec_scale_any(vf a, vf x) { return _mm512_scalef_ps(a, x); } /* subnormal results too */
VEC vf vec_scale_floor(vf a, vf x)
{
    return _mm512_maskz_scalef_ps(_mm512_cmp_ps_mask(x, _mm512_set1_ps(-126.0f), _CMP_NLT_UQ), a, x);
}
