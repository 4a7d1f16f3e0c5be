/* SPDX-License-Identifier: Apache-2.0 */
/* The results of smelt bench for machines. */
#include "bench_json.h"

#include <time.h>

#include "output.h"

static void member(FILE *file, const char *name, double number)
{
    fprintf(file, ", \"%s\": ", name);
    json_number(file, number);
}

void bench_json_begin(FILE *file, const struct bench_machine_limit *limits, int count)
{
    char date[32];
    time_t now = time(NULL);
    strftime(date, sizeof date, "%Y-%m-%dT%H:%M:%SZ", gmtime(&now));
    fprintf(file, "{\"schema\": \"smelt-bench/1\", \"date\": \"%s\",\n\"library\": ", date);
    json_info(file);
    fprintf(file, ",\n\"limits\": [");
    for (int i = 0; i < count; i++) {
        fprintf(file, "%s{\"name\": ", i ? ", " : "");
        json_string(file, limits[i].name);
        fprintf(file, ", \"unit\": \"%s\"", limits[i].unit);
        member(file, "value", limits[i].value);
        fprintf(file, "}");
    }
    fprintf(file, "],\n\"rows\": [");
}

static void rivals(FILE *file, const struct bench_row *row)
{
    fprintf(file, ", \"rivals\": [");
    for (int i = 0; i < row->rival_count; i++) {
        const struct bench_rival *rival = &row->rivals[i];
        fprintf(file, "%s{\"name\": ", i ? ", " : "");
        json_string(file, rival->name);
        member(file, "seconds", rival->seconds);
        fprintf(file, ", \"samples\": %d}", rival->samples);
    }
    fprintf(file, "]");
}

void bench_json_row(FILE *file, const struct bench_row *row, bool first)
{
    fprintf(file, "%s\n{\"operation\": ", first ? "" : ",");
    json_string(file, row->operation);
    fprintf(file, ", \"shape\": ");
    json_string(file, row->shape);
    fprintf(file, ", \"dtype\": \"%s\"", smelt_dtype_name(row->dtype));
    if (row->failure[0]) {
        fprintf(file, ", \"failure\": ");
        json_string(file, row->failure);
        fprintf(file, "}");
        return;
    }
    member(file, "seconds", row->result.seconds);
    member(file, "fastest_seconds", row->result.fastest);
    fprintf(file, ", \"samples\": %d", row->result.samples);
    member(file, "bytes", row->work.bytes);
    member(file, "flops", row->work.flops);
    if (row->result.limit > 0) {
        fprintf(file, ", \"unit\": \"%s\"", bench_counts_flops(&row->work) ? "GFLOP/s" : "GB/s");
        member(file, "speed", bench_rate(row, row->result.seconds));
        fprintf(file, ", \"limit\": {\"name\": ");
        json_string(file, row->result.limit_name);
        member(file, "value", row->result.limit);
        fprintf(file, "}");
        member(file, "share", bench_share(row));
    }
    rivals(file, row);
    fprintf(file, "}");
}

void bench_json_end(FILE *file, int failed) { fprintf(file, "\n],\n\"failed\": %d}\n", failed); }
