/* SPDX-License-Identifier: Apache-2.0 */
/* XLA's foreign-function interface: the operations as targets that compiled JAX programs call without Python.
 */
#ifndef SMELT_PYTHON_XLA_H
#define SMELT_PYTHON_XLA_H

#include "array.h"

/* _smelt.xla_targets() -> {platform: {name: capsule}}, for jax.ffi.register_ffi_target. */
PyObject *py_xla_targets(PyObject *module, PyObject *none);

#endif
