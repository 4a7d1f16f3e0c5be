/* SPDX-License-Identifier: Apache-2.0 */
/* Tensors of the harness: random layouts inside guarded memory. */
#include <stdlib.h>
#include <string.h>

#include "check.h"

enum { GUARD = 192 }; /* bytes on either side, more than any vector */

static void layout_strides(struct check *c, struct check_tensor *t, bool broadcast)
{
    int rank = t->tensor.ndim, order[CHECK_RANK];
    for (int i = 0; i < rank; i++) order[i] = i;
    int style = c->plain ? 0 : (int)check_range(c, 0, 5);
    if (style == 2 || style == 5) /* any order of the axes in memory */
        for (int i = rank - 1; i > 0; i--) {
            int j = (int)check_range(c, 0, i), swapped = order[i];
            order[i] = order[j], order[j] = swapped;
        }
    int64_t stride = 1;
    for (int i = rank - 1; i >= 0; i--) {
        int axis = order[i];
        bool gap = (style == 1 && i < rank - 1) || (style >= 4 && i < rank - 1 && check_chance(c, 40));
        if (style == 3 && i == rank - 1) stride = check_range(c, 2, 3);
        if (gap) stride += check_range(c, 1, 5);
        t->strides[axis] = stride;
        stride *= t->shape[axis] ? t->shape[axis] : 1;
        if (style == 4 && check_chance(c, 30)) t->strides[axis] = -t->strides[axis];
        if (broadcast && style == 5 && check_chance(c, 30)) t->strides[axis] = 0;
        if (t->shape[axis] == 1 && check_chance(c, 30))
            t->strides[axis] = check_range(c, -99, 99); /* means nothing */
    }
}

/* Allocates for the strides, with the first element where negative strides need it. */
static void allocate(struct check *c, struct check_tensor *t)
{
    int64_t item = smelt_dtype_size(smelt_dtype_of(t->tensor.dtype)), below = 0, above = 0;
    for (int i = 0; i < t->tensor.ndim; i++) {
        int64_t reach = t->shape[i] > 1 ? (t->shape[i] - 1) * t->strides[i] * item : 0;
        *(reach < 0 ? &below : &above) += reach;
    }
    int64_t shift = c->plain ? 0 : check_range(c, 0, 9) * item;
    t->size = (size_t)(above - below + item + shift + 2 * GUARD + 64);
    t->memory = malloc(t->size);
    t->before = malloc(t->size);
    if (!t->memory || !t->before) abort();
    for (size_t i = 0; i < t->size; i++) t->memory[i] = (unsigned char)(0xa5 ^ i);
    char *first = (char *)(((uintptr_t)t->memory + GUARD + 63) & ~(uintptr_t)63) - below + shift;
    int64_t offset = c->plain ? 0 : check_range(c, 0, 3) * item;
    t->tensor.data = first - offset;
    t->tensor.byte_offset = (uint64_t)offset;
}

static struct check_tensor *make(struct check *c, enum smelt_dtype dtype, int rank, const int64_t *shape,
                                 bool output, bool packed)
{
    if (c->tensors == CHECK_TENSORS || rank > CHECK_RANK) abort();
    struct check_tensor *t = &c->tensor[c->tensors++];
    memset(t, 0, sizeof *t);
    t->tensor = (DLTensor){.device = {kDLCPU, 0},
                           .ndim = rank,
                           .dtype = smelt_dl_type(dtype),
                           .shape = t->shape,
                           .strides = t->strides};
    t->output = output, t->wide = -1;
    memcpy(t->shape, shape, (size_t)rank * sizeof *shape);
    bool plain = c->plain;
    c->plain |= packed;
    layout_strides(c, t, !output);
    allocate(c, t);
    if (c->plain && check_chance(c, 50)) t->tensor.strides = NULL;
    c->plain = plain;
    return t;
}

static struct check_tensor *find(struct check *c, const DLTensor *tensor)
{
    for (int i = 0; i < c->tensors; i++)
        if (&c->tensor[i].tensor == tensor) return &c->tensor[i];
    abort();
}

static DLTensor *fill_input(struct check *c, struct check_tensor *t, enum smelt_dtype dtype)
{
    int64_t count = ref_count(&t->tensor);
    for (int64_t i = 0; i < count; i++) ref_store(&t->tensor, i, dtype <= SMELT_F64 ? check_normal(c) : 0);
    check_filled(c, &t->tensor);
    return &t->tensor;
}

DLTensor *check_input(struct check *c, enum smelt_dtype dtype, int rank, const int64_t *shape)
{
    return fill_input(c, make(c, dtype, rank, shape, false, false), dtype);
}

DLTensor *check_packed(struct check *c, enum smelt_dtype dtype, int rank, const int64_t *shape)
{
    return fill_input(c, make(c, dtype, rank, shape, false, true), dtype);
}

DLTensor *check_output(struct check *c, enum smelt_dtype dtype, int rank, const int64_t *shape)
{
    struct check_tensor *t = make(c, dtype, rank, shape, true, false);
    check_filled(c, &t->tensor);
    return &t->tensor;
}

void check_filled(struct check *c, DLTensor *tensor)
{
    struct check_tensor *t = find(c, tensor);
    memcpy(t->before, t->memory, t->size);
}

void check_in_place(struct check *c, DLTensor *tensor) { find(c, tensor)->output = true; }

DLTensor *check_wide(struct check *c, DLTensor *output)
{
    struct check_tensor *t = find(c, output);
    if (t->wide < 0) {
        make(c, SMELT_F64, output->ndim, output->shape, true, true);
        t->wide = c->tensors - 1;
        c->tensor[t->wide].output = true;
        check_filled(c, &c->tensor[t->wide].tensor);
    }
    return &c->tensor[t->wide].tensor;
}

/* Copies the elements of an output over its own snapshot: whatever differs after that is no element. */
static void accept_elements(struct check_tensor *t)
{
    int64_t item = smelt_dtype_size(ref_dtype(&t->tensor)), count = ref_count(&t->tensor),
            index[CHECK_RANK] = {0};
    char *first = (char *)t->tensor.data + t->tensor.byte_offset;
    for (int64_t n = 0; n < count; n++) {
        int64_t offset = 0;
        for (int i = 0; i < t->tensor.ndim; i++) offset += index[i] * t->strides[i] * item;
        memcpy(t->before + (first + offset - (char *)t->memory), first + offset, (size_t)item);
        for (int i = t->tensor.ndim - 1; i >= 0 && ++index[i] == t->shape[i]; i--) index[i] = 0;
    }
}

void check_guards(struct check *c)
{
    for (int i = 0; i < c->tensors; i++) {
        struct check_tensor *t = &c->tensor[i];
        if (t->output) accept_elements(t);
        if (memcmp(t->memory, t->before, t->size))
            check_fail(c, t->output ? "output %d: written outside its elements" : "input %d: was changed", i);
        free(t->memory);
        free(t->before);
    }
    c->tensors = 0;
}
