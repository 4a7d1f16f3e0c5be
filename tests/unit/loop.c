/* SPDX-License-Identifier: Apache-2.0 */
/* The shared walk over leading axes: every item once, at the right offsets, for any cut. */
#include "core/loop.h"
#include "unit.h"

static uint64_t state = 7;
static int64_t draw(int64_t least, int64_t most)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return least + (int64_t)((state >> 33) % (uint64_t)(most - least + 1));
}

static int64_t offset_of(const struct smelt_view *view, int axes, int64_t flat)
{
    int64_t offset = 0;
    for (int i = axes - 1; i >= 0; i--)
        offset += flat % view->shape[i] * view->stride[i] * view->item, flat /= view->shape[i];
    return offset;
}

/* In order, so that item n of the walk is item n of the shape. */
static void check_walk(const struct smelt_loop *loop, const struct smelt_view *const *views, int axes)
{
    int64_t cut = loop->items ? draw(0, loop->items) : 0, seen = 0, wrong = 0;
    const int64_t parts[3] = {0, cut, loop->items};
    for (int part = 0; part < 2; part++)
        for (struct smelt_span s = smelt_loop_span(loop, parts[part], parts[part + 1]); s.count;
             smelt_loop_next(loop, &s))
            for (int64_t i = 0; i < s.count; i++, seen++)
                for (int t = 0; t < loop->tensors; t++)
                    wrong += s.offset[t] + i * loop->step[t] !=
                             (views[t] ? offset_of(views[t], axes, s.first + i) : 0);
    UNIT(seen == loop->items && wrong == 0);
}

int main(void)
{
    for (int run = 0; run < 3000; run++) {
        struct smelt_view a = {.rank = 4, .item = 4}, b = {.rank = 4, .item = 2};
        int64_t row_major = 1;
        for (int i = 3; i >= 0; i--) {
            a.shape[i] = b.shape[i] = draw(0, 20) ? draw(1, 4) : 0;
            a.stride[i] = draw(0, 2) ? row_major : draw(-50, 50);
            b.stride[i] = draw(0, 2) ? row_major : 0;
            row_major *= a.shape[i];
        }
        const struct smelt_view *views[3] = {&a, &b, NULL};
        struct smelt_loop loop;
        int axes = (int)draw(0, 4);
        smelt_loop_init(&loop, 3, views, axes, false);
        check_walk(&loop, views, axes);
    }
    /* A contiguous tensor is one axis; rows of a (B, T, H, D) view are two. */
    struct smelt_view flat = {.rank = 3, .item = 4, .shape = {2, 3, 4}, .stride = {12, 4, 1}};
    const struct smelt_view *one[1] = {&flat};
    struct smelt_loop loop;
    smelt_loop_init(&loop, 1, one, 3, false);
    UNIT(loop.axes == 1 && loop.items == 24 && loop.step[0] == 4);
    struct smelt_view swapped = {.rank = 3, .item = 4, .shape = {2, 3, 4}, .stride = {4, 8, 1}};
    one[0] = &swapped;
    smelt_loop_init(&loop, 1, one, 3, true); /* any order: memory order */
    UNIT(loop.axes == 1 && loop.step[0] == 4);
    return unit_end();
}
