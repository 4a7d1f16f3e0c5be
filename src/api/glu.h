/* SPDX-License-Identifier: Apache-2.0 */
/* What the back ends get of smelt_glu and smelt_glu_vjp: checked views of one shape and dtype. */
#ifndef SMELT_API_GLU_H
#define SMELT_API_GLU_H

#include <smelt/glu.h>

#include "core/call.h"

struct smelt_glu_args {
    const struct smelt_run *run;
    smelt_activation activation;
    const struct smelt_view *out, *gate, *up;
};
smelt_status smelt_cpu_glu(const struct smelt_glu_args *args);
smelt_status smelt_cuda_glu(const struct smelt_glu_args *args);

struct smelt_glu_vjp_args {
    const struct smelt_run *run;
    smelt_activation activation;
    const struct smelt_view *dgate, *dup; /* either may be NULL */
    const struct smelt_view *gate, *up, *dout;
};
smelt_status smelt_cpu_glu_vjp(const struct smelt_glu_vjp_args *args);
smelt_status smelt_cuda_glu_vjp(const struct smelt_glu_vjp_args *args);

/* Rejects an activation that is none. */
void smelt_expect_activation(struct smelt_call *call, smelt_activation activation);

#endif
