/* SPDX-License-Identifier: Apache-2.0 */
/* Arrays that are not in the memory of the CPU: where they are, new ones, and streams. */
#ifndef SMELT_PYTHON_DEVICE_H
#define SMELT_PYTHON_DEVICE_H

#include "array.h"

/* The device of an array that comes in by __dlpack__. */
bool device_of(const struct library *library, PyObject *object, DLDevice *device);
/* A new CuPy array; for other libraries of this door an error that asks for out=. */
bool device_allocate(struct array *array, const struct library *library, const DLTensor *prototype);

#endif
