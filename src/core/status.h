/* SPDX-License-Identifier: Apache-2.0 */
/* Failing with a sentence. */
#ifndef SMELT_CORE_STATUS_H
#define SMELT_CORE_STATUS_H

#include <smelt/base.h>

/* Records the sentence for smelt_last_error() and returns the status. Leave out the final full stop. */
smelt_status smelt_fail(smelt_status status, const char *format, ...)
    __attribute__((format(printf, 2, 3), cold));

#define SMELT_TRY(expression)                                                                                \
    do {                                                                                                     \
        smelt_status smelt_try_status = (expression);                                                        \
        if (__builtin_expect(smelt_try_status != SMELT_OK, 0)) return smelt_try_status;                      \
    } while (0)

#endif
