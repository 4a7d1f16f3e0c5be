/* SPDX-License-Identifier: Apache-2.0 */
/* Checked views of DLTensor, and the questions that argument checks ask of them. */
#ifndef SMELT_CORE_TENSOR_H
#define SMELT_CORE_TENSOR_H

#include <stdbool.h>

#include "core/dtype.h"
#include "core/status.h"

enum { SMELT_MAX_RANK = 32 };

/* A tensor whose descriptor has been checked. Strides count elements; those of axes of length 1 are 0. */
struct smelt_view {
    char *data; /* first element, byte_offset added */
    const char *name;
    enum smelt_dtype dtype;
    int rank;
    DLDevice device;
    int64_t item;     /* bytes of an element */
    int64_t elements; /* 0 where an axis is 0 */
    int64_t shape[SMELT_MAX_RANK];
    int64_t stride[SMELT_MAX_RANK];
};

/* Checks everything that can be said of one tensor alone. `dtypes` is a set of SMELT_IS(...). */
smelt_status smelt_view_init(struct smelt_view *view, const char *operation, const char *name,
                             const DLTensor *tensor, unsigned dtypes);

/* No two elements share memory. Exact, but for layouts of absurd nesting, which count as sharing. */
bool smelt_view_is_injective(const struct smelt_view *view);
/* Some byte may belong to both: exact where the strides agree, by address range otherwise. */
bool smelt_views_overlap(const struct smelt_view *a, const struct smelt_view *b);
bool smelt_views_identical(const struct smelt_view *a, const struct smelt_view *b);
bool smelt_views_same_shape(const struct smelt_view *a, const struct smelt_view *b);
bool smelt_view_is_contiguous(const struct smelt_view *view); /* row-major, without gaps */

/* Writes a shape as "(2, 3)" for an error message. Returns the buffer. */
enum { SMELT_SHAPE_TEXT = 128 };
const char *smelt_shape_text(char text[SMELT_SHAPE_TEXT], const int64_t *shape, int rank);

#endif
