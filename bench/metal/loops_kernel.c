/* SPDX-License-Identifier: Apache-2.0 */
/* Hand-written loops of the algorithms in kernels.metal, compiled once per ISA over the library's own vector
   vocabulary. Ordinary loads and stores, no prefetch: what one writes by hand before tuning for a machine. */
#include "loops.h"

#include "cpu/vec/math.h"

enum { CHAINS = 12, UNROLL = 4 };

static void exponential(const float *x, float *y, int64_t count)
{
    for (int64_t i = 0; i + VEC_WIDTH <= count; i += VEC_WIDTH)
        vec_store_f32(y + i, vec_exp(vec_load_f32(x + i)));
}

/* The sum of f(x) over a row on four accumulators; dim is a multiple of four vectors. */
#define ROW_SUM(result, dim, expression)                                                                     \
    do {                                                                                                     \
        vf part[UNROLL] = {vec_zero(), vec_zero(), vec_zero(), vec_zero()};                                  \
        for (int64_t i = 0; i < (dim); i += UNROLL * VEC_WIDTH)                                              \
            for (int k = 0; k < UNROLL; k++) {                                                               \
                int64_t at = i + k * VEC_WIDTH;                                                              \
                part[k] = expression;                                                                        \
            }                                                                                                \
        result = vec_sum(vec_add(vec_add(part[0], part[1]), vec_add(part[2], part[3])));                     \
    } while (0)

static void rms_norm(const float *x, const float *weight, float *y, int64_t rows, int64_t dim)
{
    for (int64_t r = 0; r < rows; r++, x += dim, y += dim) {
        float sum;
        ROW_SUM(sum, dim, vec_fma(vec_load_f32(x + at), vec_load_f32(x + at), part[k]));
        vf scale = vec_set(1.0f / sqrtf(sum / (float)dim + 1e-5f));
        for (int64_t i = 0; i < dim; i += VEC_WIDTH)
            vec_store_f32(y + i, vec_mul(vec_mul(vec_load_f32(x + i), scale), vec_load_f32(weight + i)));
    }
}

static void layer_norm(const float *x, const float *weight, const float *bias, float *y, int64_t rows,
                       int64_t dim)
{
    for (int64_t r = 0; r < rows; r++, x += dim, y += dim) {
        float sum, square;
        ROW_SUM(sum, dim, vec_add(vec_load_f32(x + at), part[k]));
        vf mean = vec_set(sum / (float)dim);
        ROW_SUM(square, dim,
                vec_fma(vec_sub(vec_load_f32(x + at), mean), vec_sub(vec_load_f32(x + at), mean), part[k]));
        vf scale = vec_set(1.0f / sqrtf(square / (float)dim + 1e-5f));
        for (int64_t i = 0; i < dim; i += VEC_WIDTH) {
            vf v = vec_mul(vec_sub(vec_load_f32(x + i), mean), scale);
            vec_store_f32(y + i, vec_fma(v, vec_load_f32(weight + i), vec_load_f32(bias + i)));
        }
    }
}

static void softmax(const float *x, float *y, int64_t rows, int64_t dim)
{
    for (int64_t r = 0; r < rows; r++, x += dim, y += dim) {
        float sum;
        vf top = vec_load_f32(x);
        for (int64_t i = VEC_WIDTH; i < dim; i += VEC_WIDTH) top = vec_max(top, vec_load_f32(x + i));
        vf most = vec_set(vec_largest(top));
        ROW_SUM(sum, dim, vec_add(vec_exp(vec_sub(vec_load_f32(x + at), most)), part[k]));
        vf total = vec_set(sum);
        for (int64_t i = 0; i < dim; i += VEC_WIDTH)
            vec_store_f32(y + i, vec_div(vec_exp(vec_sub(vec_load_f32(x + i), most)), total));
    }
}

static void rope(const float *x, const float *cosines, const float *sines, float *y, int64_t rows,
                 int64_t heads, int64_t dim)
{
    int64_t half = dim / 2;
    for (int64_t r = 0; r < rows; r++, cosines += half, sines += half)
        for (int64_t h = 0; h < heads; h++, x += dim, y += dim)
            for (int64_t i = 0; i < half; i += VEC_WIDTH) {
                vf a = vec_load_f32(x + i), b = vec_load_f32(x + half + i);
                vf c = vec_load_f32(cosines + i), s = vec_load_f32(sines + i);
                vec_store_f32(y + i, vec_fnma(b, s, vec_mul(a, c)));
                vec_store_f32(y + half + i, vec_fma(a, s, vec_mul(b, c)));
            }
}

/* A lane holds a word: x is laid out once so that the element for nibble q of VEC_WIDTH words is one vector.
 */
static void q4_matvec(const uint32_t *weights, const float *scales, const float *x, float *y, int64_t rows,
                      int64_t dim, float *scratch)
{
    for (int64_t k = 0; k < dim; k++) {
        int64_t word = k / 8, lane = word % VEC_WIDTH;
        scratch[(word - lane) * 8 + k % 8 * VEC_WIDTH + lane] = x[k];
    }
    for (int64_t r = 0; r < rows; r++, weights += dim / 8, scales += dim / 32) {
        vf sum = vec_zero();
        for (int64_t w = 0; w < dim / 8; w += VEC_WIDTH) {
            vi words = vec_bits(vec_load_f32(weights + w));
            vf part = vec_zero();
            float scale[VEC_WIDTH];
            for (int q = 0; q < 8; q++) {
                vi nibble = vec_int_and(vec_int_right(words, 4 * q), vec_int_set(15));
                vf value = vec_sub(vec_from_int(nibble), vec_set(8.0f));
                part = vec_fma(value, vec_load_f32(scratch + w * 8 + q * VEC_WIDTH), part);
            }
            for (int k = 0; k < VEC_WIDTH; k++) scale[k] = scales[(w + k) / 4];
            sum = vec_fma(part, vec_load_f32(scale), sum);
        }
        y[r] = vec_sum(sum);
    }
}

static double multiply_add(int64_t repetitions)
{
    vf chain[CHAINS], factor = vec_set(0.5f), term = vec_set(1.0f);
    for (int k = 0; k < CHAINS; k++) chain[k] = vec_set((float)k);
    for (int64_t n = 0; n < repetitions; n++)
        for (int k = 0; k < CHAINS; k++) chain[k] = vec_fma(chain[k], factor, term);
    float sum = 0;
    for (int k = 0; k < CHAINS; k++) sum += vec_sum(chain[k]);
    return sum < 0 ? 0 : 2.0 * CHAINS * VEC_WIDTH * (double)repetitions;
}

const struct metal_loops SMELT_ISA_NAME(metal_loops) = {exponential, rms_norm,  layer_norm,  softmax,
                                                        rope,        q4_matvec, multiply_add};
