/* SPDX-License-Identifier: Apache-2.0 */
/* Host side of attention on NVIDIA GPUs: choose a kernel, describe the tensors to the copy engine, launch. */
#ifndef SMELT_CUDA_SDPA_FORWARD_H
#define SMELT_CUDA_SDPA_FORWARD_H

#include <cuda.h>
#include <stddef.h>

#include "params.h"

/* One kernel of rows.h. */
struct smelt_sdpa_row {
    int head_dim, value_dim, consumers, keys, stages, cluster, general, pingpong;
};

extern const struct smelt_sdpa_row smelt_sdpa_rows[];
extern const int smelt_sdpa_row_count;

int smelt_sdpa_shared_bytes(const struct smelt_sdpa_row *row);
CUresult smelt_sdpa_encode_maps(smelt_sdpa_params *params, const struct smelt_sdpa_row *row);

/* The fields of `params` that the caller leaves to this file: maps, steps, section, m_tiles, partial.
 * row < 0 chooses. Returns 0, or an error with a sentence in `message`. */
int smelt_cuda_sdpa_forward(smelt_sdpa_params *params, int row, void *stream, char *message, size_t capacity);

#endif
