/* SPDX-License-Identifier: Apache-2.0 */
/* From a checked call to the back end of its tensors. */
#ifndef SMELT_API_BACKEND_H
#define SMELT_API_BACKEND_H

#include "core/call.h"

static inline smelt_status smelt_no_cuda(const struct smelt_call *call)
{
    return smelt_fail(SMELT_UNSUPPORTED,
                      "%s: %s is on a CUDA device, and this build of smelt has no CUDA back end",
                      call->operation, call->views[0].name);
}

#endif
