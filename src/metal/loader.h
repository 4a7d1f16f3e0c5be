/* SPDX-License-Identifier: Apache-2.0 */
/* Puts an object file of the compiler into executable memory. */
#ifndef SMELT_METAL_LOADER_H
#define SMELT_METAL_LOADER_H
#include <stdbool.h>
#include <stddef.h>
#include "core/status.h"

struct smelt_image {
    void *memory;
    size_t size;
    void *function; /* smelt_kernel */
};

smelt_status smelt_image_load(struct smelt_image *image, const char *object, size_t size);
void smelt_image_unload(struct smelt_image *image);

/* fiber.c: what a kernel calls at a threadgroup barrier. */
struct smelt_simdgroup;
void smelt_kernel_barrier(struct smelt_simdgroup *simdgroup);

#endif
