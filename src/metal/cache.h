/* SPDX-License-Identifier: Apache-2.0 */
/* Answers of the compiler on the disk, by the whole request that they answer. */
#ifndef SMELT_METAL_CACHE_H
#define SMELT_METAL_CACHE_H
#include <stdbool.h>
#include "metal/message.h"

struct smelt_hash {
    uint64_t words[2];
};

struct smelt_hash smelt_hash_of(const void *bytes, size_t length);
/* The answer kept for this key, malloc'ed; false where there is none that can be trusted. */
bool smelt_cache_read(const struct smelt_message *key, char **answer, size_t *size);
/* Best effort: what cannot be written is compiled again. */
void smelt_cache_write(const struct smelt_message *key, const char *answer, size_t size);

#endif
