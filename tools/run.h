/* SPDX-License-Identifier: Apache-2.0 */
/* One run of a kernel: memory by index, and what becomes files. */
#ifndef SMELT_TOOLS_RUN_H
#define SMELT_TOOLS_RUN_H

#include <smelt/smelt.h>

#include "arguments.h"
#include "value.h"

enum { RUN_INDICES = 64 };

struct run_output {
    int64_t index;
    struct npy form; /* its data are those of the bound memory */
    const char *path;
};

struct run {
    struct npy memory[2 * ARGUMENT_WORDS]; /* an entry for each --buffer, and each --out without one */
    int memories;
    struct npy *bound[RUN_INDICES];
    struct run_output output[ARGUMENT_WORDS];
    int outputs;
    unsigned char values[ARGUMENT_WORDS][VALUE_BYTES], constant_value[ARGUMENT_WORDS][16];
    smelt_metal_constant constant[ARGUMENT_WORDS];
    int constants;
    smelt_metal_buffer buffer[RUN_INDICES];
    smelt_metal_bytes bytes[ARGUMENT_WORDS];
    smelt_metal_threadgroup_memory threadgroup[ARGUMENT_WORDS];
    smelt_metal_launch launch;
};

/* Runs the kernel again `repeats` times and prints its median time and rate. The exit code. */
int run_time(const struct run *run, smelt_metal_function *function, const char *name, int64_t repeats);

#endif
