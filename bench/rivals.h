/* SPDX-License-Identifier: Apache-2.0 */
/* Rivals in processes of their own, bench/rivals/rival.py, that wait on a pipe while it is not their turn.
 * They are told, line by line: case OPERATION|SHAPE|DTYPE    prepare, warm up; answer "yes", or "no" and why
 *     sample SECONDS                answer "times" and the seconds of every call made in about so long
 *     end                           forget the case */
#ifndef SMELT_BENCH_RIVALS_H
#define SMELT_BENCH_RIVALS_H

#include "bench.h"

/* Starts those that SMELT_RIVALS and SMELT_RIVALS_PYTHON lead to. False, with a message, where there are
 * none. */
bool rivals_start(void);
void rivals_begin(const struct bench_row *row);
void rivals_sample(void *unused);
void rivals_end(struct bench_row *row);
void rivals_stop(void);

#endif
