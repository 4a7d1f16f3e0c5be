/* SPDX-License-Identifier: Apache-2.0 */
/* What the back ends get of smelt_layer_norm and smelt_layer_norm_vjp: checked views; optional ones may be
 * NULL. */
#ifndef SMELT_API_LAYER_NORM_H
#define SMELT_API_LAYER_NORM_H

#include <smelt/norm.h>

#include "core/call.h"

struct smelt_layer_norm_args {
    const struct smelt_run *run;
    struct smelt_norm_options options;
    const struct smelt_view *out, *x, *weight, *bias;
};
smelt_status smelt_cpu_layer_norm(const struct smelt_layer_norm_args *args);
smelt_status smelt_cuda_layer_norm(const struct smelt_layer_norm_args *args);

struct smelt_layer_norm_vjp_args {
    const struct smelt_run *run;
    struct smelt_norm_options options;
    const struct smelt_view *dx, *dweight, *dbias, *x, *weight, *dout;
};
smelt_status smelt_cpu_layer_norm_vjp(const struct smelt_layer_norm_vjp_args *args);
smelt_status smelt_cuda_layer_norm_vjp(const struct smelt_layer_norm_vjp_args *args);

/* dtype of the output: without a weight that of x, whatever the bias is. */
static inline enum smelt_dtype smelt_layer_norm_dtype(const struct smelt_view *x,
                                                      const struct smelt_view *weight,
                                                      const struct smelt_view *bias)
{
    enum smelt_dtype dtype = weight ? smelt_promote(x->dtype, weight->dtype) : x->dtype;
    return weight && bias ? smelt_promote(dtype, bias->dtype) : dtype;
}

#endif
