/* SPDX-License-Identifier: Apache-2.0 */
/* Argument checks that the norm family shares. */
#ifndef SMELT_API_NORM_H
#define SMELT_API_NORM_H

#include <smelt/norm.h>

#include "core/call.h"

/* Reads and checks the options; a failure is kept in the call. */
void smelt_norm_read_options(struct smelt_call *call, struct smelt_norm_options *read,
                             const smelt_norm_options *given);

/* `view` (or NULL) is (dim), dim being the last axis of x. */
void smelt_norm_expect_column(struct smelt_call *call, const struct smelt_view *view,
                              const struct smelt_view *x);
/* `view` (or NULL) is (1) or (dim). */
void smelt_norm_expect_scalar(struct smelt_call *call, const struct smelt_view *view,
                              const struct smelt_view *x);

/* `gradient` (or NULL) has the shape and dtype of `of`, which is there: `name` is its name. */
void smelt_norm_expect_gradient(struct smelt_call *call, const struct smelt_view *gradient,
                                const struct smelt_view *of, const char *name);

/* Promotion where the second may be absent. */
static inline enum smelt_dtype smelt_norm_promote(enum smelt_dtype dtype, const struct smelt_view *view)
{
    return view ? smelt_promote(dtype, view->dtype) : dtype;
}
/* Of all inputs of the residual family. */
static inline enum smelt_dtype smelt_norm_promote_all(const struct smelt_view *residual,
                                                      const struct smelt_view *x,
                                                      const struct smelt_view *weight,
                                                      const struct smelt_view *scalar)
{
    enum smelt_dtype dtype = smelt_promote(residual->dtype, x->dtype);
    return smelt_norm_promote(smelt_norm_promote(dtype, weight), scalar);
}

#endif
