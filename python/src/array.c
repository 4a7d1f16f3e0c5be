/* SPDX-License-Identifier: Apache-2.0 */
/* Arrays in and out. */
#include "array.h"

#include <string.h>

#include "buffer.h"
#include "device.h"
#include "library.h"
#include "numpy.h"

void call_init(struct call *call, PyObject *stream)
{
    call->stream = stream;
    call->library = NULL;
    call->count = 0;
}

static void array_clear(struct array *array)
{
    if (array->has_buffer) PyBuffer_Release(&array->buffer);
    if (array->versioned && array->versioned->deleter) array->versioned->deleter(array->versioned);
    if (array->legacy && array->legacy->deleter) array->legacy->deleter(array->legacy);
    Py_XDECREF(array->object);
}

/* Deleters may run Python code: an exception that is set stays, one that they leave is only reported. */
void call_clear(struct call *call)
{
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    while (call->count) array_clear(&call->array[--call->count]);
    if (PyErr_Occurred()) PyErr_WriteUnraisable(NULL);
    PyErr_Restore(type, value, traceback);
}

/* The header of an entry; shape and strides need no clearing. */
static struct array *push(struct call *call)
{
    struct array *array = &call->array[call->count++];
    array->object = NULL;
    array->has_buffer = array->read_only = false;
    array->versioned = NULL, array->legacy = NULL;
    return array;
}

static bool read_capsule(struct array *array, PyObject *capsule, const char *name)
{
    if (PyCapsule_IsValid(capsule, "dltensor_versioned")) {
        array->versioned = PyCapsule_GetPointer(capsule, "dltensor_versioned");
        PyCapsule_SetName(capsule, "used_dltensor_versioned");
        if (array->versioned->version.major != DLPACK_MAJOR_VERSION) {
            PyErr_Format(PyExc_BufferError, "%s: expected DLPack version %d, got %u", name,
                         DLPACK_MAJOR_VERSION, array->versioned->version.major);
            return false;
        }
        array->read_only = array->versioned->flags & DLPACK_FLAG_BITMASK_READ_ONLY;
        array->tensor = array->versioned->dl_tensor;
        return true;
    }
    if (PyCapsule_IsValid(capsule, "dltensor")) {
        array->legacy = PyCapsule_GetPointer(capsule, "dltensor");
        PyCapsule_SetName(capsule, "used_dltensor");
        array->tensor = array->legacy->dl_tensor;
        return true;
    }
    PyErr_Format(PyExc_TypeError, "%s: __dlpack__ gave no DLPack capsule", name);
    return false;
}

/* The arguments of __dlpack__: on a CUDA device also the stream on which the memory has to be ready. */
static PyObject *dlpack_options(const struct call *call, PyObject *object)
{
    DLDevice device = {kDLCPU, 0};
    void *stream = NULL;
    if (!device_of(call->library, object, &device)) return NULL;
    if (device.device_type != kDLCUDA)
        return Py_BuildValue("{s(ii)}", "max_version", DLPACK_MAJOR_VERSION, DLPACK_MINOR_VERSION);
    if (!call_stream(call, device, &stream)) return NULL;
    return Py_BuildValue("{s(ii)sK}", "max_version", DLPACK_MAJOR_VERSION, DLPACK_MINOR_VERSION, "stream",
                         stream ? (unsigned long long)(uintptr_t)stream : 1ull); /* 1: the default stream */
}

static bool read_dlpack(const struct call *call, struct array *array, PyObject *object, const char *name)
{
    PyObject *options = dlpack_options(call, object);
    PyObject *method = options ? PyObject_GetAttrString(object, "__dlpack__") : NULL;
    PyObject *none = method ? PyTuple_New(0) : NULL,
             *capsule = none ? PyObject_Call(method, none, options) : NULL;
    if (none && !capsule && PyErr_ExceptionMatches(PyExc_TypeError) && PyDict_Size(options) == 1) {
        PyErr_Clear(); /* a library from before max_version */
        capsule = PyObject_Call(method, none, NULL);
    }
    Py_XDECREF(options);
    Py_XDECREF(method);
    Py_XDECREF(none);
    bool read = capsule && read_capsule(array, capsule, name);
    Py_XDECREF(capsule);
    return read;
}

/* Sparse and meta tensors, tensors that want a gradient: what the library says, and which argument it was. */
static void name_failure(const char *name, const char *library)
{
    PyObject *type, *value, *traceback;
    PyErr_Fetch(&type, &value, &traceback);
    if (value)
        PyErr_Format(PyExc_BufferError, "%s: %s gave no memory of it: %S", name, library, value);
    else
        PyErr_Format(PyExc_BufferError, "%s: %s gave no memory of it", name, library);
    Py_XDECREF(type);
    Py_XDECREF(value);
    Py_XDECREF(traceback);
}

static bool read_array(const struct call *call, struct array *array, const struct library *library,
                       PyObject *object, const char *name, bool write)
{
    bool read;
    switch (library->door) {
    case DOOR_EXCHANGE:
        read = library->exchange->dltensor_from_py_object_no_sync(object, &array->tensor) == 0;
        break;
    case DOOR_NUMPY: read = numpy_read(array, object, name); break;
    default: read = read_dlpack(call, array, object, name);
    }
    if (!read && (library->door == DOOR_EXCHANGE || !PyErr_Occurred())) name_failure(name, library->name);
    if (read && write && (array->read_only || library->immutable)) {
        PyErr_Format(PyExc_ValueError, "%s: expected a writable array, got a read-only one", name);
        return false;
    }
    if (read && (array->tensor.ndim < 0 || array->tensor.ndim > MAX_RANK)) {
        PyErr_Format(PyExc_ValueError, "%s: expected a rank of at most %d, got %d", name, MAX_RANK,
                     array->tensor.ndim);
        return false;
    }
    return read;
}

static DLTensor *read_argument(struct call *call, PyObject *object, const char *name, bool write,
                               bool *failed)
{
    if (*failed) return NULL;
    *failed = true;
    const struct library *library = library_of(object);
    if (!library) {
        PyObject *type = PyObject_GetAttrString((PyObject *)Py_TYPE(object), "__name__");
        if (type)
            PyErr_Format(
                PyExc_TypeError,
                "%s: expected an array (NumPy, PyTorch, JAX, CuPy, MLX or any with __dlpack__), got %U", name,
                type);
        Py_XDECREF(type);
        return NULL;
    }
    if (call->library && call->library != library && strcmp(call->library->name, library->name)) {
        PyErr_Format(PyExc_TypeError, "%s: expected an array of %s, as %s is, got one of %s", name,
                     call->library->name, call->first, library->name);
        return NULL;
    }
    if (!call->library) call->library = library, call->first = name;
    struct array *array = push(call);
    array->object = Py_NewRef(object);
    if (!read_array(call, array, library, object, name, write)) return NULL;
    *failed = false;
    return &array->tensor;
}

DLTensor *call_input(struct call *call, PyObject *object, const char *name, bool optional, bool *failed)
{
    if (optional && object == Py_None) return NULL;
    return read_argument(call, object, name, false, failed);
}

DLTensor *call_given(struct call *call, PyObject *object, const char *name, bool *failed)
{
    return read_argument(call, object, name, true, failed);
}

static void report(void *context, const char *kind, const char *message)
{
    (void)context;
    PyErr_SetString(strcmp(kind, "MemoryError") ? PyExc_RuntimeError : PyExc_MemoryError, message);
}

static bool allocate_exchange(struct array *array, const struct library *library, const DLTensor *prototype)
{
    DLTensor wanted = *prototype;
    DLManagedTensorVersioned *made = NULL;
    void *object = NULL;
    if (library->exchange->managed_tensor_allocator(&wanted, &made, NULL, report)) {
        if (!PyErr_Occurred()) PyErr_Format(PyExc_MemoryError, "%s allocated no result", library->name);
        return false;
    }
    DLTensor tensor = made->dl_tensor; /* shape lives in the array, which the object keeps */
    memcpy(array->shape, tensor.shape, (size_t)tensor.ndim * sizeof(int64_t));
    if (tensor.strides) memcpy(array->strides, tensor.strides, (size_t)tensor.ndim * sizeof(int64_t));
    if (library->exchange->managed_tensor_to_py_object_no_sync(made, &object)) return false;
    array->object = object;
    array->tensor = tensor;
    array->tensor.shape = array->shape;
    array->tensor.strides = tensor.strides ? array->strides : NULL;
    return true;
}

DLTensor *call_result(struct call *call, const DLTensor *like, DLDataType type, int rank,
                      const int64_t *shape, bool *failed)
{
    if (*failed) return NULL;
    struct array *array = push(call);
    DLTensor prototype = {.device = like->device, .ndim = rank, .dtype = type, .shape = (int64_t *)shape};
    bool made;
    if (call->library->door == DOOR_EXCHANGE)
        made = allocate_exchange(array, call->library, &prototype);
    else if (call->library->door == DOOR_NUMPY)
        made = numpy_allocate(array, &prototype);
    else if (prototype.device.device_type == kDLCUDA)
        made = device_allocate(array, call->library, &prototype);
    else
        made = buffer_allocate(array, call->library, &prototype);
    *failed = !made;
    return made ? &array->tensor : NULL;
}

PyObject *call_take(struct call *call, const DLTensor *tensor)
{
    struct array *array = (struct array *)((char *)tensor - offsetof(struct array, tensor));
    Py_INCREF(array->object);
    if (call->library->door == DOOR_DLPACK && buffer_check(array->object)) {
        PyObject *converted =
            call->library->from_dlpack
                ? PyObject_CallFunctionObjArgs(call->library->from_dlpack, array->object, NULL)
                : Py_NewRef(array->object);
        Py_DECREF(array->object);
        return converted;
    }
    return array->object;
}
