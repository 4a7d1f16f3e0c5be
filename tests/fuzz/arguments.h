/* SPDX-License-Identifier: Apache-2.0 */
/* From the fuzzer's bytes to tensor descriptors: mostly legal ones of shapes that fit together, with a fault
 * now and then. All memory is one arena, so that tensors overlap often and every stray write is seen. */
#ifndef SMELT_TESTS_FUZZ_ARGUMENTS_H
#define SMELT_TESTS_FUZZ_ARGUMENTS_H

#include <stdbool.h>
#include <stddef.h>

#include <smelt/smelt.h>

#include "core/dtype.h"

enum { FUZZ_ARENA = 1 << 18, FUZZ_TENSORS = 24, FUZZ_RANK = 40 };

struct fuzz_tensor {
    DLTensor tensor;
    int64_t shape[FUZZ_RANK], strides[FUZZ_RANK];
    bool output;
};

struct fuzz {
    const uint8_t *bytes;
    size_t left;
    int tensors;
    struct fuzz_tensor tensor[FUZZ_TENSORS];
    enum smelt_dtype dtype; /* of this call */
    smelt_stream stream;
};

extern unsigned char fuzz_arena[FUZZ_ARENA];

unsigned fuzz_byte(struct fuzz *f);               /* 0 when the bytes have run out */
bool fuzz_chance(struct fuzz *f, unsigned of256); /* false when the bytes have run out */
int64_t fuzz_size(struct fuzz *f);                /* a small length, 0 now and then */
int64_t fuzz_hostile(struct fuzz *f);             /* a number that nobody should pass */
float fuzz_float(struct fuzz *f);                 /* 1 mostly; else NaN, infinities, negatives, zero */
uint32_t fuzz_struct_size(struct fuzz *f, size_t right);

/* An argument of this shape and dtype; NULL now and then. Memory anywhere in the arena. */
DLTensor *fuzz_tensor(struct fuzz *f, enum smelt_dtype dtype, int rank, const int64_t *shape, bool output);
DLTensor *fuzz_maybe(struct fuzz *f, enum smelt_dtype dtype, int rank, const int64_t *shape, bool output);
const smelt_stream *fuzz_stream(struct fuzz *f);

/* After a failed call nothing in the arena may differ from before; after one that succeeded, nothing outside
 * the ranges of the outputs. Aborts with a message where it does. */
void fuzz_before(struct fuzz *f);
void fuzz_after(struct fuzz *f, const char *function, smelt_status status);

#endif
