/* SPDX-License-Identifier: Apache-2.0 */
/* NumPy's door: the buffer protocol in, numpy.empty out; bfloat16 and the like of ml_dtypes by way of uint16.
 */
#ifndef SMELT_PYTHON_NUMPY_H
#define SMELT_PYTHON_NUMPY_H

#include "array.h"

bool numpy_read(struct array *array, PyObject *object, const char *name);
bool numpy_allocate(struct array *array, const DLTensor *prototype);

#endif
