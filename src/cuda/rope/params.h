/* SPDX-License-Identifier: Apache-2.0 */
/* One launch of rope, and the list of kernels. Shared with device code. */
#ifndef SMELT_CUDA_ROPE_PARAMS_H
#define SMELT_CUDA_ROPE_PARAMS_H

#include "../walk.h"

enum { SMELT_ROPE_X, SMELT_ROPE_OUT, SMELT_ROPE_TENSORS };
enum { SMELT_ROPE_TABLE = 256, SMELT_ROPE_THREADS = 128, SMELT_ROPE_HEADS = 4 /* of a thread */ };

/* Where a token's position comes from. */
enum { SMELT_ROPE_OFFSET, SMELT_ROPE_OFFSETS, SMELT_ROPE_POSITIONS };
/* What a pair's frequency comes from. */
enum { SMELT_ROPE_BASE, SMELT_ROPE_FREQS, SMELT_ROPE_INVERSE_FREQS };

typedef struct smelt_rope_params {
    smelt_walk heads; /* all axes between the first and the last but that of the tokens */
    char *data[SMELT_ROPE_TENSORS];
    int64_t batch_stride[SMELT_ROPE_TENSORS], token_stride[SMELT_ROPE_TENSORS]; /* bytes */
    int64_t step[SMELT_ROPE_TENSORS]; /* between elements of a head */
    int64_t batch, tokens, half, dims, size;
    int64_t slots;  /* threads of a head: its pairs of vectors; of pairs and single elements in the generic
                       kernel */
    int64_t chunks; /* of SMELT_ROPE_HEADS heads */
    int32_t narrow, tokens_first; /* neighbouring threads have neighbouring tokens, else heads */
    int32_t streaming, copies;    /* what is behind dims goes to out as well */
    int32_t position_source, position_bytes, position_signed;
    const char *positions;
    int64_t position_batch, position_token; /* bytes */
    int64_t offset;
    int32_t frequency_source, frequency_type;
    const char *frequencies;
    int64_t frequency_step;
    float scale, cos_scale, sin_scale;
    double log2_base;
    float inverse[SMELT_ROPE_TABLE]; /* 1 / frequency of the first pairs, from the base */
} smelt_rope_params;

#endif
