/* SPDX-License-Identifier: Apache-2.0 */
/* A request to the compiler process, built field by field, and the fields of its answer. */
#ifndef SMELT_METAL_MESSAGE_H
#define SMELT_METAL_MESSAGE_H
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "metalc/protocol.h"

struct smelt_message {
    char *data;
    size_t length, capacity;
    bool failed; /* memory was spent */
};

void smelt_message_bytes(struct smelt_message *m, const void *bytes, size_t length);
void smelt_message_field(struct smelt_message *m, uint32_t key, const void *bytes, size_t length);
void smelt_message_print(struct smelt_message *m, const char *format, ...) __attribute__((format(printf, 2, 3)));
void smelt_message_free(struct smelt_message *m);
/* The first field of that key; NULL where there is none, or the message is not well formed. */
const char *smelt_message_find(const char *message, size_t size, uint32_t key, size_t *length);

#endif
