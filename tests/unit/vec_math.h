/* SPDX-License-Identifier: Apache-2.0 */
/* The vector functions of src/cpu/vec as loops over arrays, one table per ISA. */
#ifndef SMELT_TESTS_UNIT_VEC_MATH_H
#define SMELT_TESTS_UNIT_VEC_MATH_H

#include "cpu/rows.h"

enum vec_function {
    VEC_EXP,
    VEC_LOG,
    VEC_TANH,
    VEC_SIGMOID,
    VEC_SIGMOID_REST,
    VEC_NORMAL_INTEGRAL,
    VEC_NORMAL_DENSITY,
    VEC_SIN,
    VEC_COS,
    VEC_FUNCTIONS,
};

/* n is a multiple of 16. */
struct vec_math {
    void (*run[VEC_FUNCTIONS])(float *out, const float *in, int64_t n);
};
SMELT_DECLARE_KERNELS(struct vec_math, vec_math);

#endif
