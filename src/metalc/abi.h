/* SPDX-License-Identifier: Apache-2.0 */
/* What compiled code and the launcher in libsmelt.so agree on: included by both. */
#ifndef SMELT_METALC_ABI_H
#define SMELT_METALC_ABI_H
#include <stddef.h>
#include <stdint.h>

/* Fields of the table of 32-bit words, all the same for the lanes of a simdgroup. Three in a row are x, y, z.
 */
enum smelt_word {
    WORD_THREADS_PER_GRID = 0,
    WORD_THREADGROUPS_PER_GRID = 3,
    WORD_DISPATCH_THREADS = 6,
    WORD_THREADGROUP_POSITION = 9,
    WORD_THREADS_PER_THREADGROUP = 12,
    WORD_SIMDGROUP_INDEX = 15,
    WORD_SIMDGROUPS = 16,
    WORD_DISPATCH_SIMDGROUPS = 17,
    WORD_BASE_POSITION = 18, /* in the threadgroup, of lane 0 */
    WORD_ORIGIN = 21,        /* in the grid, of the threadgroup's first thread */
    WORD_COUNT = 24
};

struct smelt_simdgroup {
    void *const *arguments;     /* buffers, bytes and threadgroup memory, in the order of the bindings */
    unsigned char *threadgroup; /* the kernel's own threadgroup variables */
    uint32_t words[WORD_COUNT];
    uint32_t threads; /* in this threadgroup; lane L of simdgroup k runs where 32 * k + L is below it */
    uint32_t end;     /* code that loops runs the simdgroups from WORD_SIMDGROUP_INDEX up to this */
    uint32_t positions[3]
                      [32]; /* in the threadgroup, by lane: only where a row of threads is not 32-aligned */
    uint32_t grid_positions[3][32];
};

/* A compiled kernel: runs one simdgroup of one threadgroup to its end, or several in turn
 * (smelt_report_words). */
typedef void smelt_simdgroup_function(struct smelt_simdgroup *);

#endif
