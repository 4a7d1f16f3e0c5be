/* SPDX-License-Identifier: Apache-2.0 */
/* What the back ends get of smelt_sdpa_vjp. */
#ifndef SMELT_API_SDPA_VJP_H
#define SMELT_API_SDPA_VJP_H

#include "api/sdpa.h"

struct smelt_sdpa_vjp_args {
    struct smelt_sdpa_args forward;          /* out and lse are inputs here, and never NULL */
    const struct smelt_view *dq, *dk, *dv;   /* as q, k, v; each may be NULL */
    const struct smelt_view *dmask, *dsinks; /* as the floating mask and the sinks, or NULL */
    const struct smelt_view *dout, *dlse;    /* one may be NULL, which counts as 0 */
};
smelt_status smelt_cpu_sdpa_vjp(const struct smelt_sdpa_vjp_args *args);

#endif
