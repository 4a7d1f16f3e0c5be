/* SPDX-License-Identifier: Apache-2.0 */
/* The arguments that attention and its gradient share: q, k, v and the options. */
#ifndef SMELT_API_SDPA_ARGUMENTS_H
#define SMELT_API_SDPA_ARGUMENTS_H

#include "api/sdpa.h"

/* Reads `given` into *options and checks its plain values; resolves scale (but a default one, which needs the
 * head size), softcap, windows and offset into *args. */
smelt_status smelt_sdpa_read_options(struct smelt_call *call, struct smelt_sdpa_args *args,
                                     smelt_sdpa_options *options, const smelt_sdpa_options *given);
/* Views of q, k, v and of the tensors among the options. Failures are kept in the call, as ever. */
void smelt_sdpa_inputs(struct smelt_call *call, struct smelt_sdpa_args *args, const DLTensor *q,
                       const DLTensor *k, const DLTensor *v, const smelt_sdpa_options *options);
/* Shapes and dtypes of those against each other, after SMELT_TRY(call->status); completes *args. */
void smelt_sdpa_check_inputs(struct smelt_call *call, struct smelt_sdpa_args *args);
/* `view` has the shape of out, or of lse. */
void smelt_sdpa_expect_out(struct smelt_call *call, const struct smelt_sdpa_args *args,
                           const struct smelt_view *view);
void smelt_sdpa_expect_lse(struct smelt_call *call, const struct smelt_sdpa_args *args,
                           const struct smelt_view *view);
/* On the CPU, after smelt_call_ready(): every kv_lengths[b] is in 0..kL. */
smelt_status smelt_sdpa_check_lengths(struct smelt_call *call, const struct smelt_sdpa_args *args);

#endif
