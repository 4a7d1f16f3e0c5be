/* SPDX-License-Identifier: Apache-2.0 */
/* smelt._smelt: one function per C function. Private: positional arguments only, everything given, `out` and
 * optional arrays as None. The public faces are smelt.fast, smelt.torch and smelt.jax.
 *
 * An input of an integer dtype or float64 makes a function return NotImplemented: Python casts and calls
 * again. */
#include "buffer.h"
#include "metal.h"
#include "reader.h"
#include "xla.h"

static PyObject *py_info(PyObject *module, PyObject *none)
{
    char text[8192];
    size_t needed;
    (void)module, (void)none;
    smelt_status status = smelt_info(text, sizeof text, &needed);
    return status == SMELT_OK ? PyUnicode_FromString(text) : raise_status(status);
}

#define METHOD(name)                                                                                         \
    {                                                                                                        \
#        name, (PyCFunction)(void (*)(void))py_##name, METH_FASTCALL, NULL                                   \
    }
static PyMethodDef functions[] = {METHOD(rms_norm),
                                  METHOD(layer_norm),
                                  METHOD(norm_add),
                                  METHOD(residual_norm),
                                  METHOD(rope),
                                  METHOD(sdpa),
                                  METHOD(sdpa_merge),
                                  METHOD(glu),
                                  METHOD(moe_routing),
                                  METHOD(rms_norm_vjp),
                                  METHOD(layer_norm_vjp),
                                  METHOD(norm_add_vjp),
                                  METHOD(residual_norm_vjp),
                                  METHOD(sdpa_vjp),
                                  METHOD(glu_vjp),
                                  METHOD(moe_routing_vjp),
                                  {"blank", (PyCFunction)(void (*)(void))py_blank, METH_FASTCALL, NULL},
                                  {"xla_targets", py_xla_targets, METH_NOARGS, NULL},
                                  METHOD(metal_kernel),
                                  METHOD(metal_kernel_launch),
                                  METHOD(metal_library),
                                  METHOD(metal_functions),
                                  METHOD(metal_function),
                                  METHOD(metal_reflect),
                                  METHOD(metal_dispatch),
                                  {"info", py_info, METH_NOARGS, NULL},
                                  {NULL, NULL, 0, NULL}};
static PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "smelt._smelt", NULL, -1, functions, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__smelt(void)
{
    PyObject *module = PyModule_Create(&definition);
    if (!module) return NULL;
    PyObject *bases = PyTuple_Pack(2, PyExc_NotImplementedError, PyExc_ValueError);
    unsupported_error =
        bases ? PyErr_NewExceptionWithDoc("smelt.UnsupportedError",
                                          "A dtype, device or feature that smelt does not have.", bases, NULL)
              : NULL;
    Py_XDECREF(bases);
    if (!unsupported_error || PyModule_AddObjectRef(module, "UnsupportedError", unsupported_error) ||
        !(check_only = PyObject_CallNoArgs((PyObject *)&PyBaseObject_Type)) ||
        PyModule_AddObjectRef(module, "check_only", check_only) || !buffer_setup(module) ||
        !metal_setup(module) || PyModule_AddStringConstant(module, "__version__", smelt_version())) {
        Py_DECREF(module);
        return NULL;
    }
    return module;
}
