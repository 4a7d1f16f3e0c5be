/* SPDX-License-Identifier: Apache-2.0 */
/* A string that grows. */
#ifndef SMELT_METALC_TEXT_H
#define SMELT_METALC_TEXT_H
#include <stddef.h>

struct text {
    char *data; /* NUL after length bytes once anything was appended; NULL before */
    size_t length, capacity;
};

void text_append(struct text *t, const void *bytes, size_t count);
void text_print(struct text *t, const char *format, ...) __attribute__((format(printf, 2, 3)));
void text_free(struct text *t);

/* malloc and calloc that end the process when memory is spent: the compiler is a process of its own, and its
   parent reports the end. */
void *must_allocate(size_t count, size_t size);
void *must_grow(void *old, size_t count, size_t size);

#endif
