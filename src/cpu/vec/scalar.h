/* SPDX-License-Identifier: Apache-2.0 */
/* Portable: 1 float. The names are described in vec.h. */
#define VEC_WIDTH 1
typedef float vf;
typedef int32_t vi;
typedef int vm;

VEC vm vec_mask_first(int64_t n) { return n > 0; }

VEC vf vec_load_f32(const void *p) { return smelt_load_float(SMELT_F32, p); }
VEC vf vec_load_f16(const void *p) { return smelt_load_float(SMELT_F16, p); }
VEC vf vec_load_bf16(const void *p) { return smelt_load_float(SMELT_BF16, p); }
VEC vf vec_load_part_f32(const void *p, int64_t n) { return n > 0 ? vec_load_f32(p) : 0; }
VEC vf vec_load_part_f16(const void *p, int64_t n) { return n > 0 ? vec_load_f16(p) : 0; }
VEC vf vec_load_part_bf16(const void *p, int64_t n) { return n > 0 ? vec_load_bf16(p) : 0; }
VEC vf vec_rounded_f16(vf v) { return smelt_round_float(SMELT_F16, v); }
VEC vf vec_rounded_bf16(vf v) { return smelt_round_float(SMELT_BF16, v); }
VEC void vec_store_f32(void *p, vf v) { smelt_store_float(SMELT_F32, p, v); }
VEC void vec_store_f16(void *p, vf v) { smelt_store_float(SMELT_F16, p, v); }
VEC void vec_store_bf16(void *p, vf v) { smelt_store_float(SMELT_BF16, p, v); }
VEC void vec_store_part_f32(void *p, vf v, int64_t n)
{
    if (n > 0) vec_store_f32(p, v);
}
VEC void vec_store_part_f16(void *p, vf v, int64_t n)
{
    if (n > 0) vec_store_f16(p, v);
}
VEC void vec_store_part_bf16(void *p, vf v, int64_t n)
{
    if (n > 0) vec_store_bf16(p, v);
}
VEC void vec_stream_f32(void *p, vf v) { vec_store_f32(p, v); }
VEC void vec_stream_f16(void *p, vf v) { vec_store_f16(p, v); }
VEC void vec_stream_bf16(void *p, vf v) { vec_store_bf16(p, v); }
VEC void vec_stream_fence(void) {}

VEC vf vec_set(float x) { return x; }
VEC vf vec_add(vf a, vf b) { return a + b; }
VEC vf vec_sub(vf a, vf b) { return a - b; }
VEC vf vec_mul(vf a, vf b) { return a * b; }
VEC vf vec_div(vf a, vf b) { return a / b; }
VEC vf vec_reciprocal(vf v) { return vec_div(vec_set(1.0f), v); }
VEC vf vec_sqrt(vf a) { return sqrtf(a); }
/* Not fmaf(): without the instruction it is a slow call. Polynomials and sums keep their accuracy without it.
 */
VEC vf vec_fma(vf a, vf b, vf c) { return a * b + c; }
VEC vf vec_fnma(vf a, vf b, vf c) { return c - a * b; }
VEC vf vec_min(vf a, vf b) { return a < b ? a : b; }
VEC vf vec_max(vf a, vf b) { return a > b ? a : b; }
VEC vf vec_round(vf a) { return rintf(a); }
VEC float vec_sum(vf v) { return v; }
VEC float vec_largest(vf v) { return v; }

VEC vi vec_int_set(int32_t x) { return x; }
VEC vi vec_int_add(vi a, vi b) { return (int32_t)((uint32_t)a + (uint32_t)b); }
VEC vi vec_int_sub(vi a, vi b) { return (int32_t)((uint32_t)a - (uint32_t)b); }
VEC vi vec_int_and(vi a, vi b) { return a & b; }
VEC vi vec_int_or(vi a, vi b) { return a | b; }
VEC vi vec_int_xor(vi a, vi b) { return a ^ b; }
VEC vi vec_int_left(vi a, int n) { return (int32_t)((uint32_t)a << n); }
VEC vi vec_int_right(vi a, int n) { return a >> n; }
VEC vi vec_to_int(vf a) { return a >= -0x1p31f && a < 0x1p31f ? (int32_t)rintf(a) : INT32_MIN; }
VEC vf vec_from_int(vi a) { return (float)a; }
VEC vi vec_bits(vf a) { return (int32_t)smelt_bits_of_float(a); }
VEC vf vec_of_bits(vi a) { return smelt_float_of_bits((uint32_t)a); }

VEC vm vec_less(vf a, vf b) { return a < b; }
VEC vm vec_less_equal(vf a, vf b) { return a <= b; }
VEC vm vec_equal(vf a, vf b) { return a == b; }
VEC vm vec_int_equal(vi a, vi b) { return a == b; }
VEC vm vec_is_nan(vf a) { return a != a; }
VEC vf vec_select(vm m, vf yes, vf no) { return m ? yes : no; }
VEC int vec_any(vm m) { return m; }

VEC vf vec_even(vf a, vf b) { return (void)b, a; }
VEC vf vec_odd(vf a, vf b) { return (void)a, b; }
VEC vf vec_zip_low(vf a, vf b) { return (void)b, a; }
VEC vf vec_zip_high(vf a, vf b) { return (void)a, b; }
