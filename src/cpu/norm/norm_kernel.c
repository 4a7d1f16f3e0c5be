/* SPDX-License-Identifier: Apache-2.0 */
/* Work on columns, compiled once per ISA. */
#include "cpu/norm/norm_kernel.h"

#include "cpu/vec/vec.h"

VEC void widen_as(enum smelt_dtype dtype, enum smelt_dtype rounding, float *to, const void *from,
                  float offset, int64_t n)
{
    vf shift = vec_set(offset);
    int64_t i = 0;
    for (; i + VEC_WIDTH <= n; i += VEC_WIDTH)
        vec_store(SMELT_F32, to, i, vec_rounded(rounding, vec_add(vec_load(dtype, from, i), shift)));
    if (i == n) return;
    vf last = vec_rounded(rounding, vec_add(vec_load_part(dtype, from, i, n - i), shift));
    vec_store_part(SMELT_F32, to, i, last, n - i);
}

static void widen(float *to, const void *from, enum smelt_dtype dtype, float offset,
                  enum smelt_dtype rounding, int64_t n)
{
    bool rounded = rounding == dtype && offset != 0; /* a value of dtype alone needs no rounding to it */
    if (dtype == SMELT_F16 && rounded)
        widen_as(SMELT_F16, SMELT_F16, to, from, offset, n);
    else if (dtype == SMELT_BF16 && rounded)
        widen_as(SMELT_BF16, SMELT_BF16, to, from, offset, n);
    else if (dtype == SMELT_F16)
        widen_as(SMELT_F16, SMELT_F32, to, from, offset, n);
    else if (dtype == SMELT_BF16)
        widen_as(SMELT_BF16, SMELT_F32, to, from, offset, n);
    else
        widen_as(SMELT_F32, SMELT_F32, to, from, offset, n);
    if (rounding != SMELT_F32 && rounding != dtype)
        for (int64_t i = 0; i < n; i++) to[i] = smelt_round_float(rounding, to[i]);
}

VEC void narrow_as(enum smelt_dtype dtype, void *to, const float *from, int64_t n)
{
    int64_t i = 0;
    for (; i + VEC_WIDTH <= n; i += VEC_WIDTH) vec_store(dtype, to, i, vec_load(SMELT_F32, from, i));
    if (i < n) vec_store_part(dtype, to, i, vec_load_part(SMELT_F32, from, i, n - i), n - i);
}

static void narrow(void *to, enum smelt_dtype dtype, const float *from, int64_t n)
{
    if (dtype == SMELT_F16)
        narrow_as(SMELT_F16, to, from, n);
    else if (dtype == SMELT_BF16)
        narrow_as(SMELT_BF16, to, from, n);
    else
        narrow_as(SMELT_F32, to, from, n);
}

/* One vector, or its first n elements. */
VEC vf floats(const void *base, int64_t i, int64_t n, bool whole)
{
    return whole ? vec_load(SMELT_F32, base, i) : vec_load_part(SMELT_F32, base, i, n);
}

VEC vf product_at(const float *a, struct smelt_norm_column b, int64_t at, const float *c, int64_t i,
                  int64_t n, bool whole)
{
    vf v = vec_mul(floats(a, i, n, whole), floats(b.values, (at + i) & b.mask, n, whole));
    return c ? vec_add(v, floats(c, i, n, whole)) : v;
}

static void product(float *to, const float *a, struct smelt_norm_column b, int64_t at, const float *c,
                    int64_t n)
{
    int64_t i = 0;
    for (; i + VEC_WIDTH <= n; i += VEC_WIDTH)
        vec_store(SMELT_F32, to, i, product_at(a, b, at, c, i, VEC_WIDTH, true));
    if (i < n) vec_store_part(SMELT_F32, to, i, product_at(a, b, at, c, i, n - i, false), n - i);
}

/* In two levels, so that no float32 sum has more than 64 terms and the number of runs. */
VEC vf sum_at(const float *from, int64_t blocks, int64_t step, int64_t i, int64_t n, bool whole)
{
    enum { RUN = 64 };
    vf total = vec_zero();
    for (int64_t block = 0; block < blocks;) {
        int64_t end = block + RUN < blocks ? block + RUN : blocks;
        vf sum = floats(from, block * step + i, n, whole);
        for (block++; block < end; block++) sum = vec_add(sum, floats(from, block * step + i, n, whole));
        total = vec_add(total, sum);
    }
    return total;
}

static void sum(float *to, const float *from, int64_t blocks, int64_t step, int64_t n)
{
    int64_t i = 0;
    for (; i + VEC_WIDTH <= n; i += VEC_WIDTH)
        vec_store(SMELT_F32, to, i, sum_at(from, blocks, step, i, VEC_WIDTH, true));
    if (i < n) vec_store_part(SMELT_F32, to, i, sum_at(from, blocks, step, i, n - i, false), n - i);
}

const struct smelt_norm_column_kernels SMELT_ISA_NAME(smelt_norm_columns) = {widen, narrow, product, sum};
