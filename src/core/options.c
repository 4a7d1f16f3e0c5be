/* SPDX-License-Identifier: Apache-2.0 */
/* Reading of option structs of older and newer callers. */
#include "core/options.h"

#include <string.h>

smelt_status smelt_read_options(const char *operation, const char *argument, void *options, const void *given,
                                const void *defaults, uint32_t first_size)
{
    enum { MOST = 4096 }; /* no struct will grow so far: a larger size is an uninitialised one */
    memcpy(options, defaults, first_size);
    if (!given) return SMELT_OK;
    uint32_t size;
    memcpy(&size, given, sizeof size);
    if (size < first_size || size > MOST)
        return smelt_fail(SMELT_INVALID_ARGUMENT,
                          "%s: %s.struct_size: expected %u (use the INIT macro), got %u", operation, argument,
                          first_size, size);
    for (uint32_t i = first_size; i < size; i++)
        if (((const unsigned char *)given)[i])
            return smelt_fail(
                SMELT_UNSUPPORTED,
                "%s: %s has %u bytes and sets a field beyond the %u that this version of smelt knows",
                operation, argument, size, first_size);
    memcpy(options, given, first_size);
    return SMELT_OK;
}
