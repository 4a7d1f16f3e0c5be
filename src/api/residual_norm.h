/* SPDX-License-Identifier: Apache-2.0 */
/* What the back ends get of smelt_residual_norm and smelt_residual_norm_vjp: checked views; optional ones may
 * be NULL. */
#ifndef SMELT_API_RESIDUAL_NORM_H
#define SMELT_API_RESIDUAL_NORM_H

#include <smelt/norm.h>

#include "core/call.h"

struct smelt_residual_norm_args {
    const struct smelt_run *run;
    struct smelt_norm_options options;
    const struct smelt_view *out, *sum, *residual, *x, *weight, *scalar;
};
smelt_status smelt_cpu_residual_norm(const struct smelt_residual_norm_args *args);
smelt_status smelt_cuda_residual_norm(const struct smelt_residual_norm_args *args);

struct smelt_residual_norm_vjp_args {
    const struct smelt_run *run;
    struct smelt_norm_options options;
    const struct smelt_view *dresidual, *dx, *dweight, *dscalar, *residual, *x, *weight, *scalar, *dout,
        *dsum;
};
smelt_status smelt_cpu_residual_norm_vjp(const struct smelt_residual_norm_vjp_args *args);
smelt_status smelt_cuda_residual_norm_vjp(const struct smelt_residual_norm_vjp_args *args);

#endif
