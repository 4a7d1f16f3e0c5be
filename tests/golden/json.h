/* SPDX-License-Identifier: Apache-2.0 */
/* Reader of the files of golden vectors: an array of objects of strings, and of arrays of numbers. */
#ifndef SMELT_TESTS_GOLDEN_JSON_H
#define SMELT_TESTS_GOLDEN_JSON_H

#include <stdbool.h>
#include <stdint.h>

struct golden_vector {
    char name[64], dtype[16];
    int rank;
    int64_t shape[8];
    int64_t count;
    double *data;
    bool covered;
};

/* Appends the vectors of a file to `vectors`, which has `most` places. Returns how many it holds now, or -1
 * with a line on stderr. */
int golden_read(const char *path, struct golden_vector *vectors, int count, int most);

#endif
