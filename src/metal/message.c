/* SPDX-License-Identifier: Apache-2.0 */
/* Building and reading the messages of metalc/protocol.h. */
#include "metal/message.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void smelt_message_bytes(struct smelt_message *m, const void *bytes, size_t length)
{
    if (m->failed) return;
    if (m->length + length + 1 > m->capacity) {
        size_t capacity = (m->length + length + 1) * 2;
        char *data = realloc(m->data, capacity);
        if (!data) {
            m->failed = true;
            return;
        }
        m->data = data;
        m->capacity = capacity;
    }
    if (length) memcpy(m->data + m->length, bytes, length);
    m->length += length;
    m->data[m->length] = 0;
}

void smelt_message_field(struct smelt_message *m, uint32_t key, const void *bytes, size_t length)
{
    uint32_t head[2] = {key, (uint32_t)length};
    smelt_message_bytes(m, head, sizeof head);
    smelt_message_bytes(m, bytes, length);
}

void smelt_message_print(struct smelt_message *m, const char *format, ...)
{
    va_list list;
    va_start(list, format);
    int need = vsnprintf(NULL, 0, format, list);
    va_end(list);
    char *text = need < 0 ? NULL : malloc((size_t)need + 1);
    if (!text) {
        m->failed = true;
        return;
    }
    va_start(list, format);
    vsnprintf(text, (size_t)need + 1, format, list);
    va_end(list);
    smelt_message_bytes(m, text, (size_t)need);
    free(text);
}

void smelt_message_free(struct smelt_message *m)
{
    free(m->data);
    *m = (struct smelt_message){0};
}

const char *smelt_message_find(const char *message, size_t size, uint32_t key, size_t *length)
{
    for (size_t at = 0; at + 8 <= size;) {
        uint32_t head[2];
        memcpy(head, message + at, sizeof head);
        at += sizeof head;
        if (head[1] > size - at) return NULL;
        if (head[0] == key) {
            *length = head[1];
            return message + at;
        }
        at += head[1];
    }
    return NULL;
}
