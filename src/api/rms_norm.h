/* SPDX-License-Identifier: Apache-2.0 */
/* What the back ends get of smelt_rms_norm and smelt_rms_norm_vjp: checked views; optional ones may be NULL.
 */
#ifndef SMELT_API_RMS_NORM_H
#define SMELT_API_RMS_NORM_H

#include <smelt/norm.h>

#include "core/call.h"

struct smelt_rms_norm_args {
    const struct smelt_run *run;
    struct smelt_norm_options options;
    const struct smelt_view *out, *x, *weight;
};
smelt_status smelt_cpu_rms_norm(const struct smelt_rms_norm_args *args);
smelt_status smelt_cuda_rms_norm(const struct smelt_rms_norm_args *args);

struct smelt_rms_norm_vjp_args {
    const struct smelt_run *run;
    struct smelt_norm_options options;
    const struct smelt_view *dx, *dweight, *x, *weight, *dout;
};
smelt_status smelt_cpu_rms_norm_vjp(const struct smelt_rms_norm_vjp_args *args);
smelt_status smelt_cuda_rms_norm_vjp(const struct smelt_rms_norm_vjp_args *args);

#endif
