/* SPDX-License-Identifier: Apache-2.0 */
/* One request, from its fields to the fields of the answer. */
#ifndef SMELT_METALC_ANSWER_H
#define SMELT_METALC_ANSWER_H
#include <stdbool.h>
#include <stddef.h>
#include "text.h"

/* `request` has length bytes and one more that may be written. */
void answer_request(char *request, size_t length, struct text *answer);

/* The embedded headers, in the generated embedded.c. */
struct embedded_file {
    const char *path;
    const unsigned char *text;
    size_t length;
};
extern const struct embedded_file embedded_files[];
extern const size_t embedded_count;

/* The headers precompiled, one for each math mode; length 0 in the stage of the build that makes them. */
extern struct embedded_file embedded_precompiled[3];

/* Writes the precompiled headers of a math mode to a file: a step of the build. */
bool precompile_prelude(unsigned math_mode, const char *path, struct text *log);

#endif
