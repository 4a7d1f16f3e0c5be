/* SPDX-License-Identifier: Apache-2.0 */
/* Option structs that grow at the end. */
#ifndef SMELT_CORE_OPTIONS_H
#define SMELT_CORE_OPTIONS_H

#include "core/status.h"

/* Copies `given` (NULL = all defaults) over the defaults, by its struct_size. `first_size` is that of version
 * 1 of the struct, which is the whole of it today; `options` and `defaults` have that size. */
smelt_status smelt_read_options(const char *operation, const char *argument, void *options, const void *given,
                                const void *defaults, uint32_t first_size);

#endif
