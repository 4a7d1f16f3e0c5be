/* SPDX-License-Identifier: Apache-2.0 */
/* Descriptors for the fuzzer. */
#include "arguments.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

_Alignas(64) unsigned char fuzz_arena[FUZZ_ARENA];
static unsigned char before[FUZZ_ARENA];

unsigned fuzz_byte(struct fuzz *f)
{
    if (!f->left) return 0;
    f->left--;
    return *f->bytes++;
}

bool fuzz_chance(struct fuzz *f, unsigned of256) { return f->left && fuzz_byte(f) < of256; }

int64_t fuzz_size(struct fuzz *f)
{
    static const int64_t sizes[16] = {1, 2, 3, 4, 5, 7, 8, 1, 9, 16, 17, 2, 4, 33, 64, 0};
    return sizes[fuzz_byte(f) % 16];
}

int64_t fuzz_hostile(struct fuzz *f)
{
    static const int64_t numbers[16] = {-1,
                                        0,
                                        1,
                                        2,
                                        3,
                                        -2,
                                        INT64_MAX,
                                        INT64_MIN,
                                        INT64_MAX / 2,
                                        (int64_t)1 << 31,
                                        (int64_t)1 << 32,
                                        -((int64_t)1 << 40),
                                        (int64_t)1 << 62,
                                        1000,
                                        64,
                                        -64};
    return numbers[fuzz_byte(f) % 16];
}

float fuzz_float(struct fuzz *f)
{
    static const float numbers[8] = {NAN, INFINITY, -INFINITY, -1.0f, 0.0f, -0.0f, 1e38f, 1e-40f};
    return fuzz_chance(f, 32) ? numbers[fuzz_byte(f) % 8] : 1.0f;
}

uint32_t fuzz_struct_size(struct fuzz *f, size_t right)
{
    return fuzz_chance(f, 8) ? (uint32_t)fuzz_byte(f) % ((uint32_t)right + 1) : (uint32_t)right;
}

static void spoil(struct fuzz *f, struct fuzz_tensor *t)
{
    static const uint8_t codes[8] = {kDLFloat, kDLBfloat, kDLInt, kDLUInt, kDLBool, kDLComplex, 99, kDLFloat};
    static const uint8_t bits[8] = {32, 16, 64, 8, 32, 128, 1, 0};
    int axis = t->tensor.ndim > 0 ? (int)(fuzz_byte(f) % (unsigned)t->tensor.ndim) : 0;
    switch (fuzz_byte(f) % 12) {
    case 0: t->tensor.ndim = (int32_t)(int8_t)fuzz_byte(f) % FUZZ_RANK; break;
    case 1: t->shape[axis] = fuzz_hostile(f); break;
    case 2: t->strides[axis] = fuzz_hostile(f); break;
    case 3: t->tensor.dtype.code = codes[fuzz_byte(f) % 8]; break;
    case 4: t->tensor.dtype.bits = bits[fuzz_byte(f) % 8]; break;
    case 5: t->tensor.dtype.lanes = (uint16_t)fuzz_byte(f); break;
    case 6: t->tensor.data = NULL; break;
    case 7: t->tensor.byte_offset = fuzz_byte(f) % 9; break;
    case 8: t->tensor.device.device_type = (DLDeviceType)(1 + fuzz_byte(f) % 17); break;
    case 9: t->tensor.shape = NULL; break;
    case 10: t->tensor.strides = NULL; break;
    default: t->strides[axis] = (int8_t)fuzz_byte(f); break;
    }
}

/* A descriptor that a library may follow must stay inside the arena; one that would leave it loses its data,
 * and must be refused for that if for nothing else. */
static void confine(struct fuzz_tensor *t, size_t place)
{
    DLTensor *d = &t->tensor;
    int64_t item = d->dtype.bits / 8 * d->dtype.lanes, below = 0, above = 0, row_major = 1;
    bool empty = false, wild = d->ndim < 0 || d->ndim > FUZZ_RANK || !d->data || d->byte_offset > 64;
    for (int i = wild || !d->shape ? -1 : d->ndim - 1; i >= 0 && !wild; i--) {
        int64_t n = t->shape[i], stride = d->strides ? t->strides[i] : row_major;
        if (n < 0 || n > 4096 || row_major > FUZZ_ARENA)
            wild = true;
        else if (n == 0)
            empty = true;
        else if (n > 1 && (stride < -FUZZ_ARENA || stride > FUZZ_ARENA))
            wild = true;
        else if (n > 1)
            *(stride < 0 ? &below : &above) += stride * (n - 1) * item;
        if (!wild && n > 0) row_major *= n;
    }
    int64_t size = above - below + item + 72;
    if (wild || empty || size > FUZZ_ARENA) {
        if (!empty || wild) d->data = NULL;
        return;
    }
    d->data = fuzz_arena + (place % (size_t)(FUZZ_ARENA - size + 1)) / 8 * 8 - below;
}

DLTensor *fuzz_tensor(struct fuzz *f, enum smelt_dtype dtype, int rank, const int64_t *shape, bool output)
{
    if (f->tensors == FUZZ_TENSORS || fuzz_chance(f, 2)) return NULL;
    struct fuzz_tensor *t = &f->tensor[f->tensors++];
    memset(t, 0, sizeof *t);
    t->output = output;
    t->tensor = (DLTensor){.data = fuzz_arena,
                           .device = {kDLCPU, 0},
                           .ndim = rank,
                           .dtype = smelt_dl_type(dtype),
                           .shape = t->shape,
                           .strides = t->strides};
    int64_t stride = 1;
    for (int i = rank - 1; i >= 0; i--) {
        t->shape[i] = shape[i];
        if (fuzz_chance(f, 10)) stride += fuzz_byte(f) % 3;
        t->strides[i] = fuzz_chance(f, 8) ? -stride : stride;
        if (!output && fuzz_chance(f, 8)) t->strides[i] = 0;
        stride *= shape[i] ? shape[i] : 1;
    }
    if (fuzz_chance(f, 20)) spoil(f, t);
    /* Apart from each other by default, anywhere now and then, exactly on an earlier one now and then. */
    size_t place = (size_t)f->tensors * (FUZZ_ARENA / FUZZ_TENSORS);
    if (fuzz_chance(f, 16)) place = (size_t)fuzz_byte(f) << 10 | (size_t)fuzz_byte(f) << 2;
    confine(t, place);
    if (output && f->tensors > 1 && fuzz_chance(f, 24)) {
        const struct fuzz_tensor *other = &f->tensor[fuzz_byte(f) % (unsigned)(f->tensors - 1)];
        if (other->tensor.ndim == rank && other->tensor.data &&
            !memcmp(other->shape, t->shape, sizeof t->shape) &&
            !memcmp(&other->tensor.dtype, &t->tensor.dtype, sizeof t->tensor.dtype)) {
            memcpy(t->strides, other->strides, sizeof t->strides);
            t->tensor.data = other->tensor.data;
            t->tensor.byte_offset = other->tensor.byte_offset;
            t->tensor.strides = other->tensor.strides ? t->strides : NULL;
        }
    }
    return &t->tensor;
}

DLTensor *fuzz_maybe(struct fuzz *f, enum smelt_dtype dtype, int rank, const int64_t *shape, bool output)
{
    return fuzz_chance(f, 128) ? fuzz_tensor(f, dtype, rank, shape, output) : NULL;
}

const smelt_stream *fuzz_stream(struct fuzz *f)
{
    if (!fuzz_chance(f, 64)) return NULL;
    f->stream = (smelt_stream)SMELT_STREAM_INIT;
    f->stream.struct_size = fuzz_struct_size(f, sizeof f->stream);
    f->stream.num_threads = (int8_t)fuzz_byte(f) % 5;
    return &f->stream;
}

void fuzz_before(struct fuzz *f)
{
    (void)f;
    memcpy(before, fuzz_arena, FUZZ_ARENA);
}

/* Gives the snapshot what lies in the range of an output now. */
static void accept_range(const struct fuzz_tensor *t)
{
    const DLTensor *d = &t->tensor;
    int64_t item = d->dtype.bits / 8, below = 0, above = 0, row_major = 1;
    if (!d->data) return; /* hostile, and so not an argument of a call that succeeded */
    for (int i = d->ndim - 1; i >= 0; i--) {
        if (t->shape[i] == 0) return;
        int64_t reach =
            t->shape[i] > 1 ? (d->strides ? t->strides[i] : row_major) * (t->shape[i] - 1) * item : 0;
        *(reach < 0 ? &below : &above) += reach;
        row_major *= t->shape[i];
    }
    const unsigned char *first = (const unsigned char *)d->data + d->byte_offset + below;
    memcpy(before + (first - fuzz_arena), first, (size_t)(above - below + item));
}

void fuzz_after(struct fuzz *f, const char *function, smelt_status status)
{
    if (status == SMELT_OK)
        for (int i = 0; i < f->tensors; i++)
            if (f->tensor[i].output) accept_range(&f->tensor[i]);
    if (memcmp(before, fuzz_arena, FUZZ_ARENA)) {
        fprintf(stderr, "%s: %s, and memory that is not its output changed\n", function,
                smelt_status_string(status));
        abort();
    }
    if (status != SMELT_OK && (!*smelt_last_error() || status == SMELT_INTERNAL_ERROR)) {
        fprintf(stderr, "%s: %s: \"%s\"\n", function, smelt_status_string(status), smelt_last_error());
        abort();
    }
}
