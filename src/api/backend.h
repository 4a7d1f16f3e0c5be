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

/* Runs a checked call on the back end of its tensors. */
#ifdef SMELT_CUDA
#    define SMELT_RUN(call, operation, args)                                                                 \
        (smelt_call_device(call) == kDLCPU ? smelt_cpu_##operation(args) : smelt_cuda_##operation(args))
#else
#    define SMELT_RUN(call, operation, args)                                                                 \
        (smelt_call_device(call) == kDLCPU ? smelt_cpu_##operation(args) : smelt_no_cuda(call))
#endif

#endif
