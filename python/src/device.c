/* SPDX-License-Identifier: Apache-2.0 */
/* CUDA arrays: their devices, streams and results. PyTorch answers by the exchange API, CuPy by smelt._cupy.
 */
#include "device.h"

#include <string.h>

#include "buffer.h"

static bool is_cupy(const struct library *library) { return !strcmp(library->name, "cupy"); }

static PyObject *call_cupy(const char *function, const char *format, ...)
{
    va_list values;
    va_start(values, format);
    PyObject *arguments = Py_VaBuildValue(format, values);
    va_end(values);
    PyObject *module = arguments ? PyImport_ImportModule("smelt._cupy") : NULL;
    PyObject *callee = module ? PyObject_GetAttrString(module, function) : NULL;
    PyObject *result = callee ? PyObject_Call(callee, arguments, NULL) : NULL;
    Py_XDECREF(callee);
    Py_XDECREF(module);
    Py_XDECREF(arguments);
    return result;
}

bool device_of(const struct library *library, PyObject *object, DLDevice *device)
{
    /* arrays of these two come here on the CPU only: no call for every argument */
    if (!strcmp(library->name, "jax") || !strcmp(library->name, "mlx")) return true;
    PyObject *pair = PyObject_CallMethod(object, "__dlpack_device__", NULL);
    if (!pair) { /* the capsule will tell */
        PyErr_Clear();
        return true;
    }
    int type = 0, id = 0;
    PyObject *first = PySequence_GetItem(pair, 0), *second = first ? PySequence_GetItem(pair, 1) : NULL;
    if (second) type = (int)PyLong_AsLong(first), id = (int)PyLong_AsLong(second);
    Py_XDECREF(first);
    Py_XDECREF(second);
    Py_DECREF(pair);
    if (PyErr_Occurred()) return false;
    *device = (DLDevice){(DLDeviceType)type, id};
    return true;
}

/* An integer, or an object with cuda_stream (PyTorch) or ptr (CuPy); NULL for an array library's CPU stream.
 */
static bool read_number(PyObject *object, void **stream)
{
    static const char *const names[] = {"cuda_stream", "ptr"};
    PyObject *value = PyLong_Check(object) ? Py_NewRef(object) : NULL;
    for (int i = 0; !value && i < 2; i++) {
        value = PyObject_GetAttrString(object, names[i]);
        if (!value) PyErr_Clear();
    }
    if (!value) return true;
    *stream = PyLong_AsVoidPtr(value);
    Py_DECREF(value);
    return *stream || !PyErr_Occurred();
}

bool call_stream(const struct call *call, DLDevice device, void **stream)
{
    const struct library *library = call->library;
    *stream = NULL;
    if (call->stream != Py_None) return read_number(call->stream, stream);
    if (library->exchange && library->exchange->current_work_stream) {
        if (library->exchange->current_work_stream(device.device_type, device.device_id, stream) == 0)
            return true;
        if (!PyErr_Occurred()) PyErr_Format(PyExc_RuntimeError, "%s told no current stream", library->name);
        return false;
    }
    if (!is_cupy(library)) return true;
    PyObject *number = call_cupy("current_stream", "(i)", device.device_id);
    bool told = number && read_number(number, stream);
    Py_XDECREF(number);
    return told;
}

bool device_allocate(struct array *array, const struct library *library, const DLTensor *prototype)
{
    if (!is_cupy(library)) {
        PyErr_Format(PyExc_NotImplementedError,
                     "smelt cannot allocate results of %s on this device: pass out=", library->name);
        return false;
    }
    PyObject *shape = PyTuple_New(prototype->ndim);
    for (int i = 0; shape && i < prototype->ndim; i++)
        PyTuple_SetItem(shape, i, PyLong_FromLongLong(prototype->shape[i]));
    PyObject *pair = shape ? call_cupy("allocate", "(Osi)", shape, dtype_text(prototype->dtype),
                                       prototype->device.device_id)
                           : NULL;
    Py_XDECREF(shape);
    PyObject *address = pair ? PySequence_GetItem(pair, 1) : NULL;
    if (address) {
        array->object = PySequence_GetItem(pair, 0);
        memcpy(array->shape, prototype->shape, (size_t)prototype->ndim * sizeof(int64_t));
        array->tensor = *prototype;
        array->tensor.shape = array->shape;
        array->tensor.data = PyLong_AsVoidPtr(address);
    }
    Py_XDECREF(address);
    Py_XDECREF(pair);
    return array->object && !PyErr_Occurred();
}
