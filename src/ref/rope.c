/* SPDX-License-Identifier: Apache-2.0 */
/* Rotation of pairs of features by position times frequency. The angle is a float32, as the rule says; the
 * rest is in double. */
#include <math.h>

#include "ref/ref.h"

static int64_t load_position(const DLTensor *tensor, int64_t flat)
{
    int64_t offset = 0, row_major = 1;
    for (int i = tensor->ndim - 1; i >= 0; i--) {
        offset += flat % tensor->shape[i] * (tensor->strides ? tensor->strides[i] : row_major);
        flat /= tensor->shape[i], row_major *= tensor->shape[i];
    }
    enum smelt_dtype dtype = ref_dtype(tensor); /* not through double: positions are exact */
    return smelt_load_integer(dtype,
                              (char *)tensor->data + tensor->byte_offset + offset * smelt_dtype_size(dtype));
}

static float position(const smelt_rope_options *o, int64_t b, int64_t t, int64_t tokens)
{
    int64_t p;
    if (o->positions)
        p = load_position(o->positions, o->positions->ndim == 2 ? b * tokens + t : t);
    else if (o->offsets)
        p = load_position(o->offsets, ref_count(o->offsets) == 1 ? 0 : b) + t;
    else
        p = o->offset + t;
    return (float)p * o->scale;
}

static float inverse_frequency(const smelt_rope_options *o, int64_t i, int64_t half)
{
    if (o->inverse_freqs) return (float)ref_load(o->inverse_freqs, i);
    if (o->freqs) return (float)(1 / ref_load(o->freqs, i));
    return (float)exp2(-((double)i / (double)half) * log2(o->base));
}

static void rotate(DLTensor *out, const DLTensor *x, const smelt_rope_options *o, double direction)
{
    int rank = x->ndim, axis = o->sequence_axis < 0 ? o->sequence_axis + rank : o->sequence_axis;
    int64_t size = x->shape[rank - 1], dims = o->dims ? o->dims : size, half = dims / 2, inner = 1;
    for (int i = axis + 1; i < rank - 1; i++) inner *= x->shape[i];
    int64_t rows = ref_count(x) / size, per_batch = rows / (x->shape[0] ? x->shape[0] : 1);
    for (int64_t row = 0; row < rows; row++) {
        float p = position(o, row / per_batch, row / inner % x->shape[axis], x->shape[axis]);
        for (int64_t i = 0; i < half; i++) {
            float angle = p * inverse_frequency(o, i, half);
            double c = cos(angle) * o->cos_sin_scale, s = direction * sin(angle) * o->cos_sin_scale;
            int64_t first = row * size + (o->traditional ? 2 * i : i);
            int64_t second = first + (o->traditional ? 1 : half);
            double x1 = ref_load(x, first), x2 = ref_load(x, second);
            ref_store(out, first, x1 * c - x2 * s);
            ref_store(out, second, x1 * s + x2 * c);
        }
        for (int64_t i = dims; i < size; i++) ref_store(out, row * size + i, ref_load(x, row * size + i));
    }
}

void ref_rope(DLTensor *out, const DLTensor *x, const smelt_rope_options *options)
{
    rotate(out, x, options, 1);
}

void ref_rope_vjp(DLTensor *dx, const DLTensor *dout, const smelt_rope_options *options)
{
    rotate(dx, dout, options, -1);
}
