/* SPDX-License-Identifier: Apache-2.0 */
/* smelt bench: the harness of bench/ as a command. */
#include <stdio.h>
#include <string.h>

#include "../bench/bench.h"
#include "commands.h"

static void time_text(char text[16], double seconds)
{
    if (seconds < 1e-3)
        snprintf(text, 16, "%.2f us", seconds * 1e6);
    else
        snprintf(text, 16, seconds < 1 ? "%.3f ms" : "%.0f ms", seconds * 1e3);
}

static void report(const struct bench_row *row, void *user)
{
    (void)user;
    char time[16];
    time_text(time, row->result.seconds);
    printf("%-24s %-26s %-9s ", row->operation, row->shape, smelt_dtype_name(row->dtype));
    if (row->failure[0]) {
        printf("FAILED: %s\n", row->failure);
        return;
    }
    bool flops = row->work.limit == BENCH_FMA || row->work.limit == BENCH_DOT;
    double rate = (flops ? row->work.flops : row->work.bytes) / row->result.seconds * 1e-9;
    printf("%12s %8.1f %-8s", time, rate, flops ? "GFLOP/s" : "GB/s");
    if (row->result.limit > 0)
        printf(" %5.2f of %7.1f (%s)", rate / row->result.limit, row->result.limit, row->result.limit_name);
    printf("\n");
    fflush(stdout);
}

int command_bench(int argc, char **argv)
{
    struct bench_request request = {.dtype = -1, .report = report};
    const char *operations[64];
    request.operations = operations;
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--quick"))
            request.quick = true;
        else if (bench_has(argv[i]) && request.operation_count < 64)
            operations[request.operation_count++] = argv[i];
        else
            return fprintf(stderr, "smelt bench: unknown operation or option \"%s\"\n", argv[i]), 2;
    }
    return bench_run(&request) ? 1 : 0;
}
