/* SPDX-License-Identifier: Apache-2.0 */
/* Times of calls that take turns: each is warmed up, then all are sampled round by round, and medians count.
 */
#ifndef SMELT_BENCH_MEASURE_H
#define SMELT_BENCH_MEASURE_H

#include <stdbool.h>
#include <stddef.h>

#include "core/parallel.h"

struct limit;
struct bench_work;
struct bench_result;

enum { MEASURE_SAMPLES = 1024 };

struct series { /* seconds of one call */
    double sample[MEASURE_SAMPLES];
    int count;
};

struct budget {
    double seconds; /* for the rounds of one row, more or less */
    int least;      /* rounds at least */
    int warm;       /* calls before them */
};

double measure_now(void);
double series_median(struct series *series);
double series_fastest(const struct series *series);
void series_add(struct series *series, double seconds);

/* Seconds of one call, from `calls` calls on end. */
double measure_calls(smelt_status (*call)(void *), void *argument, int calls, smelt_status *status);

/* The call beside the limit of its work. `between` (or NULL) runs once a round: rivals take their turn there.
 */
smelt_status measure(struct bench_result *result, const struct bench_work *work, struct budget budget,
                     smelt_status (*call)(void *), void *argument, void (*between)(void *), void *user);

#endif
