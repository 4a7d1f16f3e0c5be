/* SPDX-License-Identifier: Apache-2.0 */
/* The kernels of decoding: a few query rows, which share each load of a key or a value. Keys and values are
 * read where they lie, with neighbouring elements, and converted on the way. */
#ifndef SMELT_CPU_SDPA_DECODE_KERNEL_H
#define SMELT_CPU_SDPA_DECODE_KERNEL_H

#include <stdbool.h>

#include "core/dtype.h"
#include "cpu/rows.h"

enum {
    SMELT_DECODE_ROWS = 8,   /* most query rows */
    SMELT_DECODE_KEYS = 256, /* of a chunk */
    SMELT_DECODE_BATCH = 8,  /* values at a time */
};

struct smelt_decode_source {
    const char *data; /* row 0 of the chunk */
    int64_t row_step; /* bytes */
    int64_t length;   /* elements of a row */
    int64_t bytes;    /* of a row */
    int64_t distance; /* rows from the one that is read to the one that is fetched then: whole batches */
    /* What will be read after this chunk, as many rows. NULL: nothing. */
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
    /* Queries that meet bfloat16 keys, and outputs of bfloat16 values, are not in order: of every 2 * lanes
     * elements the even ones come first, then the odd ones. A last, shorter stretch is in order. */
    bool splits_bf16;
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

/* Where element d of `length` lies in a query or an output. */
static inline int64_t smelt_decode_place(const struct smelt_decode_kernels *kernels, enum smelt_dtype dtype,
                                         int64_t length, int64_t d)
{
    int64_t block = 2 * kernels->lanes, at = d % block, start = d - at;
    if (!kernels->splits_bf16 || dtype != SMELT_BF16 || start + block > length) return d;
    return start + at % 2 * kernels->lanes + at / 2;
}

#endif
