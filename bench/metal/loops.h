/* SPDX-License-Identifier: Apache-2.0 */
/* The hand-written counterparts of kernels.metal: one table of loops for each ISA, built by loops_kernel.c.
 */
#ifndef SMELT_BENCH_METAL_LOOPS_H
#define SMELT_BENCH_METAL_LOOPS_H
#include <stdint.h>

struct metal_loops {
    void (*exponential)(const float *x, float *y, int64_t count);
    void (*rms_norm)(const float *x, const float *weight, float *y, int64_t rows, int64_t dim);
    void (*layer_norm)(const float *x, const float *weight, const float *bias, float *y, int64_t rows,
                       int64_t dim);
    void (*softmax)(const float *x, float *y, int64_t rows, int64_t dim);
    /* x (rows, heads, dim), cosines and sines (rows, dim / 2) */
    void (*rope)(const float *x, const float *cosines, const float *sines, float *y, int64_t rows,
                 int64_t heads, int64_t dim);
    /* 8 weights of 4 bits to a word, a scale for every 32; `scratch` holds dim floats */
    void (*q4_matvec)(const uint32_t *weights, const float *scales, const float *x, float *y, int64_t rows,
                      int64_t dim, float *scratch);
    double (*multiply_add)(
        int64_t repetitions); /* chains of multiply-add; the floating-point operations done */
};

extern const struct metal_loops metal_loops_avx2, metal_loops_avx512, metal_loops_neon, metal_loops_scalar;

#endif
