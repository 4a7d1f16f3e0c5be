/* SPDX-License-Identifier: Apache-2.0 */
/* What host code passes to the attention kernels: one plain struct, by value. Read by C and by CUDA C. */
#ifndef SMELT_CUDA_SDPA_PARAMS_H
#define SMELT_CUDA_SDPA_PARAMS_H

#include <stdint.h>

#ifdef __cplusplus
#    define SMELT_ALIGNED_64 alignas(64)
#else
#    define SMELT_ALIGNED_64 _Alignas(64)
#endif

/* The bits of a CUtensorMap. */
typedef struct smelt_tensor_map {
    SMELT_ALIGNED_64 unsigned char bytes[128];
} smelt_tensor_map;

/* Strides count elements: batch, head, row, column. */
typedef struct smelt_sdpa_view {
    const void *data;
    int64_t batch, head, row, column;
} smelt_sdpa_view;

enum { SMELT_TYPE_NONE, SMELT_TYPE_BOOL, SMELT_TYPE_F32, SMELT_TYPE_F16, SMELT_TYPE_BF16 };

/* A shift at or beyond this counts as unlimited; lengths stay below it, so that sums fit 32 bits. */
#define SMELT_SDPA_FAR (1 << 29)

typedef struct smelt_sdpa_params {
    smelt_tensor_map q_map, k_map, v_map;
    smelt_sdpa_view q, k, v, out;
    smelt_sdpa_view mask; /* data NULL: none */
    float *lse;           /* or NULL */
    int64_t lse_batch, lse_head, lse_row;
    const void *sinks; /* or NULL */
    int64_t sinks_stride;
    const unsigned char *key_mask;           /* or NULL; low byte first, any nonzero byte keeps */
    int64_t key_mask_batch, key_mask_column; /* in bytes */
    const int32_t *kv_lengths;               /* or NULL */
    int64_t kv_lengths_stride;
    const int32_t *kv_offsets; /* or NULL */
    int64_t kv_offsets_stride;
    float *partial;                          /* split over keys: unnormalised outputs, then maxima and sums */
    int32_t batch, heads_q, heads_kv, group; /* group = heads_q / heads_kv */
    int32_t q_length, k_length, head_dim, value_dim;
    int32_t q_head_step, q_batch_step; /* 1, or 0 where that axis is broadcast: multiply TMA coordinates */
    int32_t k_head_step, k_batch_step;
    int32_t v_head_step, v_batch_step;
    int32_t type; /* of out */
    int32_t q_type, k_type, v_type;
    int32_t mask_type, sinks_type, key_mask_bytes;
    int32_t lower_right; /* kv_offset = keys in use - q_length */
    int32_t kv_offset;   /* otherwise; clamped to +-SMELT_SDPA_FAR */
    int32_t left, right; /* window: unlimited is SMELT_SDPA_FAR */
    int32_t section;     /* heads that share the L2 cache in the schedule's order */
    int32_t m_tiles, splits;
    int32_t persistent;    /* host only: one block a multiprocessor, else one a tile */
    float scale_log2;      /* scale * log2(e) */
    float softcap;         /* 0 = none */
    float softcap_inverse; /* scale / softcap */
    float mask_unit;       /* 1 / scale, for mask_ahead.cuh */
    smelt_tensor_map mask_map;
    int32_t mask_head_step, mask_batch_step;
} smelt_sdpa_params;

#endif
