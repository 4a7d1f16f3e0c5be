/* SPDX-License-Identifier: Apache-2.0 */
/* Status names, the last error of a thread, and the version. */
#include "core/status.h"

#include <stdarg.h>
#include <stdio.h>

static _Thread_local char last_error[8192];

smelt_status smelt_fail(smelt_status status, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(last_error, sizeof last_error, format, arguments);
    va_end(arguments);
    return status;
}

const char *smelt_last_error(void) { return last_error; }

const char *smelt_status_string(smelt_status status)
{
    switch (status) {
    case SMELT_OK: return "ok";
    case SMELT_INVALID_ARGUMENT: return "invalid argument";
    case SMELT_UNSUPPORTED: return "unsupported";
    case SMELT_OUT_OF_MEMORY: return "out of memory";
    case SMELT_DEVICE_ERROR: return "device error";
    case SMELT_COMPILE_ERROR: return "compile error";
    case SMELT_IO_ERROR: return "input/output error";
    case SMELT_INTERNAL_ERROR: return "internal error";
    }
    return "unknown status";
}

#define TEXT(x)    #x
#define VERSION(x) TEXT(x)
const char *smelt_version(void)
{
    return VERSION(SMELT_VERSION_MAJOR) "." VERSION(SMELT_VERSION_MINOR) "." VERSION(SMELT_VERSION_PATCH);
}
