/* SPDX-License-Identifier: Apache-2.0 */
/* The vector functions of every ISA of this machine against the C library in double precision: all float16
 * and bfloat16 inputs, and random float32 of every magnitude. Errors in units in the last place of the exact
 * value. */
#include "vec_math.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/dtype.h"

static double sigmoid(double x) { return 1 / (1 + exp(-x)); }
static double sigmoid_rest(double x) { return 1 / (1 + exp(x)); }
static double normal_integral(double x) { return 0.5 * erfc(-x / sqrt(2.0)); }
static double normal_density(double x) { return exp(-0.5 * x * x); }

static const struct {
    const char *name;
    double (*exact)(double);
    double most; /* ULP */
} functions[VEC_FUNCTIONS] = {
    [VEC_EXP] = {"exp", exp, 2},
    [VEC_LOG] = {"log", log, 2},
    [VEC_TANH] = {"tanh", tanh, 2},
    [VEC_SIGMOID] = {"sigmoid", sigmoid, 3},
    [VEC_SIGMOID_REST] = {"1 - sigmoid", sigmoid_rest, 3},
    [VEC_NORMAL_INTEGRAL] = {"normal integral", normal_integral, 6},
    [VEC_NORMAL_DENSITY] = {"normal density", normal_density, 2},
    [VEC_SIN] = {"sin", sin, 2},
    [VEC_COS] = {"cos", cos, 2},
};

/* Distance in units in the last place of `exact` as float32, subnormals included. */
static double error(float got, double exact)
{
    if (isnan(exact)) return isnan(got) ? 0 : INFINITY;
    if (isinf(got) || fabs(exact) > 0x1.fffffep127)
        return (double)got == (double)(float)exact ? 0 : fabs(exact) > 0x1.fffffcp127 ? 1 : INFINITY;
    int exponent;
    frexp(exact, &exponent);
    if (exact == 0 || exponent < -125) exponent = -125;
    return fabs(got - exact) / ldexp(1.0, exponent - 24);
}

enum { PIECE = 4096 };
static int failures;
static double worst[VEC_FUNCTIONS];

static void check(const char *isa, const struct vec_math *table, const float *in)
{
    static float out[PIECE];
    for (int f = 0; f < VEC_FUNCTIONS; f++) {
        table->run[f](out, in, PIECE);
        for (int i = 0; i < PIECE; i++) {
            double ulp = error(out[i], functions[f].exact(in[i]));
            if (ulp > worst[f]) worst[f] = ulp;
            if (ulp <= functions[f].most || ++failures > 20) continue;
            printf("%s %s(%a): expected %a, got %a, %.2f ULP\n", isa, functions[f].name, in[i],
                   functions[f].exact(in[i]), out[i], ulp);
        }
    }
}

static void check_halves(const char *isa, const struct vec_math *table, enum smelt_dtype dtype)
{
    float in[PIECE];
    for (int first = 0; first < 65536; first += PIECE) {
        for (int i = 0; i < PIECE; i++) {
            uint16_t bits = (uint16_t)(first + i);
            in[i] = smelt_load_float(dtype, &bits);
        }
        check(isa, table, in);
    }
}

static void check_random(const char *isa, const struct vec_math *table, int pieces)
{
    float in[PIECE];
    uint64_t state = 1;
    for (int piece = 0; piece < pieces; piece++) {
        for (int i = 0; i < PIECE; i++) {
            state = state * 6364136223846793005u + 1442695040888963407u;
            uint32_t bits = (uint32_t)(state >> 32);
            float spread = (float)((int32_t)bits) * 0x1p-31f;
            /* all bit patterns; the curved parts; around 1; angles as positions give them */
            in[i] = piece % 4 == 0   ? smelt_float_of_bits(bits)
                    : piece % 4 == 1 ? spread * (i % 2 ? 16 : 105)
                    : piece % 4 == 2 ? 1 + spread * (i % 2 ? 0.99f : 0.01f)
                                     : spread * (i % 2 ? 1e4f : 2e6f);
        }
        check(isa, table, in);
    }
}

int main(int argc, char **argv)
{
    static const void *const tables[SMELT_ISA_COUNT] = SMELT_KERNEL_TABLES(vec_math);
    int pieces = argc > 1 ? atoi(argv[1]) : 200;
    for (int isa = 0; isa <= (int)smelt_isa_found(); isa++) {
        if (!tables[isa]) continue;
        const char *name = smelt_isa_name((enum smelt_isa)isa);
        for (int f = 0; f < VEC_FUNCTIONS; f++) worst[f] = 0;
        check_halves(name, tables[isa], SMELT_F16);
        check_halves(name, tables[isa], SMELT_BF16);
        check_random(name, tables[isa], pieces);
        printf("%s:", name);
        for (int f = 0; f < VEC_FUNCTIONS; f++) printf(" %s %.2f", functions[f].name, worst[f]);
        printf(" ULP\n");
    }
    if (failures) printf("%d wrong values\n", failures);
    return failures ? 1 : 0;
}
