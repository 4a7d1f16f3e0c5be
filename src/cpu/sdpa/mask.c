/* SPDX-License-Identifier: Apache-2.0 */
/* Mask tensors of any dtype and strides to the tiles that the kernels add. */
#include "cpu/sdpa/plan.h"

static inline float bias_of(enum smelt_dtype dtype, const char *at)
{
    if (dtype == SMELT_BOOL) return *(const uint8_t *)at ? 0.0f : -INFINITY;
    return smelt_load_float(dtype, at);
}

/* One column of lanes per row; a constant dtype lets the compiler drop the choice. */
static inline __attribute__((always_inline)) void fill(enum smelt_dtype dtype, float *bias, int64_t tile_rows,
                                                       const char *from, int64_t row_step, int64_t key_step,
                                                       int64_t rows, int64_t keys)
{
    if (row_step == 0) { /* the same for all rows */
        for (int64_t j = 0; j < keys; j++) {
            float value = bias_of(dtype, from + j * key_step);
            for (int64_t r = 0; r < rows; r++) bias[j * tile_rows + r] = value;
        }
        return;
    }
    for (int64_t r = 0; r < rows; r++)
        for (int64_t j = 0; j < keys; j++)
            bias[j * tile_rows + r] = bias_of(dtype, from + r * row_step + j * key_step);
}

static void fill_any(const struct smelt_sdpa_args *a, float *bias, int64_t tile_rows, int64_t batch,
                     struct sdpa_row at, int64_t key, int64_t rows, int64_t keys)
{
    const struct smelt_view *mask = a->mask;
    const int64_t *stride = a->mask_stride;
    int64_t element = batch * stride[0] + at.head * stride[1] + at.query * stride[2] + key * stride[3];
    const char *from = mask->data + element * mask->item;
    int64_t row_step = stride[2] * mask->item, key_step = stride[3] * mask->item;
    if (mask->dtype == SMELT_BOOL)
        fill(SMELT_BOOL, bias, tile_rows, from, row_step, key_step, rows, keys);
    else if (mask->dtype == SMELT_F32)
        fill(SMELT_F32, bias, tile_rows, from, row_step, key_step, rows, keys);
    else if (mask->dtype == SMELT_F16)
        fill(SMELT_F16, bias, tile_rows, from, row_step, key_step, rows, keys);
    else
        fill(SMELT_BF16, bias, tile_rows, from, row_step, key_step, rows, keys);
}

void sdpa_mask_row(const struct sdpa_plan *plan, float *bias, int64_t unit, int64_t row, int64_t key,
                   int64_t keys)
{
    fill_any(plan->args, bias, 1, sdpa_batch_of(plan, unit), sdpa_row_of(plan, unit, row), key, 1, keys);
}

void sdpa_mask_tile(const struct sdpa_plan *plan, float *bias, int64_t unit, int64_t row, int64_t rows,
                    int64_t key, int64_t keys)
{
    const struct smelt_sdpa_args *a = plan->args;
    int64_t tile_rows = plan->tiles->rows;
    while (rows > 0) {
        struct sdpa_row at = sdpa_row_of(plan, unit, row);
        int64_t count = a->q_len - at.query < rows ? a->q_len - at.query : rows;
        fill_any(a, bias, tile_rows, sdpa_batch_of(plan, unit), at, key, count, keys);
        bias += count, row += count, rows -= count;
    }
}

bool sdpa_key_mask(const struct smelt_sdpa_args *args, uint8_t *keep, int64_t batch, int64_t key,
                   int64_t keys)
{
    const struct smelt_view *mask = args->key_mask;
    const char *from = mask->data + (batch * mask->stride[0] + key * mask->stride[1]) * mask->item;
    int64_t step = mask->stride[1] * mask->item;
    bool all = true;
    for (int64_t j = 0; j < keys; j++) {
        keep[j] = mask->dtype == SMELT_BOOL ? *(const uint8_t *)(from + j * step) != 0
                                            : smelt_load_integer(mask->dtype, from + j * step) != 0;
        all &= keep[j];
    }
    return all;
}
