/* SPDX-License-Identifier: Apache-2.0 */
/* One call of the public interface: its arguments, checked, and where it runs. The shape of every src/api
 * file:
 *
 *     struct smelt_call call;
 *     SMELT_TRY(smelt_call_begin(&call, "glu", stream));
 *     const struct smelt_view *gate = smelt_input(&call, "gate", gate_tensor, SMELT_FLOATING);
 *     struct smelt_view *out = smelt_output(&call, "out", out_tensor, SMELT_FLOATING);
 *     SMELT_TRY(call.status);                          the first failure; views may be NULL until here
 *     smelt_expect_same_shape(&call, up, gate); ...     each keeps the first failure
 *     smelt_allow_alias(&call, out, gate);
 *     SMELT_TRY(smelt_call_ready(&call));               overlaps, devices
 *     ... fill a plain struct, choose the kernel, run ...
 *     return smelt_call_end(&call); */
#ifndef SMELT_CORE_CALL_H
#define SMELT_CORE_CALL_H

#include "core/parallel.h"
#include "core/tensor.h"

enum { SMELT_MAX_ARGUMENTS = 24 };

struct smelt_call {
    const char *operation;
    smelt_status status; /* the first failure; checks after it do nothing */
    struct smelt_run run;
    int count;
    uint32_t outputs;                      /* bit i: view i is an output */
    uint32_t aliases[SMELT_MAX_ARGUMENTS]; /* bit j of entry i: output i may be exactly argument j */
    double started;                        /* seconds, where verbose */
    struct smelt_view views[SMELT_MAX_ARGUMENTS];
};

smelt_status smelt_call_begin(struct smelt_call *call, const char *operation, const smelt_stream *stream);

/* Required arguments: NULL is an error. The optional_ forms return NULL for NULL. */
struct smelt_view *smelt_input(struct smelt_call *call, const char *name, const DLTensor *tensor,
                               unsigned dtypes);
struct smelt_view *smelt_output(struct smelt_call *call, const char *name, const DLTensor *tensor,
                                unsigned dtypes);
struct smelt_view *smelt_optional_input(struct smelt_call *call, const char *name, const DLTensor *tensor,
                                        unsigned dtypes);
struct smelt_view *smelt_optional_output(struct smelt_call *call, const char *name, const DLTensor *tensor,
                                         unsigned dtypes);

/* Expectations; views that are NULL are skipped. Each does nothing after a first failure. */
void smelt_expect_rank(struct smelt_call *call, const struct smelt_view *view, int least, int most);
void smelt_expect_shape(struct smelt_call *call, const struct smelt_view *view, int rank,
                        const int64_t *shape);
void smelt_expect_same_shape(struct smelt_call *call, const struct smelt_view *view,
                             const struct smelt_view *like);
void smelt_expect_dtype(struct smelt_call *call, const struct smelt_view *view, enum smelt_dtype dtype);
/* Any other condition: records the failure "operation: " + format. */
void smelt_reject(struct smelt_call *call, smelt_status status, const char *format, ...)
    __attribute__((format(printf, 3, 4), cold));

/* `output` may be exactly `input` (same pointer, shape, strides, dtype). NULL views are skipped. */
void smelt_allow_alias(struct smelt_call *call, const struct smelt_view *output,
                       const struct smelt_view *input);

/* The last check: outputs do not overlap themselves or other arguments, and all tensors are on one device.
 * Returns the call's status. */
smelt_status smelt_call_ready(struct smelt_call *call);

/* The device type of the tensors, kDLCPU or kDLCUDA, after smelt_call_ready(). */
DLDeviceType smelt_call_device(const struct smelt_call *call);

/* Logs the call where SMELT_VERBOSE asks for it. Returns SMELT_OK. */
smelt_status smelt_call_end(struct smelt_call *call);

#endif
