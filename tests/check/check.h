/* SPDX-License-Identifier: Apache-2.0 */
/* The harness behind `smelt check`: every kernel of every operation, dtype and ISA against src/ref, on random
 * shapes and layouts, with guard bands around every tensor. One file per operation beside this one, listed in
 * check.inc:
 *
 *     void check_glu(struct check *c)                   called once per ISA and dtype
 *     {
 *         if (!check_begin(c, "silu")) return;          starts a row of the report
 *         while (check_case(c)) {                       a number of random cases, each with a seed of its own
 *             DLTensor *x = check_input(c, c->dtype, rank, shape);
 *             DLTensor *out = check_output(c, c->dtype, rank, shape);
 *             check_status(c, smelt_...(out, x, ...));
 *             ref_...(check_wide(c, out), x, ...);      a float64 twin of the output for the reference
 *             check_close(c, out, tolerance, tolerance);
 *         }
 *     }
 *
 * Tensors live until the case ends. Layouts are drawn at random: row-major, padded, transposed, negative
 * strides, broadcast (inputs), with a byte offset. */
#ifndef SMELT_TESTS_CHECK_H
#define SMELT_TESTS_CHECK_H

#include <stdbool.h>
#include <stdio.h>

#include "core/cpu.h"
#include "core/dtype.h"
#include "ref/ref.h"

enum { CHECK_TENSORS = 48, CHECK_RANK = 8 };

struct check_tensor {
    DLTensor tensor;
    int64_t shape[CHECK_RANK], strides[CHECK_RANK];
    unsigned char *memory, *before; /* the allocation, and what it held when it was handed out */
    size_t size;
    bool output;
    int wide; /* index of the float64 twin, or -1 */
};

struct check {
    const char *operation;  /* as named in check.inc */
    enum smelt_dtype dtype; /* of this round */
    enum smelt_isa isa;     /* likewise; the library is capped to it */
    uint64_t seed;          /* of the whole run */
    int cases;              /* per row */

    char row[64];      /* the row being filled */
    int done;          /* cases begun in this row */
    uint64_t random;   /* state of the generator */
    bool plain;        /* this case: contiguous layouts only */
    double worst;      /* largest error of the row, as a share of its tolerance */
    double error;      /* largest absolute error of the row */
    char failure[512]; /* the first failure of the row, or "" */

    int rows, failed; /* of the whole run */
    void (*report)(const struct check *c, bool passed);
    int tensors;
    struct check_tensor tensor[CHECK_TENSORS];
};

bool check_begin(struct check *c, const char *variant);
bool check_case(struct check *c);

/* Random numbers of the case. */
uint64_t check_random(struct check *c);
int64_t check_range(struct check *c, int64_t least, int64_t most); /* both included */
double check_uniform(struct check *c, double least, double most);
double check_normal(struct check *c);
bool check_chance(struct check *c, int percent);
/* A length as kernels meet them: often around a vector width or a power of two, mostly small. */
int64_t check_length(struct check *c, int64_t most);
/* A random shape of the given rank with at most `most` elements before the last axis of length `last`. */
void check_shape(struct check *c, int rank, int64_t last, int64_t most, int64_t *shape);

/* Tensors with a random layout. Inputs of floating dtype are normal, integers 0; outputs are poison. */
DLTensor *check_input(struct check *c, enum smelt_dtype dtype, int rank, const int64_t *shape);
DLTensor *check_output(struct check *c, enum smelt_dtype dtype, int rank, const int64_t *shape);
/* Row-major, whatever the case draws. */
DLTensor *check_packed(struct check *c, enum smelt_dtype dtype, int rank, const int64_t *shape);
/* After filling an input by hand (ref_store): what it holds now is what must be unchanged. */
void check_filled(struct check *c, DLTensor *tensor);
/* `tensor` is written in place: it counts as an output from now on. */
void check_in_place(struct check *c, DLTensor *tensor);
/* The float64 tensor of the same shape that the reference fills for check_close(). */
DLTensor *check_wide(struct check *c, DLTensor *output);

/* Verdicts; the first failure of a row is kept. */
void check_fail(struct check *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
void check_status(struct check *c, smelt_status status);
/* |out - wide| <= absolute + relative * |wide| for every element; NaN where NaN, infinities equal. An element
 * that the output dtype cannot hold better than that is right when it is the nearest value. Guards are looked
 * at as well. */
void check_close(struct check *c, DLTensor *output, double absolute, double relative);
/* Every byte that is no element of an output is as it was. Called by check_case() for all tensors of the last
 * case. */
void check_guards(struct check *c);

/* All rows of the operations, ISAs and dtypes asked for. Returns the number of failed rows. */
struct check_request {
    const char *const *operations; /* names of check.inc */
    int operation_count;           /* 0: all */
    int isa;                       /* -1: all that this machine may use */
    int dtype;                     /* -1: all */
    uint64_t seed;
    int cases; /* 0: the usual number */
};
int check_run(const struct check_request *request, void (*report)(const struct check *c, bool passed),
              int *rows);
bool check_has(const char *operation);

#endif
