/* SPDX-License-Identifier: Apache-2.0 */
/* Accuracy of every maths leaf against the C library in double: dense samples over all floats, a denser band
   around the interesting range, every half value, and the special values. */
#include "one_lane.h"

typedef float (*Unary)(float);
typedef double (*Exact)(double);
struct Row {
    const char *name;
    Unary leaf;
    Exact exact;
    double limit;    /* units in the last place */
    float low, high; /* the band sampled more densely */
    float from, to;  /* where the limit holds (fast forms); outside nothing is asked */
    double absolute; /* an absolute error that is allowed as well (fast forms) */
};

static const double PI = 3.14159265358979323846;
static double exact_sinpi(double x)
{
    double r = x - 2 * rint(x / 2);
    return r == 0 || r == 1 || r == -1 ? 0 : fabs(r) > 0.5 ? sin(PI * ((r > 0 ? 1 : -1) - r)) : sin(PI * r);
}
static double exact_cospi(double x)
{
    double r = fabs(x - 2 * rint(x / 2));
    return r == 0.5 ? 0 : sin(PI * (0.5 - r));
}
static double exact_tanpi(double x) { return exact_sinpi(x) / exact_cospi(x); }

static const float MAX = 3.402823466e38f;
static const Row rows[] = {
    {"exp", __smelt_math_exp_f32, exp, 1.5, -104, 89, -MAX, MAX, 0},
    {"exp2", __smelt_math_exp2_f32, exp2, 1.5, -151, 129, -MAX, MAX, 0},
    {"exp10", __smelt_math_exp10_f32, exp10, 1.5, -46, 39, -MAX, MAX, 0},
    {"log", __smelt_math_log_f32, log, 1.5, 0.25f, 4, -MAX, MAX, 0},
    {"log2", __smelt_math_log2_f32, log2, 1.5, 0.25f, 4, -MAX, MAX, 0},
    {"log10", __smelt_math_log10_f32, log10, 1.5, 0.25f, 4, -MAX, MAX, 0},
    {"log1p", __smelt_math_log1p_f32, log1p, 2.0, -1, 4, -MAX, MAX, 0},
    {"sin", __smelt_math_sin_f32, sin, 2.0, -100, 100, -MAX, MAX, 0},
    {"cos", __smelt_math_cos_f32, cos, 2.0, -100, 100, -MAX, MAX, 0},
    {"tan", __smelt_math_tan_f32, tan, 4.0, -100, 100, -MAX, MAX, 0},
    {"sinpi", __smelt_math_sinpi_f32, exact_sinpi, 2.0, -4, 4, -MAX, MAX, 0},
    {"cospi", __smelt_math_cospi_f32, exact_cospi, 2.0, -4, 4, -MAX, MAX, 0},
    {"tanpi", __smelt_math_tanpi_f32, exact_tanpi, 4.0, -4, 4, -MAX, MAX, 0},
    {"asin", __smelt_math_asin_f32, asin, 2.0, -1, 1, -MAX, MAX, 0},
    {"acos", __smelt_math_acos_f32, acos, 2.0, -1, 1, -MAX, MAX, 0},
    {"atan", __smelt_math_atan_f32, atan, 2.0, -4, 4, -MAX, MAX, 0},
    {"sinh", __smelt_math_sinh_f32, sinh, 2.5, -5, 5, -MAX, MAX, 0},
    {"cosh", __smelt_math_cosh_f32, cosh, 2.0, -5, 5, -MAX, MAX, 0},
    {"tanh", __smelt_math_tanh_f32, tanh, 2.0, -5, 5, -MAX, MAX, 0},
    {"asinh", __smelt_math_asinh_f32, asinh, 3.0, -5, 5, -MAX, MAX, 0},
    {"acosh", __smelt_math_acosh_f32, acosh, 3.0, 1, 5, -MAX, MAX, 0},
    {"atanh", __smelt_math_atanh_f32, atanh, 3.0, -1, 1, -MAX, MAX, 0},
    {"fast exp", __smelt_math_fast_exp_f32, exp, 90, -87, 89, -87, MAX, 0},
    {"fast exp2", __smelt_math_fast_exp2_f32, exp2, 1.5, -126, 129, -126, MAX, 0},
    {"fast exp10", __smelt_math_fast_exp10_f32, exp10, 90, -37, 39, -37, MAX, 0},
    {"fast log", __smelt_math_fast_log_f32, log, 2, 0.25f, 4, 0x1p-126f, MAX, 0},
    {"fast log2", __smelt_math_fast_log2_f32, log2, 4, 0.25f, 4, 0x1p-126f, MAX, 0},
    {"fast log10", __smelt_math_fast_log10_f32, log10, 4, 0.25f, 4, 0x1p-126f, MAX, 0},
    {"fast sin", __smelt_math_fast_sin_f32, sin, 4, -10, 10, -1000, 1000, 0x1p-20},
    {"fast cos", __smelt_math_fast_cos_f32, cos, 4, -10, 10, -1000, 1000, 0x1p-20},
    {"fast tan", __smelt_math_fast_tan_f32, tan, 8, -1, 1, -1.5f, 1.5f, 0x1p-20},
};

static const float specials[] = {0.0f,
                                 -0.0f,
                                 __builtin_inff(),
                                 -__builtin_inff(),
                                 __builtin_nanf(""),
                                 0x1p-149f,
                                 -0x1p-149f,
                                 0x1p-126f,
                                 1.0f,
                                 -1.0f,
                                 MAX,
                                 -MAX,
                                 0.5f,
                                 2.0f,
                                 0x1.fffffep-1f,
                                 0x1p24f};

static double worst;
static float worst_at;
static void sample(const Row &row, float x)
{
    if (x < row.from || x > row.to) return;
    float got = row.leaf(x);
    double exact = row.exact((double)x);
    double error = ulp_error(got, exact);
    if (row.absolute > 0 && fabs((double)got - exact) <= row.absolute) error = 0;
    if (error > worst) worst = error, worst_at = x;
}

static void check_unary(const Row &row)
{
    worst = 0;
    for (float x : specials) sample(row, x);
    for (unsigned long u = 0; u < 0x100000000ul; u += 21001)
        sample(row, __builtin_bit_cast(float, (unsigned)u));
    for (int i = 0; i <= 200000; i++) sample(row, row.low + (row.high - row.low) * (float)i / 200000);
    for (unsigned u = 0; u < 0x10000; u++)
        sample(row, (float)__builtin_bit_cast(_Float16, (unsigned short)u));
    printf("%-10s %8.3f ulp at %a\n", row.name, worst, (double)worst_at);
    CHECK(worst <= row.limit, "%s: %g ulp at %a: got %a, exact %a", row.name, worst, (double)worst_at,
          (double)row.leaf(worst_at), row.exact((double)worst_at));
}

typedef float (*Binary)(float, float);
static void check_binary(const char *name, Binary leaf, double (*exact)(double, double), double limit)
{
    double most = 0;
    float at_x = 0, at_y = 0;
    auto pair = [&](float x, float y) {
        double error = ulp_error(leaf(x, y), exact((double)x, (double)y));
        if (error > most) most = error, at_x = x, at_y = y;
    };
    for (float x : specials)
        for (float y : specials) pair(x, y);
    for (int i = 0; i < 300000; i++) {
        float x = __builtin_bit_cast(float, random_bits()), y = __builtin_bit_cast(float, random_bits());
        pair(x, y);
        float u = (float)(random_bits() >> 8) * 0x1p-20f, v = (float)(int)random_bits() * 0x1p-26f;
        pair(u, v);
        pair(-u, rint(v));
        pair(v, u);
    }
    printf("%-10s %8.3f ulp at %a, %a\n", name, most, (double)at_x, (double)at_y);
    CHECK(most <= limit, "%s(%a, %a): %g ulp: got %a, exact %a", name, (double)at_x, (double)at_y, most,
          (double)leaf(at_x, at_y), exact((double)at_x, (double)at_y));
}

int main()
{
    for (const Row &row : rows) check_unary(row);
    check_binary("pow", __smelt_math_pow_f32, pow, 1.0);
    check_binary("atan2", __smelt_math_atan2_f32, atan2, 2.5);
    check_binary("fmod", __smelt_math_fmod_f32, fmod, 0.0);
    for (float x : specials) { /* the sign of zero and of the results at zero */
        CHECK(x != 0 || __builtin_signbit(__smelt_math_sin_f32(x)) == __builtin_signbit(x), "sin of zero");
        CHECK(x != 0 || __builtin_signbit(__smelt_math_tanh_f32(x)) == __builtin_signbit(x), "tanh of zero");
        CHECK(x != 0 || __builtin_signbit(__smelt_math_atan_f32(x)) == __builtin_signbit(x), "atan of zero");
        CHECK(x != 0 || __builtin_signbit(__smelt_math_asinh_f32(x)) == __builtin_signbit(x),
              "asinh of zero");
    }
    printf("%d checks, %d failures\n", checks, failures);
    return failures != 0;
}
