/* SPDX-License-Identifier: Apache-2.0 */
/* smelt bench: the harness of bench/ as a command. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "../bench/bench.h"
#include "arguments.h"
#include "bench_json.h"
#include "commands.h"
#include "output.h"

struct output {
    FILE *json; /* NULL: the table only */
    bool table; /* false where the JSON goes to standard output */
    int rows;
};

static void begin(const struct bench_row *row, void *user)
{
    struct output *output = user;
    progress_show("%d rows measured; now %s, %s, %s", output->rows, row->operation, row->shape,
                  smelt_dtype_name(row->dtype));
}

static void print_row(const struct bench_row *row)
{
    char time[TIME_TEXT];
    printf("%-22s %-24s %-8s ", row->operation, row->shape, smelt_dtype_name(row->dtype));
    if (row->failure[0]) {
        printf("FAILED: %s\n", row->failure);
        return;
    }
    printf("%9s ", time_text(time, row->result.seconds));
    if (row->result.limit > 0)
        printf("%8.1f %-7s  %4.2f of %6.1f %s", bench_rate(row, row->result.seconds),
               bench_counts_flops(&row->work) ? "GFLOP/s" : "GB/s", bench_share(row), row->result.limit,
               row->result.limit_name);
    const struct bench_rival *best = NULL;
    for (int i = 0; i < row->rival_count; i++) {
        const struct bench_rival *rival = &row->rivals[i];
        if (!best || rival->seconds < best->seconds) best = rival;
    }
    if (best) {
        printf("%*s%5.2f x %s (", row->result.limit > 0 ? 2 : 20, "", best->seconds / row->result.seconds,
               best->name);
        for (int i = 0; i < row->rival_count; i++)
            printf("%s%s %s", i ? ", " : "", row->rivals[i].name, time_text(time, row->rivals[i].seconds));
        printf(")");
    }
    printf("\n");
}

static void report(const struct bench_row *row, void *user)
{
    struct output *output = user;
    progress_clear();
    if (output->table) print_row(row), fflush(stdout);
    if (output->json) bench_json_row(output->json, row, output->rows == 0);
    output->rows++;
}

static void print_limits(const struct bench_machine_limit *limits, int count)
{
    printf("limits of this machine:");
    for (int i = 0; i < count; i++)
        printf("%s %s %.1f %s", i ? "," : "", limits[i].name, limits[i].value, limits[i].unit);
    printf("\n\n%-22s %-24s %-8s %9s %16s  %s\n", "operation", "shape", "dtype", "time", "speed",
           "share of the limit");
}

static int run(const struct bench_request *request, struct output *output)
{
    struct bench_machine_limit limits[BENCH_MACHINE_LIMITS];
    progress_show("measuring the limits of this machine");
    int count = bench_machine_limits(limits, request->quick);
    progress_clear();
    if (output->table) print_limits(limits, count);
    if (output->json) bench_json_begin(output->json, limits, count);
    int failed = bench_run(request);
    if (output->json) bench_json_end(output->json, failed);
    return failed ? 1 : 0;
}

int command_bench(int argc, char **argv)
{
    int dtype = -1;
    bool rivals = false, quick = false;
    const char *path = NULL;
    const struct argument options[] = {
        {"--rivals", ARGUMENT_FLAG, &rivals, NULL,
         "beside PyTorch, ONNX Runtime, OpenVINO and MLX (make bench)"},
        {"--quick", ARGUMENT_FLAG, &quick, NULL, "fewer and shorter measurements"},
        {"--dtype", ARGUMENT_DTYPE, &dtype, "T", "float32, float16 or bfloat16 only"},
        {"--json", ARGUMENT_TEXT, &path, "F", "write the results to the file F too; - is standard output"},
        {0},
    };
    const struct arguments arguments = {"bench",
                                        "[OP...] [OPTION...]",
                                        "Speed of every operation beside what this machine can do.",
                                        options,
                                        bench_has,
                                        "operation"};
    struct words words;
    int code = arguments_read(&arguments, argc, argv, &words);
    if (code != ARGUMENTS_READ) return code;

    struct output output = {.table = !path || strcmp(path, "-") != 0};
    if (path) output.json = output.table ? fopen(path, "w") : stdout;
    if (path && !output.json) {
        fprintf(stderr, "smelt bench: --json: cannot write \"%s\": %s\n", path, strerror(errno));
        return 2;
    }
    struct bench_request request = {words.word, words.count, dtype, quick, rivals, begin, report, &output};
    code = run(&request, &output);
    if (output.json && output.json != stdout && fclose(output.json)) {
        fprintf(stderr, "smelt bench: --json: cannot write \"%s\": %s\n", path, strerror(errno));
        code = 1;
    }
    return code;
}
