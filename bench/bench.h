/* SPDX-License-Identifier: Apache-2.0 */
/* The harness behind `smelt bench`: every operation on the shapes of models, beside what the machine can do,
 * measured in the same run and by turns. One file per operation beside this one, listed in bench.inc:
 *
 *     static smelt_status run(void *argument)           one call, nothing else: this is what is timed
 *     {
 *         struct call *a = argument;
 *         return smelt_glu(a->out, a->gate, a->up, SMELT_SILU, NULL);
 *     }
 *
 *     void bench_glu(struct bench *b)                   called once per dtype
 *     {
 *         if (bench_begin(b, "glu silu", "%d x %d", 8192, 4096)) {
 *             struct call a = {bench_output(b, b->dtype, 2, shape), bench_input(b, b->dtype, 2, shape), ...};
 *             struct bench_work work = {.limit = BENCH_MEMORY, .inputs = 2, .outputs = 1,
 *                                       .bytes = bench_bytes(a.out) + ...};
 *             bench_time(b, &work, run, &a);
 *         }
 *     }
 *
 * Tensors are row-major, on large pages where the system has them, first touched by the threads that smelt
 * works with, and live until the next bench_begin(). Operation and shape are what a rival is asked for, so
 * write them as the others do: "8192 x 4096" for rows; "H32 T2048 D128", "H32 T2048 D128 causal" for
 * attention; "H32/8 K32768 D128" for decoding. */
#ifndef SMELT_BENCH_H
#define SMELT_BENCH_H

#include <stdbool.h>
#include <stdio.h>

#include "core/dtype.h"
#include <smelt/smelt.h>

/* What an operation cannot be faster than. */
enum bench_limit {
    BENCH_MEMORY, /* the best loop over `inputs` read and `outputs` written streams of the same total bytes */
    BENCH_CACHE,  /* a copy, ordinary stores, of the same total bytes, over and over */
    BENCH_READ,   /* reading as many bytes from memory, at least several times the last-level cache */
    BENCH_FMA,    /* float32 multiply-add */
    BENCH_DOT,    /* bfloat16 dot products where the processor has them, else BENCH_FMA */
    BENCH_CALL,   /* none: the time of a small call is the result */
};

struct bench_work {
    enum bench_limit limit;
    int inputs, outputs; /* BENCH_MEMORY: 1 to 4, 1 to 3 */
    double bytes;        /* that must move: every input and output once */
    double flops;        /* BENCH_FMA and BENCH_DOT: floating-point operations, 2 for a multiply-add */
};

enum { BENCH_TENSORS = 32, BENCH_RANK = 5, BENCH_RIVALS = 8 };

struct bench_result {
    double seconds; /* median of one call */
    double fastest;
    int samples;
    double limit;           /* GB/s or GFLOP/s, 0 for BENCH_CALL */
    const char *limit_name; /* such as "copy, streaming stores" */
};

/* A rival's figure for a row. */
struct bench_rival {
    const char *name;
    double seconds;
    int samples;
};

struct bench_tensor {
    DLTensor tensor;
    int64_t shape[BENCH_RANK];
    void *memory;
    size_t size;
};

struct bench_row {
    char operation[48], shape[64];
    enum smelt_dtype dtype;
    struct bench_work work;
    struct bench_result result;
    struct bench_rival rivals[BENCH_RIVALS];
    int rival_count;
    char failure[256]; /* "" where it ran */
};

struct bench_request {
    const char *const *operations; /* names of bench.inc; none: all */
    int operation_count;
    int dtype; /* -1: all */
    bool quick, rivals;
    void (*begin)(const struct bench_row *row, void *user);  /* before a row is measured, or NULL */
    void (*report)(const struct bench_row *row, void *user); /* after every row */
    void *user;
};

struct bench {
    enum smelt_dtype dtype; /* of this round */
    bool quick;             /* few samples: leave out what takes seconds */
    const struct bench_request *request;
    struct bench_row row; /* being measured */
    int failed;
    int tensors;
    struct bench_tensor tensor[BENCH_TENSORS];
};

/* Starts a row; what the last one allocated is gone. False: this row is not wanted. */
bool bench_begin(struct bench *b, const char *operation, const char *shape_format, ...)
    __attribute__((format(printf, 3, 4)));

/* Random numbers in -1 to 1 for floating dtypes, 0 for others. */
DLTensor *bench_input(struct bench *b, enum smelt_dtype dtype, int rank, const int64_t *shape);
DLTensor *bench_output(struct bench *b, enum smelt_dtype dtype, int rank, const int64_t *shape);
double bench_bytes(const DLTensor *tensor);

/* Times the call, its limit and the rivals by turns, and reports the row. */
void bench_time(struct bench *b, const struct bench_work *work, smelt_status (*call)(void *), void *argument);

static inline bool bench_counts_flops(const struct bench_work *work)
{
    return work->limit == BENCH_FMA || work->limit == BENCH_DOT;
}
/* GFLOP/s or GB/s of so many seconds, and the share of the row's limit (0 where it has none). */
double bench_rate(const struct bench_row *row, double seconds);
double bench_share(const struct bench_row *row);

/* The usual limits of this machine, one after the other, a second in all. */
struct bench_machine_limit {
    const char *name, *unit; /* "read", "GB/s" */
    double value;
};
enum { BENCH_MACHINE_LIMITS = 8 };
int bench_machine_limits(struct bench_machine_limit limits[BENCH_MACHINE_LIMITS], bool quick);

/* All rows asked for. Returns the number of rows that failed; 1 where rivals are asked for and none is there.
 */
int bench_run(const struct bench_request *request);
bool bench_has(const char *operation);

#endif
