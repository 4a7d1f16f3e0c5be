/* SPDX-License-Identifier: Apache-2.0 */
/* Whether tensors share memory. Two elements meet where a sum of strides times index differences hits a small
 * interval of bytes: a bounded search over the axes, largest stride first, with the reach of the smaller ones
 * as the bound. For layouts that arise in practice (each stride at least the reach of the smaller ones) it
 * visits a handful of nodes. */
#include "core/tensor.h"

enum { MOST_NODES = 20000 };

struct search {
    int axes;
    int64_t stride[SMELT_MAX_RANK];                                        /* positive, descending, bytes */
    int64_t low[SMELT_MAX_RANK], high[SMELT_MAX_RANK];                     /* range of the index difference */
    int64_t reach_low[SMELT_MAX_RANK + 1], reach_high[SMELT_MAX_RANK + 1]; /* of axes i and after */
    int64_t target_low, target_high;
    int nodes;
};

static int64_t floor_divide(int64_t a, int64_t b) { return a / b - (a % b < 0); }

/* Some choice of axes i.. lands in the target minus `sum`; `moved`: an earlier axis has a difference other
 * than 0. Without `moved` all differences 0 is the same element, which does not count where `self` is asked
 * for. */
static bool search_axis(struct search *s, int i, int64_t sum, bool moved)
{
    if (++s->nodes > MOST_NODES) return true;
    int64_t low = s->target_low - sum, high = s->target_high - sum;
    if (i == s->axes) return moved && low <= 0 && 0 <= high;
    int64_t first = -floor_divide(-(low - s->reach_high[i + 1]), s->stride[i]);
    int64_t last = floor_divide(high - s->reach_low[i + 1], s->stride[i]);
    if (first < s->low[i]) first = s->low[i];
    if (last > s->high[i]) last = s->high[i];
    for (int64_t d = first; d <= last; d++) {
        if (search_axis(s, i + 1, sum + d * s->stride[i], moved || d != 0)) return true;
        if (s->nodes > MOST_NODES) return true;
    }
    return false;
}

static void add_axis(struct search *s, int64_t stride, int64_t low, int64_t high)
{
    int at = s->axes++;
    if (stride < 0) {
        int64_t swapped = -low;
        stride = -stride, low = -high, high = swapped;
    }
    for (; at > 0 && s->stride[at - 1] < stride; at--) {
        s->stride[at] = s->stride[at - 1];
        s->low[at] = s->low[at - 1];
        s->high[at] = s->high[at - 1];
    }
    s->stride[at] = stride, s->low[at] = low, s->high[at] = high;
}

static bool search_run(struct search *s, bool moved)
{
    s->reach_low[s->axes] = s->reach_high[s->axes] = 0;
    for (int i = s->axes - 1; i >= 0; i--) {
        s->reach_low[i] = s->reach_low[i + 1] + s->low[i] * s->stride[i];
        s->reach_high[i] = s->reach_high[i + 1] + s->high[i] * s->stride[i];
    }
    s->nodes = 0;
    return search_axis(s, 0, 0, moved);
}

bool smelt_view_is_injective(const struct smelt_view *view)
{
    if (view->elements <= 1 || smelt_view_is_contiguous(view)) return true;
    struct search s = {0};
    for (int i = 0; i < view->rank; i++) {
        if (view->shape[i] <= 1) continue;
        if (view->stride[i] == 0) return false;
        add_axis(&s, view->stride[i] * view->item, -(view->shape[i] - 1), view->shape[i] - 1);
    }
    s.target_low = -(view->item - 1), s.target_high = view->item - 1;
    return !search_run(&s, false);
}

static void range(const struct smelt_view *view, const char **begin, const char **end)
{
    int64_t below = 0, above = 0;
    for (int i = 0; i < view->rank; i++) {
        int64_t distance = view->stride[i] * (view->shape[i] - 1) * view->item;
        if (distance < 0)
            below += distance;
        else
            above += distance;
    }
    *begin = view->data + below;
    *end = view->data + above + view->item;
}

/* Strides agree on every axis that either view walks: then differences of indices stay differences. */
static bool same_strides(const struct smelt_view *a, const struct smelt_view *b)
{
    if (a->rank != b->rank || a->item != b->item) return false;
    for (int i = 0; i < a->rank; i++)
        if (a->shape[i] > 1 && b->shape[i] > 1 && a->stride[i] != b->stride[i]) return false;
    return true;
}

bool smelt_views_overlap(const struct smelt_view *a, const struct smelt_view *b)
{
    if (!a->elements || !b->elements) return false;
    const char *a_begin, *a_end, *b_begin, *b_end;
    range(a, &a_begin, &a_end);
    range(b, &b_begin, &b_end);
    if (a_end <= b_begin || b_end <= a_begin) return false;
    if (!same_strides(a, b)) return true;
    struct search s = {0};
    for (int i = 0; i < a->rank; i++) {
        int64_t stride = a->shape[i] > 1 ? a->stride[i] : b->stride[i];
        if (stride == 0 || (a->shape[i] <= 1 && b->shape[i] <= 1)) continue;
        add_axis(&s, stride * a->item, -(b->shape[i] - 1), a->shape[i] - 1);
    }
    int64_t delta = b->data - a->data;
    s.target_low = delta - (a->item - 1), s.target_high = delta + (a->item - 1);
    return search_run(&s, true);
}
