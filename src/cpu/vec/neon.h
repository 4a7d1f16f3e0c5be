/* SPDX-License-Identifier: Apache-2.0 */
/* AArch64 NEON: 4 floats. The names are described in vec.h. */
#if !defined(__aarch64__) || !defined(__ARM_NEON)
#    error "compile for AArch64"
#endif
#include <arm_neon.h>

#define VEC_WIDTH 4
typedef float32x4_t vf;
typedef int32x4_t vi;
typedef uint32x4_t vm;

VEC vm vec_mask_first(int64_t n)
{
    static const int32_t lanes[4] = {0, 1, 2, 3};
    return vcltq_s32(vld1q_s32(lanes), vdupq_n_s32(n > 4 ? 4 : (int32_t)n));
}

VEC uint16x4_t vec_load_16(const void *p)
{
    uint16x4_t bits;
    memcpy(&bits, p, sizeof bits);
    return bits;
}
VEC uint16x4_t vec_part_16(const void *p, int64_t n)
{
    uint16_t bits[4] = {0};
    memcpy(bits, p, (size_t)n * sizeof *bits);
    return vld1_u16(bits);
}
VEC vf vec_of_f16(uint16x4_t bits) { return vcvt_f32_f16(vreinterpret_f16_u16(bits)); }
VEC vf vec_of_bf16(uint16x4_t bits) { return vreinterpretq_f32_u32(vshll_n_u16(bits, 16)); }
VEC vf vec_load_f32(const void *p)
{
    vf v;
    memcpy(&v, p, sizeof v);
    return v;
}
VEC vf vec_load_f16(const void *p) { return vec_of_f16(vec_load_16(p)); }
VEC vf vec_load_bf16(const void *p) { return vec_of_bf16(vec_load_16(p)); }
VEC vf vec_load_part_f32(const void *p, int64_t n)
{
    float part[4] = {0};
    memcpy(part, p, (size_t)n * sizeof *part);
    return vld1q_f32(part);
}
VEC vf vec_load_part_f16(const void *p, int64_t n) { return vec_of_f16(vec_part_16(p, n)); }
VEC vf vec_load_part_bf16(const void *p, int64_t n) { return vec_of_bf16(vec_part_16(p, n)); }

VEC uint16x4_t vec_bits_f16(vf v) { return vreinterpret_u16_f16(vcvt_f16_f32(v)); }
VEC uint16x4_t vec_bits_bf16(vf v)
{
    uint32x4_t bits = vreinterpretq_u32_f32(v);
    uint32x4_t odd = vandq_u32(vshrq_n_u32(bits, 16), vdupq_n_u32(1));
    uint32x4_t rounded = vaddq_u32(bits, vaddq_u32(odd, vdupq_n_u32(0x7fff)));
    uint32x4_t quiet = vorrq_u32(bits, vdupq_n_u32(0x400000));
    return vshrn_n_u32(vbslq_u32(vceqq_f32(v, v), rounded, quiet), 16);
}
VEC vf vec_rounded_f16(vf v) { return vec_of_f16(vec_bits_f16(v)); }
VEC vf vec_rounded_bf16(vf v) { return vec_of_bf16(vec_bits_bf16(v)); }
VEC void vec_store_f32(void *p, vf v) { memcpy(p, &v, sizeof v); }
VEC void vec_store_16(void *p, uint16x4_t bits, int64_t n) { memcpy(p, &bits, (size_t)n * sizeof(uint16_t)); }
VEC void vec_store_f16(void *p, vf v) { vec_store_16(p, vec_bits_f16(v), 4); }
VEC void vec_store_bf16(void *p, vf v) { vec_store_16(p, vec_bits_bf16(v), 4); }
VEC void vec_store_part_f32(void *p, vf v, int64_t n) { memcpy(p, &v, (size_t)n * sizeof(float)); }
VEC void vec_store_part_f16(void *p, vf v, int64_t n) { vec_store_16(p, vec_bits_f16(v), n); }
VEC void vec_store_part_bf16(void *p, vf v, int64_t n) { vec_store_16(p, vec_bits_bf16(v), n); }
/* Ordinary stores: Arm's cores detect streams of full lines by themselves. */
VEC void vec_stream_f32(void *p, vf v) { vec_store_f32(p, v); }
VEC void vec_stream_f16(void *p, vf v) { vec_store_f16(p, v); }
VEC void vec_stream_bf16(void *p, vf v) { vec_store_bf16(p, v); }
VEC void vec_stream_fence(void) {}

VEC vf vec_set(float x) { return vdupq_n_f32(x); }
VEC vf vec_add(vf a, vf b) { return vaddq_f32(a, b); }
VEC vf vec_sub(vf a, vf b) { return vsubq_f32(a, b); }
VEC vf vec_mul(vf a, vf b) { return vmulq_f32(a, b); }
VEC vf vec_div(vf a, vf b) { return vdivq_f32(a, b); }
VEC vf vec_reciprocal(vf v) { return vec_div(vec_set(1.0f), v); }
VEC vf vec_sqrt(vf a) { return vsqrtq_f32(a); }
VEC vf vec_fma(vf a, vf b, vf c) { return vfmaq_f32(c, a, b); }
VEC vf vec_fnma(vf a, vf b, vf c) { return vfmsq_f32(c, a, b); }
/* As on x86: the second operand where one is NaN. */
VEC vf vec_min(vf a, vf b) { return vbslq_f32(vcltq_f32(a, b), a, b); }
VEC vf vec_max(vf a, vf b) { return vbslq_f32(vcgtq_f32(a, b), a, b); }
VEC vf vec_round(vf a) { return vrndnq_f32(a); }
VEC float vec_sum(vf v)
{
    float32x2_t half = vadd_f32(vget_low_f32(v), vget_high_f32(v));
    return vget_lane_f32(half, 0) + vget_lane_f32(half, 1);
}
VEC float vec_largest(vf v) { return vmaxvq_f32(v); }

VEC vi vec_int_set(int32_t x) { return vdupq_n_s32(x); }
VEC vi vec_int_add(vi a, vi b) { return vaddq_s32(a, b); }
VEC vi vec_int_sub(vi a, vi b) { return vsubq_s32(a, b); }
VEC vi vec_int_and(vi a, vi b) { return vandq_s32(a, b); }
VEC vi vec_int_or(vi a, vi b) { return vorrq_s32(a, b); }
VEC vi vec_int_xor(vi a, vi b) { return veorq_s32(a, b); }
VEC vi vec_int_left(vi a, int n) { return vshlq_s32(a, vdupq_n_s32(n)); }
VEC vi vec_int_right(vi a, int n) { return vshlq_s32(a, vdupq_n_s32(-n)); }
VEC vi vec_to_int(vf a) { return vcvtnq_s32_f32(a); }
VEC vf vec_from_int(vi a) { return vcvtq_f32_s32(a); }
VEC vi vec_bits(vf a) { return vreinterpretq_s32_f32(a); }
VEC vf vec_of_bits(vi a) { return vreinterpretq_f32_s32(a); }

VEC vm vec_less(vf a, vf b) { return vcltq_f32(a, b); }
VEC vm vec_less_equal(vf a, vf b) { return vcleq_f32(a, b); }
VEC vm vec_equal(vf a, vf b) { return vceqq_f32(a, b); }
VEC vm vec_int_equal(vi a, vi b) { return vceqq_s32(a, b); }
VEC vm vec_is_nan(vf a) { return vmvnq_u32(vceqq_f32(a, a)); }
VEC vf vec_select(vm m, vf yes, vf no) { return vbslq_f32(m, yes, no); }
VEC int vec_any(vm m) { return vmaxvq_u32(m) != 0; }

VEC vf vec_even(vf a, vf b) { return vuzp1q_f32(a, b); }
VEC vf vec_odd(vf a, vf b) { return vuzp2q_f32(a, b); }
VEC vf vec_zip_low(vf a, vf b) { return vzip1q_f32(a, b); }
VEC vf vec_zip_high(vf a, vf b) { return vzip2q_f32(a, b); }
