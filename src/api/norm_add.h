/* SPDX-License-Identifier: Apache-2.0 */
/* What the back ends get of smelt_norm_add and smelt_norm_add_vjp: checked views; optional ones may be NULL.
 */
#ifndef SMELT_API_NORM_ADD_H
#define SMELT_API_NORM_ADD_H

#include <smelt/norm.h>

#include "core/call.h"

struct smelt_norm_add_args {
    const struct smelt_run *run;
    struct smelt_norm_options options;
    const struct smelt_view *out, *residual, *x, *weight, *scalar;
};
smelt_status smelt_cpu_norm_add(const struct smelt_norm_add_args *args);
smelt_status smelt_cuda_norm_add(const struct smelt_norm_add_args *args);

struct smelt_norm_add_vjp_args {
    const struct smelt_run *run;
    struct smelt_norm_options options;
    const struct smelt_view *dresidual, *dx, *dweight, *dscalar, *residual, *x, *weight, *scalar, *dout;
};
smelt_status smelt_cpu_norm_add_vjp(const struct smelt_norm_add_vjp_args *args);
smelt_status smelt_cuda_norm_add_vjp(const struct smelt_norm_add_vjp_args *args);

#endif
