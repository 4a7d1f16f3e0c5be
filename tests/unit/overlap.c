/* SPDX-License-Identifier: Apache-2.0 */
/* Whether layouts share memory: the bounded search against marking every byte. */
#include "core/tensor.h"
#include "unit.h"

static uint64_t state = 42;
static int64_t draw(int64_t least, int64_t most)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    return least + (int64_t)((state >> 33) % (uint64_t)(most - least + 1));
}

enum { BYTES = 4096 };
static char memory[BYTES];

static void random_view(struct smelt_view *view, int rank, const int64_t *strides)
{
    *view = (struct smelt_view){.name = "view", .rank = rank, .dtype = SMELT_F32, .item = 4, .elements = 1};
    for (int i = 0; i < rank; i++) {
        view->shape[i] = draw(1, 4);
        view->stride[i] = view->shape[i] > 1 ? (strides ? strides[i] : draw(-9, 9)) : 0;
        view->elements *= view->shape[i];
    }
    view->data = memory + BYTES / 2 + draw(-40, 40);
}

/* Adds one to every byte of every element; returns the largest count. */
static int mark(const struct smelt_view *view, unsigned char *counts)
{
    int most = 0;
    for (int64_t flat = 0; flat < view->elements; flat++) {
        int64_t rest = flat, offset = 0;
        for (int i = view->rank - 1; i >= 0; i--)
            offset += rest % view->shape[i] * view->stride[i], rest /= view->shape[i];
        for (int64_t b = 0; b < view->item; b++) {
            unsigned char *count = &counts[view->data - memory + offset * view->item + b];
            if (++*count > most) most = *count;
        }
    }
    return most;
}

int main(void)
{
    int injective = 0, overlapping = 0;
    for (int run = 0; run < 20000; run++) {
        unsigned char counts[BYTES] = {0};
        struct smelt_view view;
        random_view(&view, (int)draw(0, 4), NULL);
        int expected = mark(&view, counts) <= 1;
        injective += expected;
        UNIT(smelt_view_is_injective(&view) == expected);
    }
    for (int run = 0; run < 20000; run++) { /* equal strides: exact, interleaved slices included */
        unsigned char counts[BYTES] = {0};
        struct smelt_view a, b;
        int64_t strides[4];
        int rank = (int)draw(1, 4);
        for (int i = 0; i < rank; i++) strides[i] = draw(1, 12) * (draw(0, 5) ? 1 : -1);
        random_view(&a, rank, strides);
        random_view(&b, rank, strides);
        if (!smelt_view_is_injective(&a) || !smelt_view_is_injective(&b)) continue;
        mark(&a, counts);
        int expected = mark(&b, counts) > 1;
        overlapping += expected;
        UNIT(smelt_views_overlap(&a, &b) == expected);
    }
    UNIT(injective > 2000 && overlapping > 500); /* both answers occur */

    /* Two halves of a fused buffer interleave row by row without sharing an element. */
    struct smelt_view gate = {
        .rank = 2, .item = 4, .elements = 12, .shape = {3, 4}, .stride = {8, 1}, .data = memory};
    struct smelt_view up = gate;
    up.data += 16;
    UNIT(!smelt_views_overlap(&gate, &up));
    up.data -= 4;
    UNIT(smelt_views_overlap(&gate, &up));
    return unit_end();
}
