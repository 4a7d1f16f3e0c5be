/* SPDX-License-Identifier: Apache-2.0 */
/* A body-only kernel, and the forms of its generated text. */
#ifndef SMELT_METAL_KERNEL_H
#define SMELT_METAL_KERNEL_H
#include <pthread.h>
#include <smelt/metal.h>
#include "core/tensor.h"
#include "metal/launch.h"

enum { SMELT_SMALL_ARRAY = 8, SMELT_MOST_TEMPLATES = 32 };

/* One parameter list and its code. Told apart by `key`: what of a call's arguments the text depends on. */
struct smelt_variant {
    struct smelt_variant *next;
    unsigned char *key;
    size_t key_length;
    char *text, *entry;
    struct smelt_code *code[2];
};

/* The extras that follow an input's pointer where the body names them. */
enum { EXTRA_SHAPE = 1, EXTRA_STRIDES = 2, EXTRA_NDIM = 4 };

struct smelt_kernel {
    smelt_kernel_desc desc; /* its texts are copies */
    unsigned char *extras;  /* of each input */
    uint32_t attributes;    /* bit k: the body names attribute k of smelt_kernel_attributes */
    pthread_mutex_t lock;
    struct smelt_variant *variants;
};

struct smelt_attribute {
    const char *name, *type;
};
enum { SMELT_ATTRIBUTES = 20 };
extern const struct smelt_attribute smelt_kernel_attributes[SMELT_ATTRIBUTES];

/* Where the report of `verbose` goes; standard output unless a binding has its own. */
extern void (*smelt_kernel_print)(const char *text);

/* The Metal name of an element type, or NULL. */
const char *smelt_metal_type(DLDataType type);
/* Writes the text and the entry point for arguments of these types. */
smelt_status smelt_signature_build(const struct smelt_kernel *kernel, const struct smelt_view *inputs,
                                   const struct smelt_view *outputs, const struct smelt_kernel_launch *launch,
                                   struct smelt_variant *variant);

#endif
