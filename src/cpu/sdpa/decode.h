/* SPDX-License-Identifier: Apache-2.0 */
/* sdpa for a few query rows per key head: split over keys, each key and value loaded once. */
#ifndef SMELT_CPU_SDPA_DECODE_H
#define SMELT_CPU_SDPA_DECODE_H

#include "api/sdpa.h"

/* Whether this way serves the call (by shapes and strides alone). */
bool sdpa_decodes(const struct smelt_sdpa_args *args);
size_t sdpa_decode_workspace(const struct smelt_sdpa_args *args);
smelt_status sdpa_decode(const struct smelt_sdpa_args *args);

#endif
