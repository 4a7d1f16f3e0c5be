/* SPDX-License-Identifier: Apache-2.0 */
/* sdpa_merge, compiled once per ISA. */
#include "cpu/sdpa_merge/sdpa_merge_kernel.h"

#include "cpu/vec/math.h"

static float weights(float *lse, int64_t n)
{
    float largest = -INFINITY, total = 0;
    for (int64_t c = 0; c < n; c++)
        if (!(lse[c] <= largest)) largest = lse[c]; /* NaN comes through to the end */
    if (largest == -INFINITY) {
        for (int64_t c = 0; c < n; c++) lse[c] = 0;
        return largest;
    }
    for (int64_t c = 0; c < n; c += VEC_WIDTH) {
        int64_t part = n - c < VEC_WIDTH ? n - c : VEC_WIDTH;
        vec_store_part(SMELT_F32, lse, c,
                       vec_exp(vec_sub(vec_load_part(SMELT_F32, lse, c, part), vec_set(largest))), part);
    }
    for (int64_t c = 0; c < n; c++) total += lse[c];
    for (int64_t c = 0; c < n; c++) lse[c] = lse[c] == 0 ? 0 : lse[c] / total;
    float logarithm[VEC_WIDTH];
    vec_store_f32(logarithm, vec_log(vec_set(total)));
    return largest + logarithm[0];
}

/* `vectors` whole vectors, or a part of one. */
VEC void columns(enum smelt_dtype t, void *out, const char *rows, int64_t step, const float *weight,
                 int64_t chunks, int64_t i, int vectors, int64_t part)
{
    vf sum[8];
    for (int v = 0; v < vectors; v++) sum[v] = vec_zero();
    for (int64_t c = 0; c < chunks; c++) {
        if (weight[c] == 0) continue;
        for (int v = 0; v < vectors; v++) {
            vf row = part ? vec_load_part(t, rows + c * step, i, part)
                          : vec_load(t, rows + c * step, i + v * VEC_WIDTH);
            sum[v] = vec_fma(vec_set(weight[c]), row, sum[v]);
        }
    }
    for (int v = 0; v < vectors; v++) {
        if (part)
            vec_store_part(t, out, i, sum[v], part);
        else
            vec_store(t, out, i + v * VEC_WIDTH, sum[v]);
    }
}

VEC void merge(enum smelt_dtype t, void *out, const char *rows, int64_t step, const float *weight,
               int64_t chunks, int64_t dim)
{
    int64_t i = 0;
    for (; i + 8 * VEC_WIDTH <= dim; i += 8 * VEC_WIDTH) columns(t, out, rows, step, weight, chunks, i, 8, 0);
    for (; i + VEC_WIDTH <= dim; i += VEC_WIDTH) columns(t, out, rows, step, weight, chunks, i, 1, 0);
    if (i < dim) columns(t, out, rows, step, weight, chunks, i, 1, dim - i);
}

#define KERNEL(dtype)                                                                                        \
    static void merge_##dtype(void *out, const char *rows, int64_t step, const float *weight,                \
                              int64_t chunks, int64_t dim)                                                   \
    {                                                                                                        \
        merge(SMELT_##dtype, out, rows, step, weight, chunks, dim);                                          \
    }
KERNEL(F32)
KERNEL(F16)
KERNEL(BF16)

const struct smelt_sdpa_merge_kernels SMELT_ISA_NAME(smelt_sdpa_merge) = {weights,
                                                                          {merge_F32, merge_F16, merge_BF16}};
