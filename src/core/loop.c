/* SPDX-License-Identifier: Apache-2.0 */
/* Merging of axes, and the walk over them. */
#include "core/loop.h"

static int64_t magnitude(int64_t value) { return value < 0 ? -value : value; }

static void push_axis(struct smelt_loop *loop, const struct smelt_view *const *views, int axis,
                      int64_t length)
{
    int at = loop->axes++;
    loop->shape[at] = length;
    for (int t = 0; t < loop->tensors; t++)
        loop->stride[t][at] = views[t] ? views[t]->stride[axis] * views[t]->item : 0;
}

static void swap_axes(struct smelt_loop *loop, int a, int b)
{
    int64_t n = loop->shape[a];
    loop->shape[a] = loop->shape[b], loop->shape[b] = n;
    for (int t = 0; t < loop->tensors; t++) {
        int64_t s = loop->stride[t][a];
        loop->stride[t][a] = loop->stride[t][b], loop->stride[t][b] = s;
    }
}

/* Axis i + 1 continues axis i in every tensor. */
static bool mergeable(const struct smelt_loop *loop, int outer, int inner)
{
    for (int t = 0; t < loop->tensors; t++)
        if (loop->stride[t][outer] != loop->stride[t][inner] * loop->shape[inner]) return false;
    return true;
}

static void merge(struct smelt_loop *loop)
{
    int kept = 0;
    for (int i = 1; i < loop->axes; i++) {
        if (mergeable(loop, kept, i)) {
            loop->shape[kept] *= loop->shape[i];
        } else {
            kept++;
            loop->shape[kept] = loop->shape[i];
        }
        for (int t = 0; t < loop->tensors; t++) loop->stride[t][kept] = loop->stride[t][i];
    }
    if (loop->axes) loop->axes = kept + 1;
}

void smelt_loop_init(struct smelt_loop *loop, int tensors, const struct smelt_view *const *views, int axes,
                     bool reorder)
{
    const struct smelt_view *first = views[0];
    loop->axes = 0, loop->tensors = tensors, loop->items = 1;
    for (int i = 0; i < axes; i++) {
        loop->items *= first->shape[i];
        if (first->shape[i] > 1) push_axis(loop, views, i, first->shape[i]);
    }
    if (reorder)
        for (int i = 1; i < loop->axes; i++)
            for (int j = i; j > 0 && magnitude(loop->stride[0][j - 1]) < magnitude(loop->stride[0][j]); j--)
                swap_axes(loop, j - 1, j);
    merge(loop);
    if (!loop->axes) {
        loop->axes = 1, loop->shape[0] = loop->items ? 1 : 0;
        for (int t = 0; t < tensors; t++) loop->stride[t][0] = 0;
    }
    for (int t = 0; t < tensors; t++) loop->step[t] = loop->stride[t][loop->axes - 1];
}

static void locate(const struct smelt_loop *loop, struct smelt_span *span)
{
    int64_t rest = span->first, last = loop->shape[loop->axes - 1];
    for (int t = 0; t < loop->tensors; t++) span->offset[t] = 0;
    span->count = last - rest % last;
    if (span->count > span->end - span->first) span->count = span->end - span->first;
    for (int i = loop->axes - 1; i >= 0; i--) {
        int64_t index = i ? rest % loop->shape[i] : rest;
        rest /= loop->shape[i];
        for (int t = 0; t < loop->tensors; t++) span->offset[t] += index * loop->stride[t][i];
    }
}

struct smelt_span smelt_loop_span(const struct smelt_loop *loop, int64_t begin, int64_t end)
{
    struct smelt_span span = {.first = begin, .end = end};
    if (begin < end) locate(loop, &span);
    return span;
}

void smelt_loop_next(const struct smelt_loop *loop, struct smelt_span *span)
{
    span->first += span->count;
    span->count = 0;
    if (span->first < span->end) locate(loop, span);
}
