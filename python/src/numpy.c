/* SPDX-License-Identifier: Apache-2.0 */
/* NumPy arrays in and out. */
#include "numpy.h"

#include <string.h>

static const struct {
    char format;
    DLDataType type;
} formats[] = {
    {'f', {kDLFloat, 32, 1}}, {'d', {kDLFloat, 64, 1}}, {'e', {kDLFloat, 16, 1}}, {'?', {kDLBool, 8, 1}},
    {'b', {kDLInt, 8, 1}},    {'B', {kDLUInt, 8, 1}},   {'h', {kDLInt, 16, 1}},   {'H', {kDLUInt, 16, 1}},
    {'i', {kDLInt, 32, 1}},   {'I', {kDLUInt, 32, 1}},  {'l', {kDLInt, 64, 1}},   {'L', {kDLUInt, 64, 1}},
    {'q', {kDLInt, 64, 1}},   {'Q', {kDLUInt, 64, 1}},
};

static bool dtype_of(const Py_buffer *buffer, DLDataType *type)
{
    const char *format = buffer->format ? buffer->format : "B";
    if (*format == '@' || *format == '=' || *format == '<') format++;
    for (size_t i = 0; i < sizeof formats / sizeof *formats; i++)
        if (formats[i].format == *format && !format[1]) {
            *type = formats[i].type;
            type->bits = (uint8_t)(8 * buffer->itemsize); /* 'l' is 4 bytes on some systems */
            return true;
        }
    if (!strcmp(format, "Zf") || !strcmp(format, "Zd")) { /* named in the error that the library gives */
        *type = (DLDataType){kDLComplex, (uint8_t)(8 * buffer->itemsize), 1};
        return true;
    }
    return false;
}

static bool fill(struct array *array, const char *name)
{
    const Py_buffer *b = &array->buffer;
    if (b->ndim > MAX_RANK) {
        PyErr_Format(PyExc_ValueError, "%s: expected a rank of at most %d, got %d", name, MAX_RANK, b->ndim);
        return false;
    }
    DLDataType type;
    if (!dtype_of(b, &type)) {
        PyErr_Format(PyExc_TypeError, "%s: expected a numeric dtype, got buffer format %s", name, b->format);
        return false;
    }
    array->tensor = (DLTensor){.data = b->buf,
                               .device = {kDLCPU, 0},
                               .ndim = b->ndim,
                               .dtype = type,
                               .shape = array->shape,
                               .strides = array->strides};
    for (int i = 0; i < b->ndim; i++) {
        array->shape[i] = b->shape[i];
        array->strides[i] = b->strides[i] / b->itemsize;
        if (b->strides[i] % b->itemsize && b->shape[i] > 1) {
            PyErr_Format(PyExc_ValueError,
                         "%s: expected strides that are multiples of the element, got %zd bytes on axis %d",
                         name, b->strides[i], i);
            return false;
        }
    }
    array->read_only = b->readonly;
    return true;
}

/* dtypes that the buffer protocol cannot name: bfloat16 of ml_dtypes comes in as a view of uint16. */
static PyObject *as_uint16(PyObject *object, const char *name)
{
    PyObject *dtype = PyObject_GetAttrString(object, "dtype");
    PyObject *text = dtype ? PyObject_GetAttrString(dtype, "name") : NULL;
    PyObject *view = NULL;
    if (text && PyUnicode_Check(text) && PyUnicode_CompareWithASCIIString(text, "bfloat16") == 0)
        view = PyObject_CallMethod(object, "view", "s", "uint16");
    else if (text)
        PyErr_Format(PyExc_ValueError, "%s: expected dtype float32, float16 or bfloat16, got %U", name, text);
    Py_XDECREF(text);
    Py_XDECREF(dtype);
    return view;
}

bool numpy_read(struct array *array, PyObject *object, const char *name)
{
    if (PyObject_GetBuffer(object, &array->buffer, PyBUF_RECORDS_RO) == 0) {
        array->has_buffer = true;
        return fill(array, name);
    }
    PyErr_Clear();
    PyObject *view = as_uint16(object, name);
    if (!view) return false;
    int failed = PyObject_GetBuffer(view, &array->buffer, PyBUF_RECORDS_RO);
    Py_DECREF(view); /* the buffer keeps it */
    if (failed) return false;
    array->has_buffer = true;
    if (!fill(array, name)) return false;
    array->tensor.dtype = (DLDataType){kDLBfloat, 16, 1};
    return true;
}

/* numpy.dtype objects by code and bits, made once. */
static PyObject *dtype_object(DLDataType type)
{
    static struct {
        uint8_t code, bits;
        const char *module, *name;
        PyObject *object;
    } table[] = {
        {kDLFloat, 32, "numpy", "float32", NULL}, {kDLFloat, 16, "numpy", "float16", NULL},
        {kDLFloat, 64, "numpy", "float64", NULL}, {kDLBfloat, 16, "ml_dtypes", "bfloat16", NULL},
        {kDLInt, 32, "numpy", "int32", NULL},     {kDLUInt, 32, "numpy", "uint32", NULL},
        {kDLInt, 64, "numpy", "int64", NULL},     {kDLUInt, 64, "numpy", "uint64", NULL},
        {kDLInt, 16, "numpy", "int16", NULL},     {kDLUInt, 16, "numpy", "uint16", NULL},
        {kDLInt, 8, "numpy", "int8", NULL},       {kDLUInt, 8, "numpy", "uint8", NULL},
        {kDLBool, 8, "numpy", "bool_", NULL},     {kDLComplex, 64, "numpy", "complex64", NULL},
    };
    for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
        if (table[i].code != type.code || table[i].bits != type.bits) continue;
        if (!table[i].object) {
            PyObject *numpy = PyImport_ImportModule("numpy"),
                     *module = PyImport_ImportModule(table[i].module);
            PyObject *scalar = module ? PyObject_GetAttrString(module, table[i].name) : NULL;
            if (numpy && scalar) table[i].object = PyObject_CallMethod(numpy, "dtype", "O", scalar);
            Py_XDECREF(scalar);
            Py_XDECREF(module);
            Py_XDECREF(numpy);
        }
        return table[i].object;
    }
    PyErr_SetString(PyExc_SystemError, "smelt: no NumPy dtype for this result");
    return NULL;
}

bool numpy_allocate(struct array *array, const DLTensor *prototype)
{
    static PyObject *empty;
    if (!empty) {
        PyObject *numpy = PyImport_ImportModule("numpy");
        empty = numpy ? PyObject_GetAttrString(numpy, "empty") : NULL;
        Py_XDECREF(numpy);
    }
    PyObject *dtype = empty ? dtype_object(prototype->dtype) : NULL,
             *shape = dtype ? PyTuple_New(prototype->ndim) : NULL;
    if (!shape) return false;
    for (int i = 0; i < prototype->ndim; i++)
        PyTuple_SetItem(shape, i, PyLong_FromLongLong(prototype->shape[i]));
    array->object = PyObject_CallFunctionObjArgs(empty, shape, dtype, NULL);
    Py_DECREF(shape);
    return array->object && numpy_read(array, array->object, "result");
}
