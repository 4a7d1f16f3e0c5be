/* SPDX-License-Identifier: Apache-2.0 */
/* What this machine can do, measured beside the operation: loops that only move, or only multiply. */
#ifndef SMELT_BENCH_LIMITS_H
#define SMELT_BENCH_LIMITS_H

#include "bench.h"
#include "measure.h"

enum { LIMIT_STREAMS = 8, LIMIT_LOOPS = 2 };

/* One loop over floats [begin, end) of every stream, `repeat` times. */
struct limit_loop {
    float *stream[LIMIT_STREAMS]; /* inputs, then outputs */
    int inputs, outputs;
    bool past_cache; /* streaming stores */
};
typedef void limit_walk(const struct limit_loop *loop, int64_t begin, int64_t end);

/* The loops of the best ISA of this processor. */
limit_walk *limit_best_walk(void);
/* Twelve independent chains of instructions on all lanes; the floating-point operations of one repetition. */
enum limit_chain { LIMIT_FMA, LIMIT_DOT };
double limit_run_chains(enum limit_chain chain, int64_t repetitions); /* operations done, 0: not there */

struct limit {
    const struct bench_work *work;
    struct limit_loop loop;
    int64_t least;  /* bytes of all streams at least */
    int64_t length; /* floats of a stream */
    int repeat;
    bool warm; /* once untimed before each sample, as the operation: what fits the cache is there for both */
    void *memory[LIMIT_STREAMS];
    size_t size;
    struct smelt_run run;
    enum bench_limit kind;
    struct series rate[LIMIT_LOOPS]; /* seconds a GB or a GFLOP; ordinary stores, streaming stores */
};

bool limit_begin(struct limit *limit, const struct bench_work *work);
void limit_sample(struct limit *limit);
void limit_end(struct limit *limit, struct bench_result *result);

/* Memory on large pages where the system has them. */
void *bench_allocate(size_t size); /* NULL where there is none; free() gives it back */

#endif
