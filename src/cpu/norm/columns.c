/* SPDX-License-Identifier: Apache-2.0 */
/* Weights, biases and scalars as float32 columns, and copies between dtypes. */
#include "core/strided.h"
#include "cpu/norm/driver.h"

#define REPEATED(x)                                                                                          \
    {                                                                                                        \
        x, x, x, x, x, x, x, x, x, x, x, x, x, x, x, x                                                       \
    }
static const _Alignas(64) float ones[SMELT_NORM_WIDEST] = REPEATED(1.0f);
static const _Alignas(64) float negative_zeros[SMELT_NORM_WIDEST] = REPEATED(-0.0f);
const struct smelt_norm_column smelt_norm_ones = {ones, 0};
const struct smelt_norm_column smelt_norm_negative_zeros = {negative_zeros,
                                                            0}; /* adding it changes nothing */

void *smelt_norm_take(struct smelt_norm_arena *arena, int64_t count, int64_t item)
{
    size_t bytes;
    if (__builtin_mul_overflow((size_t)count, (size_t)item, &bytes) || bytes > SIZE_MAX / 4 - arena->used) {
        arena->too_large = true;
        return NULL;
    }
    char *piece = arena->memory ? arena->memory + arena->used : NULL;
    arena->used += (bytes + 63) & ~(size_t)63;
    return piece;
}

struct smelt_norm_column smelt_norm_column(struct smelt_norm_arena *arena, const struct smelt_view *view,
                                           int64_t dim, float offset, enum smelt_dtype dtype,
                                           struct smelt_norm_column absent)
{
    if (!view) return absent;
    int64_t n = view->shape[0];
    bool single = n == 1 && dim != 1, packed = n == 1 || view->stride[0] == 1;
    bool same = offset == 0 && (dtype == SMELT_F32 || dtype == view->dtype);
    if (same && packed && !single && view->dtype == SMELT_F32)
        return (struct smelt_norm_column){(const float *)view->data, -1};
    float *values = smelt_norm_take(arena, single ? SMELT_NORM_WIDEST : dim, sizeof *values);
    struct smelt_norm_column column = {values, single ? 0 : -1};
    if (!values) return column;
    smelt_norm_gather(values, SMELT_F32, view->data, view->dtype, view->stride[0] * view->item, n);
    if (!same)
        for (int64_t i = 0; i < n; i++) values[i] = smelt_round_float(dtype, values[i] + offset);
    if (single)
        for (int i = 1; i < SMELT_NORM_WIDEST; i++) values[i] = values[0];
    return column;
}

struct smelt_norm_column smelt_norm_column_product(struct smelt_norm_arena *arena, int64_t dim,
                                                   struct smelt_norm_column a, struct smelt_norm_column b)
{
    if (a.values == ones) return b;
    if (b.values == ones) return a;
    int64_t mask = a.mask | b.mask, n = mask ? dim : SMELT_NORM_WIDEST;
    float *values = smelt_norm_take(arena, n, sizeof *values);
    if (values)
        for (int64_t i = 0; i < n; i++) values[i] = a.values[i & a.mask] * b.values[i & b.mask];
    return (struct smelt_norm_column){values, mask};
}

/* Element types are constants here, so that the usual loops become vector code. */
#define CONVERT(to_dtype, from_dtype)                                                                        \
    for (int64_t i = 0; i < n; i++)                                                                          \
        smelt_store_float(to_dtype, to + i * to_step, smelt_load_float(from_dtype, from + i * from_step));   \
    return
static void convert(char *to, enum smelt_dtype to_dtype, int64_t to_step, const char *from,
                    enum smelt_dtype from_dtype, int64_t from_step, int64_t n)
{
    if (to_dtype == SMELT_F32 && from_dtype == SMELT_BF16) {
        CONVERT(SMELT_F32, SMELT_BF16);
    } else if (to_dtype == SMELT_F32 && from_dtype == SMELT_F16) {
        CONVERT(SMELT_F32, SMELT_F16);
    } else if (to_dtype == SMELT_BF16) {
        CONVERT(SMELT_BF16, from_dtype);
    } else {
        CONVERT(to_dtype, from_dtype);
    }
}

void smelt_norm_gather(void *packed, enum smelt_dtype packed_dtype, const void *strided,
                       enum smelt_dtype dtype, int64_t step, int64_t n)
{
    int64_t item = smelt_dtype_size(dtype);
    if (packed_dtype != dtype)
        convert(packed, packed_dtype, smelt_dtype_size(packed_dtype), strided, dtype, step, n);
    else if (step == item)
        memcpy(packed, strided, (size_t)(n * item));
    else
        smelt_gather(packed, strided, step, item, n);
}

void smelt_norm_scatter(void *strided, enum smelt_dtype dtype, int64_t step, const void *packed,
                        enum smelt_dtype packed_dtype, int64_t n)
{
    int64_t item = smelt_dtype_size(dtype);
    if (packed_dtype != dtype)
        convert(strided, dtype, step, packed, packed_dtype, smelt_dtype_size(packed_dtype), n);
    else if (step == item)
        memcpy(strided, packed, (size_t)(n * item));
    else
        smelt_scatter(strided, step, packed, item, n);
}
