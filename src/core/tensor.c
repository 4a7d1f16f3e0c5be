/* SPDX-License-Identifier: Apache-2.0 */
/* Checks of a tensor descriptor. */
#include "core/tensor.h"

#include <stdio.h>

#define BAD(...) smelt_fail(SMELT_INVALID_ARGUMENT, __VA_ARGS__)

const char *smelt_shape_text(char text[SMELT_SHAPE_TEXT], const int64_t *shape, int rank)
{
    int at = snprintf(text, SMELT_SHAPE_TEXT, "(");
    for (int i = 0; i < rank && at < SMELT_SHAPE_TEXT - 24; i++)
        at +=
            snprintf(text + at, (size_t)(SMELT_SHAPE_TEXT - at), i ? ", %lld" : "%lld", (long long)shape[i]);
    snprintf(text + at, (size_t)(SMELT_SHAPE_TEXT - at), rank == 1 ? ",)" : ")");
    return text;
}

static smelt_status check_dtype(const char *operation, const char *name, const DLTensor *tensor,
                                enum smelt_dtype dtype, unsigned allowed)
{
    if (dtype < SMELT_OTHER && (allowed >> dtype & 1)) return SMELT_OK;
    char expected[160] = "";
    int at = 0;
    for (int i = 0; i < SMELT_DTYPES; i++)
        if (allowed >> i & 1)
            at += snprintf(expected + at, sizeof expected - (size_t)at, at ? ", %s" : "%s",
                           smelt_dtype_name((enum smelt_dtype)i));
    if (dtype < SMELT_OTHER)
        return smelt_fail(SMELT_UNSUPPORTED, "%s: %s: expected dtype %s, got %s", operation, name, expected,
                          smelt_dtype_name(dtype));
    return smelt_fail(SMELT_UNSUPPORTED, "%s: %s: expected dtype %s, got code %d, bits %d, lanes %d",
                      operation, name, expected, tensor->dtype.code, tensor->dtype.bits, tensor->dtype.lanes);
}

/* Fills shape and elements; an overflow of the count is an error even beside an axis of 0, as no such array
 * exists. */
static smelt_status read_shape(struct smelt_view *view, const char *operation, const DLTensor *tensor)
{
    int64_t product = 1;
    bool empty = false;
    for (int i = 0; i < view->rank; i++) {
        int64_t n = tensor->shape[i];
        if (n < 0)
            return BAD("%s: %s: expected a shape without negative sizes, got %lld on axis %d", operation,
                       view->name, (long long)n, i);
        view->shape[i] = n;
        if (n == 0)
            empty = true;
        else if (__builtin_mul_overflow(product, n, &product))
            return BAD("%s: %s: expected fewer than 2^63 elements, got more", operation, view->name);
    }
    view->elements = empty ? 0 : product;
    return SMELT_OK;
}

static smelt_status read_strides(struct smelt_view *view, const char *operation, const DLTensor *tensor)
{
    int64_t row_major = 1, below = 0, above = 0, distance, bytes;
    for (int i = view->rank - 1; i >= 0; i--) {
        int64_t n = view->shape[i], stride = tensor->strides ? tensor->strides[i] : row_major;
        view->stride[i] = n > 1 && view->elements ? stride : 0; /* no element: any stride, and none is used */
        if (n > 0) row_major *= n; /* cannot overflow: the count of elements did not */
        if (n <= 1 || !view->elements) continue;
        bool over = __builtin_mul_overflow(stride, n - 1, &distance);
        over = over || (distance < 0 ? __builtin_add_overflow(below, distance, &below)
                                     : __builtin_add_overflow(above, distance, &above));
        if (over)
            return BAD("%s: %s: stride %lld of axis %d leaves the address space", operation, view->name,
                       (long long)stride, i);
    }
    if (view->elements == 0) return SMELT_OK;
    uintptr_t data = (uintptr_t)view->data, end;
    bool over = __builtin_add_overflow(above, 1, &distance) ||
                __builtin_mul_overflow(distance, view->item, &bytes) ||
                __builtin_add_overflow(data, (uintptr_t)bytes, &end);
    over = over || __builtin_mul_overflow(below, view->item, &bytes) || (uintptr_t)-bytes > data;
    if (over) return BAD("%s: %s: its strides leave the address space", operation, view->name);
    return SMELT_OK;
}

smelt_status smelt_view_init(struct smelt_view *view, const char *operation, const char *name,
                             const DLTensor *tensor, unsigned dtypes)
{
    if (!tensor) return BAD("%s: %s: expected a tensor, got NULL", operation, name);
    if (tensor->ndim < 0 || tensor->ndim > SMELT_MAX_RANK)
        return BAD("%s: %s: expected a rank of 0 to %d, got %d", operation, name, SMELT_MAX_RANK,
                   tensor->ndim);
    if (tensor->ndim > 0 && !tensor->shape) return BAD("%s: %s: expected a shape, got NULL", operation, name);
    view->name = name;
    view->rank = tensor->ndim;
    view->device = tensor->device;
    view->dtype = smelt_dtype_of(tensor->dtype);
    view->item = smelt_dtype_size(view->dtype);
    SMELT_TRY(check_dtype(operation, name, tensor, view->dtype, dtypes));
    SMELT_TRY(read_shape(view, operation, tensor));
    uintptr_t data = (uintptr_t)tensor->data + (uintptr_t)tensor->byte_offset;
    view->data = (char *)data;
    if (view->elements) {
        if (!tensor->data)
            return BAD("%s: %s: expected data for %lld elements, got NULL", operation, name,
                       (long long)view->elements);
        if (data < (uintptr_t)tensor->data)
            return BAD("%s: %s: byte_offset %llu leaves the address space", operation, name,
                       (unsigned long long)tensor->byte_offset);
        if (data % (uintptr_t)view->item)
            return BAD("%s: %s: expected data aligned to %lld bytes, got address %p", operation, name,
                       (long long)view->item, (void *)data);
    }
    return read_strides(view, operation, tensor);
}

bool smelt_views_same_shape(const struct smelt_view *a, const struct smelt_view *b)
{
    if (a->rank != b->rank) return false;
    for (int i = 0; i < a->rank; i++)
        if (a->shape[i] != b->shape[i]) return false;
    return true;
}

bool smelt_views_identical(const struct smelt_view *a, const struct smelt_view *b)
{
    if (a->data != b->data || a->dtype != b->dtype || !smelt_views_same_shape(a, b)) return false;
    for (int i = 0; i < a->rank; i++)
        if (a->stride[i] != b->stride[i]) return false;
    return true;
}

bool smelt_view_is_contiguous(const struct smelt_view *view)
{
    int64_t expected = 1;
    for (int i = view->rank - 1; i >= 0; i--) {
        if (view->shape[i] > 1 && view->stride[i] != expected) return false;
        expected *= view->shape[i];
    }
    return true;
}
