/* SPDX-License-Identifier: Apache-2.0 */
/* AVX2 with FMA and F16C: 8 floats. The names are described in vec.h. */
#if !defined(__AVX2__) || !defined(__FMA__) || !defined(__F16C__)
#    error "compile with -mavx2 -mfma -mf16c"
#endif
#include <immintrin.h>

#define VEC_WIDTH 8
typedef __m256 vf;
typedef __m256i vi;
typedef __m256i vm;

VEC vm vec_mask_first(int64_t n)
{
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n > 8 ? 8 : (int)n),
                              _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

VEC vf vec_load_f32(const void *p) { return _mm256_loadu_ps(p); }
VEC vf vec_load_f16(const void *p) { return _mm256_cvtph_ps(_mm_loadu_si128(p)); }
VEC vf vec_load_bf16(const void *p)
{
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128(p)), 16));
}
VEC vf vec_load_part_f32(const void *p, int64_t n) { return _mm256_maskload_ps(p, vec_mask_first(n)); }
VEC __m128i vec_part_16(const void *p, int64_t n)
{
    uint16_t bits[8] = {0};
    memcpy(bits, p, (size_t)n * sizeof *bits);
    return _mm_loadu_si128((const void *)bits);
}
VEC vf vec_load_part_f16(const void *p, int64_t n) { return _mm256_cvtph_ps(vec_part_16(p, n)); }
VEC vf vec_load_part_bf16(const void *p, int64_t n)
{
    return _mm256_castsi256_ps(_mm256_slli_epi32(_mm256_cvtepu16_epi32(vec_part_16(p, n)), 16));
}

VEC __m128i vec_bits_f16(vf v) { return _mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
VEC __m128i vec_bits_bf16(vf v)
{
    __m256i bits = _mm256_castps_si256(v);
    __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    __m256i rounded = _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
    __m256i quiet = _mm256_or_si256(bits, _mm256_set1_epi32(0x400000));
    rounded = _mm256_blendv_epi8(rounded, quiet, _mm256_castps_si256(_mm256_cmp_ps(v, v, _CMP_UNORD_Q)));
    rounded = _mm256_srli_epi32(rounded, 16);
    return _mm_packus_epi32(_mm256_castsi256_si128(rounded), _mm256_extracti128_si256(rounded, 1));
}
VEC vf vec_rounded_f16(vf v) { return _mm256_cvtph_ps(vec_bits_f16(v)); }
VEC vf vec_rounded_bf16(vf v)
{
    __m256i bits = _mm256_castps_si256(v);
    __m256i odd = _mm256_and_si256(_mm256_srli_epi32(bits, 16), _mm256_set1_epi32(1));
    __m256i rounded = _mm256_add_epi32(bits, _mm256_add_epi32(odd, _mm256_set1_epi32(0x7fff)));
    return _mm256_castsi256_ps(_mm256_and_si256(rounded, _mm256_set1_epi32(-0x10000)));
}
VEC void vec_store_f32(void *p, vf v) { _mm256_storeu_ps(p, v); }
VEC void vec_store_f16(void *p, vf v) { _mm_storeu_si128(p, vec_bits_f16(v)); }
VEC void vec_store_bf16(void *p, vf v) { _mm_storeu_si128(p, vec_bits_bf16(v)); }
VEC void vec_store_part_f32(void *p, vf v, int64_t n) { _mm256_maskstore_ps(p, vec_mask_first(n), v); }
VEC void vec_store_part_16(void *p, __m128i v, int64_t n)
{
    uint16_t bits[8];
    _mm_storeu_si128((void *)bits, v);
    memcpy(p, bits, (size_t)n * sizeof *bits);
}
VEC void vec_store_part_f16(void *p, vf v, int64_t n) { vec_store_part_16(p, vec_bits_f16(v), n); }
VEC void vec_store_part_bf16(void *p, vf v, int64_t n) { vec_store_part_16(p, vec_bits_bf16(v), n); }
VEC void vec_stream_f32(void *p, vf v) { _mm256_stream_ps(p, v); }
VEC void vec_stream_f16(void *p, vf v) { _mm_stream_si128(p, vec_bits_f16(v)); }
VEC void vec_stream_bf16(void *p, vf v) { _mm_stream_si128(p, vec_bits_bf16(v)); }
VEC void vec_stream_fence(void) { _mm_sfence(); }

VEC vf vec_set(float x) { return _mm256_set1_ps(x); }
VEC vf vec_add(vf a, vf b) { return _mm256_add_ps(a, b); }
VEC vf vec_sub(vf a, vf b) { return _mm256_sub_ps(a, b); }
VEC vf vec_mul(vf a, vf b) { return _mm256_mul_ps(a, b); }
VEC vf vec_div(vf a, vf b) { return _mm256_div_ps(a, b); }
VEC vf vec_reciprocal(vf v) { return vec_div(vec_set(1.0f), v); }
VEC vf vec_sqrt(vf a) { return _mm256_sqrt_ps(a); }
VEC vf vec_fma(vf a, vf b, vf c) { return _mm256_fmadd_ps(a, b, c); }
VEC vf vec_fnma(vf a, vf b, vf c) { return _mm256_fnmadd_ps(a, b, c); }
VEC vf vec_min(vf a, vf b) { return _mm256_min_ps(a, b); }
VEC vf vec_max(vf a, vf b) { return _mm256_max_ps(a, b); }
VEC vf vec_round(vf a) { return _mm256_round_ps(a, _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC); }
VEC float vec_sum(vf v)
{
    __m128 half = _mm_add_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    half = _mm_add_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_add_ss(half, _mm_shuffle_ps(half, half, 1)));
}
VEC float vec_largest(vf v)
{
    __m128 half = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    half = _mm_max_ps(half, _mm_movehl_ps(half, half));
    return _mm_cvtss_f32(_mm_max_ss(half, _mm_shuffle_ps(half, half, 1)));
}

VEC vi vec_int_set(int32_t x) { return _mm256_set1_epi32(x); }
VEC vi vec_int_add(vi a, vi b) { return _mm256_add_epi32(a, b); }
VEC vi vec_int_sub(vi a, vi b) { return _mm256_sub_epi32(a, b); }
VEC vi vec_int_and(vi a, vi b) { return _mm256_and_si256(a, b); }
VEC vi vec_int_or(vi a, vi b) { return _mm256_or_si256(a, b); }
VEC vi vec_int_xor(vi a, vi b) { return _mm256_xor_si256(a, b); }
VEC vi vec_int_left(vi a, int n) { return _mm256_slli_epi32(a, n); }
VEC vi vec_int_right(vi a, int n) { return _mm256_srai_epi32(a, n); }
VEC vi vec_to_int(vf a) { return _mm256_cvtps_epi32(a); }
VEC vf vec_from_int(vi a) { return _mm256_cvtepi32_ps(a); }
VEC vi vec_bits(vf a) { return _mm256_castps_si256(a); }
VEC vf vec_of_bits(vi a) { return _mm256_castsi256_ps(a); }

VEC vm vec_less(vf a, vf b) { return _mm256_castps_si256(_mm256_cmp_ps(a, b, _CMP_LT_OQ)); }
VEC vm vec_less_equal(vf a, vf b) { return _mm256_castps_si256(_mm256_cmp_ps(a, b, _CMP_LE_OQ)); }
VEC vm vec_equal(vf a, vf b) { return _mm256_castps_si256(_mm256_cmp_ps(a, b, _CMP_EQ_OQ)); }
VEC vm vec_int_equal(vi a, vi b) { return _mm256_cmpeq_epi32(a, b); }
VEC vm vec_is_nan(vf a) { return _mm256_castps_si256(_mm256_cmp_ps(a, a, _CMP_UNORD_Q)); }
VEC vf vec_select(vm m, vf yes, vf no) { return _mm256_blendv_ps(no, yes, _mm256_castsi256_ps(m)); }
VEC int vec_any(vm m) { return !_mm256_testz_si256(m, m); }

VEC vf vec_even(vf a, vf b)
{
    __m256 mixed = _mm256_shuffle_ps(a, b, _MM_SHUFFLE(2, 0, 2, 0));
    return _mm256_castpd_ps(_mm256_permute4x64_pd(_mm256_castps_pd(mixed), _MM_SHUFFLE(3, 1, 2, 0)));
}
VEC vf vec_odd(vf a, vf b)
{
    __m256 mixed = _mm256_shuffle_ps(a, b, _MM_SHUFFLE(3, 1, 3, 1));
    return _mm256_castpd_ps(_mm256_permute4x64_pd(_mm256_castps_pd(mixed), _MM_SHUFFLE(3, 1, 2, 0)));
}
VEC vf vec_zip_low(vf a, vf b)
{
    return _mm256_permute2f128_ps(_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b), 0x20);
}
VEC vf vec_zip_high(vf a, vf b)
{
    return _mm256_permute2f128_ps(_mm256_unpacklo_ps(a, b), _mm256_unpackhi_ps(a, b), 0x31);
}
