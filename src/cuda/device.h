/* SPDX-License-Identifier: Apache-2.0 */
/* The card that a call runs on: its context while the call lasts, its limits, driver errors as statuses. */
#ifndef SMELT_CUDA_DEVICE_H
#define SMELT_CUDA_DEVICE_H

#include "core/call.h"
#include "driver.h"

struct smelt_cuda_device {
    const struct smelt_cuda_driver *driver;
    int index, major, minor, multiprocessors, cache_bytes; /* of the second-level cache */
    bool pushed;
};

/* Makes the device of the call's tensors current, after checking that there is a driver, that the card is one
 * of sm_80 or newer, and that every tensor lies in its memory. */
smelt_status smelt_cuda_enter(struct smelt_cuda_device *device, const struct smelt_view *const *views,
                              int count, const char *operation);
/* Restores the caller's context. Returns `status`. */
smelt_status smelt_cuda_leave(struct smelt_cuda_device *device, smelt_status status);

/* Cards that a driver lists, 0 without one; the name and compute capability of one, "" where it has none. */
int smelt_cuda_count(void);
void smelt_cuda_describe(int index, char *text, size_t size);

/* SMELT_OK, or the status and sentence of a driver error. */
smelt_status smelt_cuda_status(CUresult result, const char *operation, const char *what);

#endif
