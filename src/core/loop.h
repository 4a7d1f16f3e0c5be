/* SPDX-License-Identifier: Apache-2.0 */
/* The iteration space that the tensors of a call walk together: their leading axes, merged where every tensor
 * allows it, so that the usual layouts (contiguous, padded rows, (B, T, H, D)) become one or two axes.
 *
 *     smelt_loop_init(&loop, 3, views, rank - 1, false);
 *     for (struct smelt_span s = smelt_loop_span(&loop, begin, end); s.count; smelt_loop_next(&loop, &s))
 *         kernel(out + s.offset[0], loop.step[0], ..., s.count);                                        */
#ifndef SMELT_CORE_LOOP_H
#define SMELT_CORE_LOOP_H

#include "core/tensor.h"

enum { SMELT_LOOP_TENSORS = 8 };

struct smelt_loop {
    int axes, tensors;
    int64_t items;                                      /* 0 where an axis is 0 */
    int64_t shape[SMELT_MAX_RANK];                      /* outermost first; at least one axis */
    int64_t stride[SMELT_LOOP_TENSORS][SMELT_MAX_RANK]; /* bytes */
    int64_t step[SMELT_LOOP_TENSORS];                   /* bytes between neighbours of the last axis */
};

/* The items from `first` on that lie on one stretch of the last axis. */
struct smelt_span {
    int64_t first, count, end;
    int64_t offset[SMELT_LOOP_TENSORS]; /* bytes from the first element of each tensor */
};

/* Over the first `axes` axes of all views, which agree in shape there; a NULL view has strides 0. `reorder`:
 * axes may be walked in the order of the strides of the first view (for operations without an axis of their
 * own). */
void smelt_loop_init(struct smelt_loop *loop, int tensors, const struct smelt_view *const *views, int axes,
                     bool reorder);

struct smelt_span smelt_loop_span(const struct smelt_loop *loop, int64_t begin, int64_t end);
void smelt_loop_next(const struct smelt_loop *loop, struct smelt_span *span);

#endif
