/* SPDX-License-Identifier: Apache-2.0 */
/* The vector functions as loops, compiled once per ISA. */
#include "vec_math.h"

#include "cpu/vec/math.h"
#include "cpu/vec/sincos.h"

VEC vf sigmoid_rest(vf x)
{
    vf value, rest;
    vec_sigmoid_pair(x, &value, &rest);
    return rest;
}
VEC vf normal_integral(vf x)
{
    vf integral, density;
    vec_normal(x, &integral, &density);
    return integral;
}
VEC vf normal_density(vf x)
{
    vf integral, density;
    vec_normal(x, &integral, &density);
    return density;
}
VEC vf sine(vf x)
{
    vf s, c;
    vec_sincos(x, &s, &c);
    return s;
}
VEC vf cosine(vf x)
{
    vf s, c;
    vec_sincos(x, &s, &c);
    return c;
}

#define LOOP(name, function)                                                                                 \
    static void name(float *out, const float *in, int64_t n)                                                 \
    {                                                                                                        \
        for (int64_t i = 0; i < n; i += VEC_WIDTH) vec_store_f32(out + i, function(vec_load_f32(in + i)));   \
    }
LOOP(run_exp, vec_exp)
LOOP(run_log, vec_log)
LOOP(run_tanh, vec_tanh)
LOOP(run_sigmoid, vec_sigmoid)
LOOP(run_sigmoid_rest, sigmoid_rest)
LOOP(run_normal_integral, normal_integral)
LOOP(run_normal_density, normal_density)
LOOP(run_sin, sine)
LOOP(run_cos, cosine)

const struct vec_math SMELT_ISA_NAME(vec_math) = {{run_exp, run_log, run_tanh, run_sigmoid, run_sigmoid_rest,
                                                   run_normal_integral, run_normal_density, run_sin,
                                                   run_cos}};
