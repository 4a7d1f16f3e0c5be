/* SPDX-License-Identifier: Apache-2.0 */
/* One thing to compile: text, options and entry point, and the code that comes of it. */
#ifndef SMELT_METAL_UNIT_H
#define SMELT_METAL_UNIT_H
#include <stdbool.h>
#include "core/status.h"
#include "metal/loader.h"
#include "metal/message.h"
#include "metalc/abi.h"

struct smelt_unit {
    const char *name;   /* of the text, in messages */
    const char *source;
    const char *prefix; /* C++ before it, on a line of its own; "" = none */
    const char *entry;  /* C++ behind it that calls the kernel; "" = only look */
    uint32_t flags, math_mode;
    const char *const *folders;
    size_t folder_count;
    const char *const *definitions;
    size_t definition_count;
};

struct smelt_code {
    struct smelt_image image;
    smelt_simdgroup_function *function;
    struct smelt_report_words report;
};

/* Compiles, or finds in the cache. `reflection` (may be NULL) is malloc'ed. */
smelt_status smelt_unit_reflect(const struct smelt_unit *unit, char **reflection);
smelt_status smelt_unit_compile(const struct smelt_unit *unit, struct smelt_code **code);
void smelt_code_free(struct smelt_code *code);

#endif
