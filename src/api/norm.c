/* SPDX-License-Identifier: Apache-2.0 */
/* Argument checks that the norm family shares. */
#include "api/norm.h"

#include "core/options.h"

void smelt_norm_read_options(struct smelt_call *call, struct smelt_norm_options *read,
                             const smelt_norm_options *given)
{
    static const smelt_norm_options defaults = SMELT_NORM_OPTIONS_INIT;
    if (call->status != SMELT_OK) return;
    call->status =
        smelt_read_options(call->operation, "options", read, given, &defaults, sizeof(smelt_norm_options));
    if (call->status == SMELT_OK && !(read->eps >= 0))
        smelt_reject(call, SMELT_INVALID_ARGUMENT, "options.eps: expected 0 or more, got %g",
                     (double)read->eps);
}

void smelt_norm_expect_column(struct smelt_call *call, const struct smelt_view *view,
                              const struct smelt_view *x)
{
    smelt_expect_rank(call, view, 1, 1);
    if (!view || call->status != SMELT_OK || view->shape[0] == x->shape[x->rank - 1]) return;
    smelt_reject(call, SMELT_INVALID_ARGUMENT,
                 "%s: expected length %lld, that of the last axis of x, got %lld", view->name,
                 (long long)x->shape[x->rank - 1], (long long)view->shape[0]);
}

void smelt_norm_expect_scalar(struct smelt_call *call, const struct smelt_view *view,
                              const struct smelt_view *x)
{
    smelt_expect_rank(call, view, 1, 1);
    if (!view || call->status != SMELT_OK) return;
    if (view->shape[0] == 1 || view->shape[0] == x->shape[x->rank - 1]) return;
    smelt_reject(call, SMELT_INVALID_ARGUMENT,
                 "%s: expected length 1 or %lld, that of the last axis of x, got %lld", view->name,
                 (long long)x->shape[x->rank - 1], (long long)view->shape[0]);
}

void smelt_norm_expect_gradient(struct smelt_call *call, const struct smelt_view *gradient,
                                const struct smelt_view *of, const char *name)
{
    if (!gradient) return;
    if (!of)
        smelt_reject(call, SMELT_INVALID_ARGUMENT, "%s: expected NULL, as %s is NULL, got a tensor",
                     gradient->name, name);
    smelt_expect_same_shape(call, gradient, of);
    if (of) smelt_expect_dtype(call, gradient, of->dtype);
}
