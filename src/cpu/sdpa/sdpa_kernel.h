/* SPDX-License-Identifier: Apache-2.0 */
/* The kernels of sdpa: row blocks of queries (in vector lanes) against blocks of packed keys and values.
 *
 * A row block holds its queries, scores and outputs transposed: element (d, query) with the query in the
 * lanes. Scores are then lanes of queries times broadcast keys, outputs lanes of probabilities times
 * broadcast values, the softmax needs no sum across lanes, and any dim runs at full speed. */
#ifndef SMELT_CPU_SDPA_KERNEL_H
#define SMELT_CPU_SDPA_KERNEL_H

#include <stdbool.h>

#include "core/dtype.h"
#include "cpu/rows.h"

enum {
    SMELT_SDPA_KEYS = 96,       /* of a key block */
    SMELT_SDPA_SPARE_KEYS = 16, /* rows behind it that a micro-kernel may read */
    SMELT_SDPA_MOST_ROWS = 48,  /* of a row block, on any ISA */
};

/* Floats from one packed row to the next: a whole number of lines, and an odd one, so that a column of rows
 * spreads over the sets of the first cache. */
static inline int64_t smelt_sdpa_stride(int64_t length)
{
    int64_t lines = (length + 15) / 16;
    return 16 * (lines | 1);
}

/* Rows in a tensor: steps in bytes. */
struct smelt_sdpa_rows {
    const char *data;
    int64_t row_step, step;
    enum smelt_dtype dtype;
};

/* One row block against keys [first, end) of one packed key block. `first` is a multiple of 16. */
struct smelt_sdpa_tile {
    const void *queries; /* packed */
    const void *keys, *values;
    int64_t key_step, value_step; /* floats from one row to the next */
    float *scores, *seen;         /* (keys, rows) each */
    float *out;                   /* (value_dim, rows): not yet divided by sum */
    float *largest, *sum;         /* (rows): of the scores in base 2, and of 2^(score - largest) */
    int64_t first, end, dim, value_dim;
    int vectors;         /* of lanes in use */
    float before;        /* the dot products are multiplied by it where `masked` */
    float softcap;       /* then capped, where not 0 */
    float after;         /* the masked scores are multiplied by it, where `masked` */
    float scale;         /* above 0: from there to the exponent of 2 */
    bool masked;         /* before, softcap or one of the next four does something */
    const float *from;   /* (rows): query i sees keys from[i] <= j < until[i] of the block; or NULL: all */
    const float *until;  /* (rows) */
    const float *bias;   /* (keys, rows), added to the scores; -inf hides; or NULL */
    const uint8_t *keep; /* (keys): 0 hides; or NULL */
    bool finite;         /* so are all packed values */
    /* Rows of the next key block, fetched into the second cache meanwhile; 0 rows: none. */
    const char *ahead;
    int64_t ahead_step, ahead_bytes, ahead_rows;
};

struct smelt_sdpa_tiles {
    int rows; /* of a row block */
    int lanes;
    int group; /* of float32 rows and columns that are read at a time where they lie; 0: only packed ones */
    /* `rows` rows of `length` elements; rows with keep 0 become zeros, as do those up to `padded`. Returns
     * whether all are finite. */
    bool (*pack_keys)(void *packed, const struct smelt_sdpa_rows *from, int64_t rows, int64_t padded,
                      int64_t length, const uint8_t *keep);
    bool (*pack_values)(void *packed, const struct smelt_sdpa_rows *from, int64_t rows, int64_t padded,
                        int64_t length, const uint8_t *keep);
    /* A row block of queries, packed as keys -> transposed. */
    void (*turn_queries)(float *queries, const float *rows, int64_t dim);
    void (*attend)(const struct smelt_sdpa_tile *tile);
    /* Adds what other keys gave for the same rows. */
    void (*merge)(float *out, float *largest, float *sum, const float *other_out, const float *other_largest,
                  const float *other_sum, int64_t value_dim);
    /* rows (rows, smelt_sdpa_stride(value_dim)) = out / sum; lse (rows). */
    void (*finish)(float *rows, float *lse, const float *out, const float *largest, const float *sum,
                   int64_t value_dim);
    /* float32 rows -> memory of any dtype and steps (bytes). */
    void (*store_rows)(char *to, int64_t row_step, int64_t step, enum smelt_dtype dtype, const float *rows,
                       int64_t count, int64_t length);
};
SMELT_DECLARE_KERNELS(struct smelt_sdpa_tiles, smelt_sdpa_tiles);

#endif
