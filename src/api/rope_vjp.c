/* SPDX-License-Identifier: Apache-2.0 */
/* smelt_rope_vjp: the rotation backwards. */
#include "api/rope.h"

smelt_status smelt_rope_vjp(DLTensor *dx, const DLTensor *dout, const smelt_rope_options *options,
                            const smelt_stream *stream)
{
    return smelt_rope_run("rope_vjp", "dx", dx, "dout", dout, options, true, stream);
}
