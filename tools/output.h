/* SPDX-License-Identifier: Apache-2.0 */
/* What the commands print: progress on a terminal, times for people, strings for JSON. */
#ifndef SMELT_TOOLS_OUTPUT_H
#define SMELT_TOOLS_OUTPUT_H

#include <stdio.h>

/* One line on standard error that the next one replaces; nothing where that is no terminal. */
void progress_show(const char *format, ...) __attribute__((format(printf, 1, 2)));
void progress_clear(void); /* before anything else is printed */

/* "3.61 us", "41.1 ms", "2.75 s". Returns the buffer. */
enum { TIME_TEXT = 16 };
const char *time_text(char text[TIME_TEXT], double seconds);

void json_string(FILE *file, const char *text); /* with its quotes */
void json_number(FILE *file, double number);    /* null where it is not finite */
/* smelt_info() as it is, an object. */
void json_info(FILE *file);

#endif
