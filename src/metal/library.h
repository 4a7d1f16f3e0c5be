/* SPDX-License-Identifier: Apache-2.0 */
/* What a Metal text holds: its kernels and their parameters, read from the compiler's description. */
#ifndef SMELT_METAL_LIBRARY_H
#define SMELT_METAL_LIBRARY_H
#include <pthread.h>
#include <smelt/metal.h>
#include "metal/launch.h"

enum smelt_parameter_kind { PARAMETER_BUFFER, PARAMETER_THREADGROUP, PARAMETER_ATTRIBUTE };

struct smelt_parameter {
    char *name, *type, *attribute;
    enum smelt_parameter_kind kind;
    bool reference, writable;
    size_t element_size;
    uint32_t index; /* of a buffer or threadgroup memory */
    bool has_index;
    bool conditional, absent; /* there only if a function constant is true; absent: it is false */
};

struct smelt_kernel_info {
    char *name, *expression;
    struct smelt_parameter *parameters;
    size_t parameter_count;
};

struct smelt_description {
    struct smelt_kernel_info *kernels;
    size_t kernel_count;
};

smelt_status smelt_description_read(struct smelt_description *d, const char *reflection);
void smelt_description_free(struct smelt_description *d);

/* The text of a library, shared with its functions. */
struct smelt_text {
    _Atomic int owners;
    char *name, *source;
    char **folders, **definitions;
    size_t folder_count, definition_count;
    uint32_t math_mode;
};

struct smelt_metal_library {
    struct smelt_text *text;
    struct smelt_description description;
};

void smelt_text_release(struct smelt_text *text);

#endif
