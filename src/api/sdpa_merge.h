/* SPDX-License-Identifier: Apache-2.0 */
/* What the back ends get of smelt_sdpa_merge. */
#ifndef SMELT_API_SDPA_MERGE_H
#define SMELT_API_SDPA_MERGE_H

#include <smelt/sdpa.h>

#include "core/call.h"

struct smelt_sdpa_merge_args {
    const struct smelt_run *run;
    const struct smelt_view *out, *lse;   /* (B, Hq, qL, Dv) of the dtype of outs, (B, Hq, qL) or NULL */
    const struct smelt_view *outs, *lses; /* (C, B, Hq, qL, Dv), float32 (C, B, Hq, qL) */
};
smelt_status smelt_cpu_sdpa_merge(const struct smelt_sdpa_merge_args *args);
smelt_status smelt_cuda_sdpa_merge(const struct smelt_sdpa_merge_args *args);

#endif
