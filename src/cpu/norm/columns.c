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
const struct smelt_norm_column smelt_norm_ones = {ones, 0};
const struct smelt_norm_column smelt_norm_negative_zeros = {negative_zeros,
                                                            0}; /* adding it changes nothing */

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

struct smelt_norm_column smelt_norm_column(struct smelt_norm_arena *arena, const struct smelt_view *view,
                                           int64_t dim, float offset, enum smelt_dtype dtype,
                                           struct smelt_norm_column absent)
{
    if (!view) return absent;
    if (offset != offset) offset = NAN; /* whatever its bits: the kernels round numbers of their dtypes */
    int64_t n = view->shape[0];
    bool single = n == 1 && dim != 1, packed = n == 1 || view->stride[0] == 1;
    bool same = offset == 0 && (dtype == SMELT_F32 || dtype == view->dtype);
    if (same && packed && !single && view->dtype == SMELT_F32)
        return (struct smelt_norm_column){(const float *)view->data, -1};
    float *values = smelt_norm_take(arena, single ? SMELT_NORM_WIDEST : dim, sizeof *values);
    struct smelt_norm_column column = {values, single ? 0 : -1};
    if (!values) return column;
    const struct smelt_norm_column_kernels *kernels = smelt_norm_best_columns();
    if (packed) {
        kernels->widen(values, view->data, view->dtype, offset, dtype, n);
    } else {
        smelt_norm_gather(values, SMELT_F32, view->data, view->dtype, view->stride[0] * view->item, n);
        for (int64_t i = 0; !same && i < n; i++) values[i] = smelt_round_float(dtype, values[i] + offset);
    }
    if (single)
        for (int i = 1; i < SMELT_NORM_WIDEST; i++) values[i] = values[0];
    return column;
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

enum { PIECE = 512 }; /* elements between a strided row and one of another dtype */

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
