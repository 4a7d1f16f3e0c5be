/* SPDX-License-Identifier: Apache-2.0 */
/* What both forms of custom kernels share on their way from Python. */
#ifndef SMELT_PYTHON_METAL_H
#define SMELT_PYTHON_METAL_H

#include <smelt/metal.h>

#include "reader.h"

/* Names of a tuple of str, as C strings that the tuple keeps. */
struct names {
    const char **name;
    size_t count;
};

/* NULL with an exception set: no str, or one with a NUL in it. */
const char *text_of(PyObject *object, const char *name);
bool names_of(struct names *names, PyObject *tuple, const char *name);
bool words_of(uint32_t words[3], PyObject *tuple, const char *name);
bool dtype_of_pair(DLDataType *type, PyObject *pair);
/* A handle in a capsule of that name; NULL with an exception set. */
void *handle_of(PyObject *capsule, const char *name);
/* Creates smelt.CompileError and prints reports through sys.stdout from now on. */
bool metal_setup(PyObject *module);

extern PyObject *compile_error;

FUNCTION(metal_kernel);
FUNCTION(metal_kernel_launch);
FUNCTION(metal_library);
FUNCTION(metal_functions);
FUNCTION(metal_function);
FUNCTION(metal_reflect);
FUNCTION(metal_dispatch);

#endif
