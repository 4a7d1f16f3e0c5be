/* SPDX-License-Identifier: Apache-2.0 */
/* The kernels of rope. */
#ifndef SMELT_CPU_ROPE_KERNEL_H
#define SMELT_CPU_ROPE_KERNEL_H

#include <stdbool.h>

#include "cpu/rows.h"
#include "core/dtype.h"

/* Rows of features to be rotated. A row of the table holds the cosines of its token from `table` on and the
 * sines from `table + sines` on, already scaled. */
struct smelt_rope_rows {
    char *out;
    const char *x; /* may be out */
    const float *table;
    int64_t out_step, x_step; /* bytes from row to row */
    int64_t table_step;       /* floats; 0 where all rows are of one token */
    int64_t rows, half, sines;
    int64_t second; /* split pairs: elements from the first feature of a pair to the second */
    int64_t rest;   /* bytes after the rotated features, to be copied */
    bool stream;    /* past the cache, where the alignment allows it; ends with fence() */
};
typedef void smelt_rope_rows_kernel(const struct smelt_rope_rows *rows);

/* The table's row of a position: cosine and sine of position * inverse[i], each times its scale. */
typedef void smelt_rope_table_kernel(float *cosines, float *sines, const float *inverse, int64_t half,
                                     float position, float cosine_scale, float sine_scale);

struct smelt_rope_kernels {
    smelt_rope_rows_kernel *rows[2][SMELT_FLOAT_DTYPES]; /* [traditional] */
    smelt_rope_table_kernel *table;
    void (*fence)(void);
};
SMELT_DECLARE_KERNELS(struct smelt_rope_kernels, smelt_rope);

#endif
