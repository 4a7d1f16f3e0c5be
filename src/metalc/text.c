/* SPDX-License-Identifier: Apache-2.0 */
/* A string that grows, and allocation that cannot fail. */
#include "text.h"
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *must_grow(void *old, size_t count, size_t size)
{
    void *memory = size && count > SIZE_MAX / size ? NULL : realloc(old, count && size ? count * size : 1);
    if (!memory) _Exit(3);
    return memory;
}

void *must_allocate(size_t count, size_t size)
{
    void *memory = calloc(count ? count : 1, size ? size : 1);
    if (!memory) _Exit(3);
    return memory;
}

void text_append(struct text *t, const void *bytes, size_t count)
{
    if (t->length + count + 1 > t->capacity) {
        t->capacity = (t->length + count + 1) * 2;
        t->data = must_grow(t->data, t->capacity, 1);
    }
    if (count) memcpy(t->data + t->length, bytes, count);
    t->length += count;
    t->data[t->length] = 0;
}

void text_print(struct text *t, const char *format, ...)
{
    char small[512];
    va_list list;
    va_start(list, format);
    int need = vsnprintf(small, sizeof small, format, list);
    va_end(list);
    if (need < 0) return;
    if ((size_t)need < sizeof small) {
        text_append(t, small, (size_t)need);
        return;
    }
    char *large = must_allocate((size_t)need + 1, 1);
    va_start(list, format);
    vsnprintf(large, (size_t)need + 1, format, list);
    va_end(list);
    text_append(t, large, (size_t)need);
    free(large);
}

void text_free(struct text *t)
{
    free(t->data);
    *t = (struct text){0};
}
