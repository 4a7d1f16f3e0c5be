/* SPDX-License-Identifier: Apache-2.0 */
/* smelt run --time: the median of many runs. */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "output.h"
#include "run.h"

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int by_size(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Memory that is bound twice counts once. */
static double bound_bytes(const struct run *r)
{
    double bytes = 0;
    for (int k = 0; k < r->memories; k++) bytes += (double)r->memory[k].bytes;
    return bytes;
}

int run_time(const struct run *r, smelt_metal_function *function, const char *name, int64_t repeats)
{
    char median[TIME_TEXT], least[TIME_TEXT];
    double *seconds = repeats < INT32_MAX ? malloc((size_t)repeats * sizeof *seconds) : NULL;
    if (!seconds) return fprintf(stderr, "smelt run: no memory for %lld times\n", (long long)repeats), 1;
    for (int64_t k = 0; k < repeats; k++) {
        double begin = now();
        if (smelt_metal_dispatch(function, &r->launch, NULL) != SMELT_OK) {
            fprintf(stderr, "smelt run: %s\n", smelt_last_error());
            free(seconds);
            return 1;
        }
        seconds[k] = now() - begin;
    }
    qsort(seconds, (size_t)repeats, sizeof *seconds, by_size);
    double middle = (seconds[repeats / 2] + seconds[(repeats - 1) / 2]) / 2;
    double threads = 1;
    for (int k = 0; k < 3; k++)
        threads *= (double)r->launch.grid[k] *
                   (r->launch.grid_in_threadgroups ? (double)r->launch.threadgroup[k] : 1.0);
    printf("%s: median %s, least %s of %lld runs; %.3g GB/s over the %.0f bytes of its buffers, %.3g "
           "threads/s\n",
           name, time_text(median, middle), time_text(least, seconds[0]), (long long)repeats,
           bound_bytes(r) / middle * 1e-9, bound_bytes(r), threads / middle);
    free(seconds);
    return 0;
}
