/* SPDX-License-Identifier: Apache-2.0 */
#ifndef SMELT_PYTHON_LIBRARY_H
#define SMELT_PYTHON_LIBRARY_H

#include "array.h"

/* NULL, without an exception, where the object is no array that we can read. */
const struct library *library_of(PyObject *object);

#endif
