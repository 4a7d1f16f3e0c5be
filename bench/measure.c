/* SPDX-License-Identifier: Apache-2.0 */
/* Rounds of samples and their medians. */
#include "measure.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench.h"
#include "limits.h"

double measure_now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int ascending(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double series_median(struct series *series)
{
    if (!series->count) return 0;
    double sorted[MEASURE_SAMPLES];
    memcpy(sorted, series->sample, (size_t)series->count * sizeof *sorted);
    qsort(sorted, (size_t)series->count, sizeof *sorted, ascending);
    return 0.5 * (sorted[(series->count - 1) / 2] + sorted[series->count / 2]);
}

double series_fastest(const struct series *series)
{
    double fastest = series->count ? series->sample[0] : 0;
    for (int i = 1; i < series->count; i++)
        if (series->sample[i] < fastest) fastest = series->sample[i];
    return fastest;
}

void series_add(struct series *series, double seconds)
{
    if (series->count < MEASURE_SAMPLES) series->sample[series->count++] = seconds;
}

double measure_calls(smelt_status (*call)(void *), void *argument, int calls, smelt_status *status)
{
    double start = measure_now();
    for (int i = 0; i < calls && *status == SMELT_OK; i++) *status = call(argument);
    return (measure_now() - start) / calls;
}

/* So many calls that the clock's own cost and grain do not matter. */
static int calls_per_sample(double seconds)
{
    const double sample = 0.5e-3;
    return seconds >= sample ? 1 : (int)(sample / (seconds > 1e-8 ? seconds : 1e-8)) + 1;
}

smelt_status measure(struct bench_result *result, const struct bench_work *work, struct budget budget,
                     smelt_status (*call)(void *), void *argument, void (*between)(void *), void *user)
{
    static struct series series;
    struct limit limit;
    smelt_status status = SMELT_OK;
    double once = 0;
    for (int i = 0; i < budget.warm && status == SMELT_OK; i++)
        once = measure_calls(call, argument, 1, &status);
    if (status != SMELT_OK) return status;
    if (!limit_begin(&limit, work)) return smelt_fail(SMELT_OUT_OF_MEMORY, "bench: no memory for the limit");
    int calls = calls_per_sample(once);
    if (once > 1 && budget.least > 3) budget.least = 3;
    series.count = 0;
    double start = measure_now();
    for (int round = 0; round < budget.least || measure_now() - start < budget.seconds; round++) {
        if (round == MEASURE_SAMPLES) break;
        /* Once untimed: brings its data and code back after the others, which a long call does in passing. */
        if (once < 0.3) measure_calls(call, argument, 1, &status);
        series_add(&series, measure_calls(call, argument, calls, &status));
        limit_sample(&limit);
        if (between) between(user);
        if (status != SMELT_OK) break;
    }
    result->seconds = series_median(&series), result->fastest = series_fastest(&series);
    result->samples = series.count;
    limit_end(&limit, result);
    return status;
}
