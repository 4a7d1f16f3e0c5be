/* SPDX-License-Identifier: Apache-2.0 */
/* Weights, biases and scalars as float32 columns, and copies between dtypes. */
#include <math.h>

#include "core/strided.h"
#include "cpu/norm/driver.h"

#define REPEATED_8(x) x, x, x, x, x, x, x, x
#define REPEATED(x)                                                                                          \
    {                                                                                                        \
        REPEATED_8(x), REPEATED_8(x), REPEATED_8(x), REPEATED_8(x)                                           \
    }
static const _Alignas(64) float ones[SMELT_NORM_WIDEST] = REPEATED(1.0f);
static const _Alignas(64) float negative_zeros[SMELT_NORM_WIDEST] = REPEATED(-0.0f);
static const _Alignas(64) uint16_t f16_ones[SMELT_NORM_WIDEST] = REPEATED(0x3c00);
static const _Alignas(64) uint16_t bf16_ones[SMELT_NORM_WIDEST] = REPEATED(0x3f80);
static const _Alignas(64) uint16_t short_negative_zeros[SMELT_NORM_WIDEST] = REPEATED(0x8000);

static struct smelt_norm_column absent_column(enum smelt_norm_absent absent, enum smelt_dtype dtype)
{
    static const void *const values[2][SMELT_FLOAT_DTYPES] = {
        [SMELT_NORM_ONE] = {ones, f16_ones, bf16_ones},
        [SMELT_NORM_NEGATIVE_ZERO] = {negative_zeros, short_negative_zeros, short_negative_zeros}};
    return (struct smelt_norm_column){values[absent][dtype], 0};
}

const struct smelt_norm_column_kernels *smelt_norm_best_columns(void)
{
    static const void *const tables[SMELT_ISA_COUNT] = SMELT_KERNEL_TABLES(smelt_norm_columns);
    return smelt_best_kernels(tables);
}

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

/* n elements from `at` on as float32. */
static void read_column(float *values, const struct smelt_view *view, int64_t at, int64_t n, float offset,
                        enum smelt_dtype rounding)
{
    int64_t step = view->shape[0] == 1 ? view->item : view->stride[0] * view->item;
    const char *from = view->data + at * step;
    if (step == view->item) {
        smelt_norm_best_columns()->widen(values, from, view->dtype, offset, rounding, n);
        return;
    }
    smelt_norm_gather(values, SMELT_F32, from, view->dtype, step, n);
    for (int64_t i = 0; i < n; i++) values[i] = smelt_round_float(rounding, values[i] + offset);
}

enum { PIECE = 512 }; /* elements on their way between dtypes or layouts */

struct smelt_norm_column smelt_norm_column(struct smelt_norm_arena *arena, const struct smelt_view *view,
                                           int64_t dim, float offset, enum smelt_dtype rounding,
                                           enum smelt_dtype dtype, enum smelt_norm_absent absent)
{
    if (!view) return absent_column(absent, dtype);
    if (offset != offset) offset = NAN; /* whatever its bits: the kernels round numbers of their dtypes */
    int64_t n = view->shape[0], size = smelt_dtype_size(dtype);
    bool single = n == 1 && dim != 1, packed = n == 1 || view->stride[0] == 1;
    bool same = offset == 0 && (rounding == SMELT_F32 || rounding == view->dtype);
    if (same && packed && !single && view->dtype == dtype) return (struct smelt_norm_column){view->data, -1};
    char *values = smelt_norm_take(arena, single ? SMELT_NORM_WIDEST : dim, size);
    for (int64_t at = 0; values && at < n; at += PIECE) {
        _Alignas(64) float piece[PIECE];
        int64_t count = n - at < PIECE ? n - at : PIECE;
        read_column(dtype == SMELT_F32 ? (float *)(void *)values + at : piece, view, at, count, offset,
                    rounding);
        if (dtype != SMELT_F32) smelt_norm_best_columns()->narrow(values + at * size, dtype, piece, count);
    }
    if (single && values)
        for (int i = 1; i < SMELT_NORM_WIDEST; i++) memcpy(values + i * size, values, (size_t)size);
    return (struct smelt_norm_column){values, single ? 0 : -1};
}

struct smelt_norm_column smelt_norm_column_product(struct smelt_norm_arena *arena, int64_t dim,
                                                   struct smelt_norm_column a, struct smelt_norm_column b)
{
    if (a.values == ones) return b;
    if (b.values == ones) return a;
    struct smelt_norm_column whole = a.mask ? a : b, other = a.mask ? b : a;
    int64_t n = whole.mask ? dim : SMELT_NORM_WIDEST;
    float *values = smelt_norm_take(arena, n, sizeof *values);
    if (values) smelt_norm_best_columns()->product(values, whole.values, other, 0, NULL, n);
    return (struct smelt_norm_column){values, whole.mask};
}

void smelt_norm_gather(void *packed, enum smelt_dtype packed_dtype, const void *strided,
                       enum smelt_dtype dtype, int64_t step, int64_t n)
{
    int64_t item = smelt_dtype_size(dtype);
    if (packed_dtype == dtype && step == item) {
        memcpy(packed, strided, (size_t)(n * item));
    } else if (packed_dtype == dtype) {
        smelt_gather(packed, strided, step, item, n);
    } else {
        _Alignas(64) char piece[PIECE * 4];
        for (int64_t i = 0; i < n; i += PIECE) {
            int64_t count = n - i < PIECE ? n - i : PIECE;
            smelt_norm_gather(piece, dtype, (const char *)strided + i * step, dtype, step, count);
            smelt_norm_best_columns()->widen((float *)packed + i, piece, dtype, 0, SMELT_F32, count);
        }
    }
}

void smelt_norm_scatter(void *strided, enum smelt_dtype dtype, int64_t step, const void *packed,
                        enum smelt_dtype packed_dtype, int64_t n)
{
    int64_t item = smelt_dtype_size(dtype);
    if (packed_dtype == dtype && step == item) {
        memcpy(strided, packed, (size_t)(n * item));
    } else if (packed_dtype == dtype) {
        smelt_scatter(strided, step, packed, item, n);
    } else if (step == item) {
        smelt_norm_best_columns()->narrow(strided, dtype, packed, n);
    } else {
        _Alignas(64) char piece[PIECE * 4];
        for (int64_t i = 0; i < n; i += PIECE) {
            int64_t count = n - i < PIECE ? n - i : PIECE;
            smelt_norm_best_columns()->narrow(piece, dtype, (const float *)packed + i, count);
            smelt_scatter((char *)strided + i * step, step, piece, item, count);
        }
    }
}
