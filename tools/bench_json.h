/* SPDX-License-Identifier: Apache-2.0 */
/* The results of smelt bench for machines; docs/benchmarks/schema.json describes them. */
#ifndef SMELT_TOOLS_BENCH_JSON_H
#define SMELT_TOOLS_BENCH_JSON_H

#include "../bench/bench.h"

void bench_json_begin(FILE *file, const struct bench_machine_limit *limits, int count);
void bench_json_row(FILE *file, const struct bench_row *row, bool first);
void bench_json_end(FILE *file, int failed);

#endif
