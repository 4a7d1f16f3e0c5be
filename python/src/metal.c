/* SPDX-License-Identifier: Apache-2.0 */
/* Custom kernels from Python: texts, names and numbers, and the error of texts that do not compile. */
#include "metal.h"

#include <stdlib.h>
#include <string.h>

#include "metal/kernel.h"

PyObject *compile_error;

const char *text_of(PyObject *object, const char *name)
{
    Py_ssize_t length;
    if (!PyUnicode_Check(object)) {
        PyErr_Format(PyExc_TypeError, "%s: expected a str", name);
        return NULL;
    }
    const char *text = PyUnicode_AsUTF8AndSize(object, &length);
    if (text && strlen(text) != (size_t)length) {
        PyErr_Format(PyExc_ValueError, "%s: expected a text without NUL", name);
        return NULL;
    }
    return text;
}

bool names_of(struct names *names, PyObject *tuple, const char *name)
{
    Py_ssize_t count = PyTuple_Size(tuple);
    if (count < 0) return false;
    names->count = 0;
    names->name = calloc((size_t)count + 1, sizeof *names->name);
    if (!names->name) return PyErr_NoMemory(), false;
    for (Py_ssize_t k = 0; k < count; k++)
        if (!(names->name[names->count++] = text_of(PyTuple_GetItem(tuple, k), name))) return false;
    return true;
}

bool words_of(uint32_t words[3], PyObject *tuple, const char *name)
{
    for (Py_ssize_t k = 0; k < 3; k++) {
        PyObject *item = PyTuple_GetItem(tuple, k);
        long long value = item ? PyLong_AsLongLong(item) : -1;
        if (value == -1 && PyErr_Occurred()) return false;
        if (value < 0 || value > UINT32_MAX) {
            PyErr_Format(PyExc_ValueError, "%s: expected numbers of 0 to %lld, got %lld", name,
                         (long long)UINT32_MAX, value);
            return false;
        }
        words[k] = (uint32_t)value;
    }
    return true;
}

bool dtype_of_pair(DLDataType *type, PyObject *pair)
{
    PyObject *code = PyTuple_GetItem(pair, 0), *bits = code ? PyTuple_GetItem(pair, 1) : NULL;
    if (!bits) return false;
    *type = (DLDataType){(uint8_t)PyLong_AsLong(code), (uint8_t)PyLong_AsLong(bits), 1};
    return !PyErr_Occurred();
}

void *handle_of(PyObject *capsule, const char *name) { return PyCapsule_GetPointer(capsule, name); }

/* Reports of `verbose` come while other threads may hold the interpreter. */
static void print_report(const char *text)
{
    PyGILState_STATE state = PyGILState_Ensure();
    PySys_FormatStdout("%s", text);
    PyGILState_Release(state);
}

bool metal_setup(PyObject *module)
{
    compile_error = PyErr_NewExceptionWithDoc(
        "smelt.CompileError",
        "A custom kernel's text that does not compile; `log` holds the compiler's messages.",
        PyExc_RuntimeError, NULL);
    smelt_kernel_print = print_report;
    return compile_error && PyModule_AddObjectRef(module, "CompileError", compile_error) == 0;
}
