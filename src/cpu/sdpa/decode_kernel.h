/* SPDX-License-Identifier: Apache-2.0 */
/* The kernels of decoding: a few query rows, which share each load of a key or a value. Keys and values are
 * read where they lie, with neighbouring elements, and converted on the way. */
#ifndef SMELT_CPU_SDPA_DECODE_KERNEL_H
#define SMELT_CPU_SDPA_DECODE_KERNEL_H

#include <stdbool.h>

#include "core/dtype.h"
#include "cpu/rows.h"

enum {
    SMELT_DECODE_ROWS = 8,  /* most query rows */
    SMELT_DECODE_KEYS = 64, /* of a chunk */
};

struct smelt_decode_source {
    const char *data; /* row 0 of the chunk */
    int64_t row_step; /* bytes */
    int64_t length;   /* elements of a row */
    /* What will be read next: the same number of rows, fetched ahead. NULL: nothing. */
    const char *ahead;
    int64_t ahead_step, ahead_bytes;
};

/* How the scores of one row become probabilities. */
struct smelt_decode_row {
    float before, softcap, after, scale; /* as in struct smelt_sdpa_tile */
    bool masked;
    int64_t from, until;  /* keys of the chunk that the row sees */
    const float *bias;    /* or NULL */
    const uint8_t *keep;  /* or NULL */
    float *largest, *sum; /* brought up to date */
};

struct smelt_decode_kernels {
    int lanes;
    /* scores[r * DECODE_KEYS + j] = queries[r] . keys[j]; queries are float32 rows `stride` apart, zeros from
     * the length to the stride. `rows` is a multiple of 4 here: rows beyond those in use are zeros. */
    void (*dot[SMELT_FLOAT_DTYPES])(float *scores, const float *queries, int64_t stride, int rows,
                                    const struct smelt_decode_source *keys, int64_t count);
    /* Probabilities in place of scores; out is rescaled. `seen` gets the masked scores where the row is
     * masked. */
    void (*softmax)(const struct smelt_decode_row *row, float *scores, float *seen, int64_t count, float *out,
                    int64_t length);
    /* out[r] += sum of p[r][j] * values[j] */
    void (*values[SMELT_FLOAT_DTYPES])(float *out, int64_t stride, int rows, const float *p,
                                       const struct smelt_decode_source *values, int64_t count);
    /* The same for one row, without the keys whose `seen` is -inf. */
    void (*values_seen[SMELT_FLOAT_DTYPES])(float *out, const float *p, const float *seen,
                                            const struct smelt_decode_source *values, int64_t count);
    bool (*finite[SMELT_FLOAT_DTYPES])(const struct smelt_decode_source *values, int64_t count);
    /* out = out * a + other * b */
    void (*blend)(float *out, float a, const float *other, float b, int64_t length);
};
SMELT_DECLARE_KERNELS(struct smelt_decode_kernels, smelt_decode);

#endif
