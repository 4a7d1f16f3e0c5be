/* SPDX-License-Identifier: Apache-2.0 */
/* The engine's intrinsics for a simdgroup of one lane, so that the prelude's functions run as plain C++ on
   the host, and the few declarations of the C library that the tests use (its headers would clash with the
   prelude's names). */
#ifndef SMELT_TEST_ONE_LANE_H
#define SMELT_TEST_ONE_LANE_H

#include <metal_stdlib>

extern "C" int printf(const char *, ...);
extern "C" double sin(double), cos(double), tan(double), asin(double), acos(double), atan(double);
extern "C" double exp(double), exp2(double), exp10(double), log(double), log2(double), log10(double);
extern "C" double sinh(double), cosh(double), tanh(double), asinh(double), acosh(double), atanh(double);
extern "C" double pow(double, double), atan2(double, double), fmod(double, double), ldexp(double, int);
extern "C" double log1p(double), fabs(double), round(double), rint(double), sqrt(double),
    nextafter(double, double);

#define DEFINE_ARITHMETIC(scope, type, suffix)                                                               \
    extern "C" type __smelt_##scope##_sum_##suffix(type v) { return v; }                                     \
    extern "C" type __smelt_##scope##_product_##suffix(type v) { return v; }                                 \
    extern "C" type __smelt_##scope##_prefix_inclusive_sum_##suffix(type v) { return v; }                    \
    extern "C" type __smelt_##scope##_prefix_exclusive_sum_##suffix(type) { return 0; }                      \
    extern "C" type __smelt_##scope##_prefix_inclusive_product_##suffix(type v) { return v; }                \
    extern "C" type __smelt_##scope##_prefix_exclusive_product_##suffix(type) { return 1; }
#define DEFINE_EXTREMA(scope, type, suffix)                                                                  \
    extern "C" type __smelt_##scope##_min_##suffix(type v) { return v; }                                     \
    extern "C" type __smelt_##scope##_max_##suffix(type v) { return v; }
#define DEFINE_BITWISE(scope, type, suffix)                                                                  \
    extern "C" type __smelt_##scope##_and_##suffix(type v) { return v; }                                     \
    extern "C" type __smelt_##scope##_or_##suffix(type v) { return v; }                                      \
    extern "C" type __smelt_##scope##_xor_##suffix(type v) { return v; }
#define DEFINE_MOVES(scope, type, suffix)                                                                    \
    extern "C" type __smelt_##scope##_broadcast_##suffix(type v, unsigned) { return v; }                     \
    extern "C" type __smelt_##scope##_broadcast_first_##suffix(type v) { return v; }                         \
    extern "C" type __smelt_##scope##_shuffle_##suffix(type v, unsigned) { return v; }                       \
    extern "C" type __smelt_##scope##_shuffle_xor_##suffix(type v, unsigned) { return v; }                   \
    extern "C" type __smelt_##scope##_shuffle_up_##suffix(type v, unsigned) { return v; }                    \
    extern "C" type __smelt_##scope##_shuffle_down_##suffix(type v, unsigned) { return v; }                  \
    extern "C" type __smelt_##scope##_shuffle_rotate_up_##suffix(type v, unsigned) { return v; }             \
    extern "C" type __smelt_##scope##_shuffle_rotate_down_##suffix(type v, unsigned) { return v; }           \
    extern "C" type __smelt_##scope##_shuffle_and_fill_up_##suffix(type v, type f, unsigned d, unsigned)     \
    {                                                                                                        \
        return d ? f : v;                                                                                    \
    }                                                                                                        \
    extern "C" type __smelt_##scope##_shuffle_and_fill_down_##suffix(type v, type f, unsigned d, unsigned)   \
    {                                                                                                        \
        return d ? f : v;                                                                                    \
    }
#define DEFINE_SCOPE(scope)                                                                                  \
    DEFINE_ARITHMETIC(scope, int, i32)                                                                       \
    DEFINE_ARITHMETIC(scope, long, i64)                                                                      \
    DEFINE_ARITHMETIC(scope, float, f32)                                                                     \
    DEFINE_ARITHMETIC(scope, _Float16, f16)                                                                  \
    DEFINE_EXTREMA(scope, int, i32)                                                                          \
    DEFINE_EXTREMA(scope, unsigned, u32)                                                                     \
    DEFINE_EXTREMA(scope, long, i64)                                                                         \
    DEFINE_EXTREMA(scope, unsigned long, u64)                                                                \
    DEFINE_EXTREMA(scope, float, f32)                                                                        \
    DEFINE_EXTREMA(scope, _Float16, f16)                                                                     \
    DEFINE_BITWISE(scope, int, i32)                                                                          \
    DEFINE_BITWISE(scope, long, i64)                                                                         \
    DEFINE_MOVES(scope, int, i32)                                                                            \
    DEFINE_MOVES(scope, long, i64)                                                                           \
    DEFINE_MOVES(scope, float, f32)                                                                          \
    DEFINE_MOVES(scope, _Float16, f16)                                                                       \
    extern "C" bool __smelt_##scope##_all(bool v) { return v; }                                              \
    extern "C" bool __smelt_##scope##_any(bool v) { return v; }                                              \
    extern "C" bool __smelt_##scope##_is_first(void) { return true; }                                        \
    extern "C" unsigned __smelt_##scope##_ballot(bool v) { return v; }                                       \
    extern "C" unsigned __smelt_##scope##_active_threads_mask(void) { return 1; }
DEFINE_SCOPE(simd)
DEFINE_SCOPE(quad)
extern "C" unsigned __smelt_lane(void) { return 0; }
extern "C" void __smelt_threadgroup_barrier(unsigned) {}
extern "C" void __smelt_simdgroup_barrier(unsigned) {}

/* Checks: count, and print the first failures. */
static int checks, failures;
#define CHECK(condition, ...)                                                                                \
    do {                                                                                                     \
        checks++;                                                                                            \
        if (!(condition)) {                                                                                  \
            if (failures++ < 20)                                                                             \
                printf("%s:%d: %s: ", __FILE__, __LINE__, #condition), printf(__VA_ARGS__), printf("\n");    \
        }                                                                                                    \
    } while (0)

/* xorshift; the same numbers in every run */
static unsigned random_state = 2463534242u;
static unsigned random_bits(void)
{
    random_state ^= random_state << 13;
    random_state ^= random_state >> 17;
    random_state ^= random_state << 5;
    return random_state;
}

/* Distance of a result from the exact value, in units of the last place of the exact value rounded to float.
 */
static double ulp_error(float got, double exact)
{
    float rounded = (float)exact;
    if (__builtin_isnan(exact)) return __builtin_isnan(got) ? 0 : 1e9;
    if (__builtin_isnan(got)) return 1e9;
    if (__builtin_isinf(rounded) || __builtin_isinf(got)) {
        if (got == rounded) return 0;
        /* exact value between the largest float and infinity's threshold */
        return fabs(exact) > 0x1.fffffcp127 && fabs((double)got) > 0x1.fffffcp127 && (got > 0) == (exact > 0)
                   ? 1
                   : 1e9;
    }
    float above = __builtin_fabsf(rounded);
    unsigned u = __builtin_bit_cast(unsigned, above);
    double unit = u < 0x00800000u ? 0x1p-149 : (double)__builtin_bit_cast(float, u + 1) - (double)above;
    if (u >= 0x7f7fffffu) unit = 0x1p104;
    return fabs((double)got - exact) / unit;
}
#endif
