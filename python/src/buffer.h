/* SPDX-License-Identifier: Apache-2.0 */
/* smelt._smelt.Buffer: memory of ours with __dlpack__, from which any library makes its own array without a
 * copy. */
#ifndef SMELT_PYTHON_BUFFER_H
#define SMELT_PYTHON_BUFFER_H

#include "array.h"

bool buffer_setup(PyObject *module);
bool buffer_check(PyObject *object);
bool buffer_is_type(PyObject *type);
const char *dtype_text(DLDataType type); /* "float32" */
bool buffer_allocate(struct array *array, const struct library *library, const DLTensor *prototype);
/* _smelt.blank(dtype, shape): a Buffer of zeros, in place of an array of which no more is known (a tracer).
 */
PyObject *py_blank(PyObject *module, PyObject *const *arguments, Py_ssize_t count);

#endif
