/* SPDX-License-Identifier: Apache-2.0 */
/* Progress, times and JSON. */
#include "output.h"

#include <math.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdlib.h>
#include <unistd.h>

#include <smelt/smelt.h>

static bool shown;

void progress_show(const char *format, ...)
{
    if (!isatty(STDERR_FILENO)) return;
    va_list arguments;
    va_start(arguments, format);
    fputs("\r\033[K", stderr);
    vfprintf(stderr, format, arguments);
    va_end(arguments);
    fflush(stderr);
    shown = true;
}

void progress_clear(void)
{
    if (shown) fputs("\r\033[K", stderr), fflush(stderr);
    shown = false;
}

const char *time_text(char text[TIME_TEXT], double seconds)
{
    double scaled = seconds < 1e-3 ? seconds * 1e6 : seconds < 1 ? seconds * 1e3 : seconds;
    snprintf(text, TIME_TEXT, "%.*f %s",
             scaled < 10    ? 2
             : scaled < 100 ? 1
                            : 0,
             scaled,
             seconds < 1e-3 ? "us"
             : seconds < 1  ? "ms"
                            : "s");
    return text;
}

void json_string(FILE *file, const char *text)
{
    putc('"', file);
    for (; *text; text++) {
        unsigned char c = (unsigned char)*text;
        if (c == '"' || c == '\\')
            fprintf(file, "\\%c", c);
        else if (c < 0x20)
            fprintf(file, "\\u%04x", c);
        else
            putc(c, file);
    }
    putc('"', file);
}

void json_number(FILE *file, double number)
{
    if (isfinite(number))
        fprintf(file, "%.6g", number);
    else
        fputs("null", file);
}

void json_info(FILE *file)
{
    size_t needed = 0;
    smelt_info(NULL, 0, &needed);
    char *json = needed ? malloc(needed) : NULL;
    if (json && smelt_info(json, needed, NULL) == SMELT_OK)
        fputs(json, file);
    else
        fputs("null", file);
    free(json);
}
