/* SPDX-License-Identifier: Apache-2.0 */
/* Results for libraries that can only import: JAX, MLX and whatever else has from_dlpack. */
#include "buffer.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

/* Shared by the Python object and every capsule taken of it; the last one frees it. All under the GIL or by
 * deleters that libraries may call from their own threads, so the count is atomic. */
struct storage {
    int references;
    void *memory;
    size_t mapped; /* bytes, where memory is a mapping of pages that nobody is meant to touch */
    DLTensor tensor;
    int64_t shape[MAX_RANK], strides[MAX_RANK];
};
typedef struct {
    PyObject_HEAD struct storage *storage;
} Buffer;
static PyObject *buffer_type;

static void storage_release(struct storage *storage)
{
    if (!storage || __atomic_sub_fetch(&storage->references, 1, __ATOMIC_ACQ_REL)) return;
    if (storage->mapped)
        munmap(storage->memory, storage->mapped);
    else
        free(storage->memory);
    free(storage);
}

static void versioned_delete(DLManagedTensorVersioned *managed)
{
    storage_release(managed->manager_ctx);
    free(managed);
}
static void legacy_delete(DLManagedTensor *managed)
{
    storage_release(managed->manager_ctx);
    free(managed);
}
static void versioned_unused(PyObject *capsule)
{
    if (PyCapsule_IsValid(capsule, "dltensor_versioned"))
        versioned_delete(PyCapsule_GetPointer(capsule, "dltensor_versioned"));
}
static void legacy_unused(PyObject *capsule)
{
    if (PyCapsule_IsValid(capsule, "dltensor")) legacy_delete(PyCapsule_GetPointer(capsule, "dltensor"));
}

static PyObject *buffer_dlpack(PyObject *self, PyObject *arguments, PyObject *keywords)
{
    struct storage *storage = ((Buffer *)self)->storage;
    PyObject *version = keywords ? PyDict_GetItemString(keywords, "max_version") : NULL;
    int major = 0, minor = 0;
    (void)arguments;
    if (version && version != Py_None && !PyArg_ParseTuple(version, "ii", &major, &minor)) return NULL;
    __atomic_add_fetch(&storage->references, 1, __ATOMIC_RELAXED);
    if (major >= 1) {
        DLManagedTensorVersioned *managed = calloc(1, sizeof *managed);
        if (!managed) return storage_release(storage), PyErr_NoMemory();
        managed->version = (DLPackVersion){DLPACK_MAJOR_VERSION, 0};
        managed->manager_ctx = storage, managed->deleter = versioned_delete,
        managed->dl_tensor = storage->tensor;
        return PyCapsule_New(managed, "dltensor_versioned", versioned_unused);
    }
    DLManagedTensor *managed = calloc(1, sizeof *managed);
    if (!managed) return storage_release(storage), PyErr_NoMemory();
    managed->manager_ctx = storage, managed->deleter = legacy_delete, managed->dl_tensor = storage->tensor;
    return PyCapsule_New(managed, "dltensor", legacy_unused);
}

static PyObject *buffer_device(PyObject *self, PyObject *none)
{
    const DLDevice *device = &((Buffer *)self)->storage->tensor.device;
    (void)none;
    return Py_BuildValue("(ii)", (int)device->device_type, (int)device->device_id);
}

static const struct {
    const char *name;
    DLDataType type;
} dtypes[] = {
    {"float32", {kDLFloat, 32, 1}}, {"float16", {kDLFloat, 16, 1}},     {"bfloat16", {kDLBfloat, 16, 1}},
    {"float64", {kDLFloat, 64, 1}}, {"int32", {kDLInt, 32, 1}},         {"uint32", {kDLUInt, 32, 1}},
    {"int64", {kDLInt, 64, 1}},     {"uint64", {kDLUInt, 64, 1}},       {"bool", {kDLBool, 8, 1}},
    {"int16", {kDLInt, 16, 1}},     {"uint16", {kDLUInt, 16, 1}},       {"int8", {kDLInt, 8, 1}},
    {"uint8", {kDLUInt, 8, 1}},     {"complex64", {kDLComplex, 64, 1}},
};

const char *dtype_text(DLDataType type)
{
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++)
        if (dtypes[i].type.code == type.code && dtypes[i].type.bits == type.bits) return dtypes[i].name;
    return "unknown";
}

static PyObject *buffer_shape(PyObject *self, void *unused)
{
    const DLTensor *tensor = &((Buffer *)self)->storage->tensor;
    PyObject *shape = PyTuple_New(tensor->ndim);
    (void)unused;
    for (int i = 0; shape && i < tensor->ndim; i++)
        PyTuple_SetItem(shape, i, PyLong_FromLongLong(tensor->shape[i]));
    return shape;
}

static PyObject *buffer_dtype(PyObject *self, void *unused)
{
    (void)unused;
    return PyUnicode_FromString(dtype_text(((Buffer *)self)->storage->tensor.dtype));
}

static void buffer_free(PyObject *self)
{
    PyTypeObject *type = Py_TYPE(self);
    storage_release(((Buffer *)self)->storage);
    ((freefunc)PyType_GetSlot(type, Py_tp_free))(self);
    Py_DECREF(type);
}

static PyMethodDef methods[] = {
    {"__dlpack__", (PyCFunction)(void (*)(void))buffer_dlpack, METH_VARARGS | METH_KEYWORDS,
     "A DLPack capsule, without a copy."},
    {"__dlpack_device__", buffer_device, METH_NOARGS, "(device type, device id)"},
    {NULL, NULL, 0, NULL},
};
static PyGetSetDef properties[] = {
    {"shape", buffer_shape, NULL, "The lengths of the axes.", NULL},
    /* `dtype` would make MLX take it for a NumPy array */
    {"dtype_name", buffer_dtype, NULL, "The name of the dtype.", NULL},
    {NULL, NULL, NULL, NULL, NULL},
};
static PyType_Slot slots[] = {{Py_tp_methods, methods},
                              {Py_tp_getset, properties},
                              {Py_tp_dealloc, (void *)buffer_free},
                              {Py_tp_doc, "Memory of a result, to be taken over by an array library."},
                              {0, NULL}};
static PyType_Spec spec = {"smelt._smelt.Buffer", sizeof(Buffer), 0,
                           Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, slots};

bool buffer_setup(PyObject *module)
{
    buffer_type = PyType_FromSpec(&spec);
    return buffer_type && PyModule_AddObjectRef(module, "Buffer", buffer_type) == 0;
}

bool buffer_is_type(PyObject *type) { return type == buffer_type; }
bool buffer_check(PyObject *object) { return (PyObject *)Py_TYPE(object) == buffer_type; }

static PyObject *buffer_new(struct storage *storage)
{
    allocfunc allocate = (allocfunc)PyType_GetSlot((PyTypeObject *)buffer_type, Py_tp_alloc);
    PyObject *object = allocate((PyTypeObject *)buffer_type, 0);
    if (object)
        ((Buffer *)object)->storage = storage;
    else
        storage_release(storage);
    return object;
}

/* Row-major, without memory yet. */
static struct storage *storage_new(const DLTensor *prototype, size_t *bytes)
{
    struct storage *storage = calloc(1, sizeof *storage);
    if (!storage) return PyErr_NoMemory(), NULL;
    *bytes = prototype->dtype.bits / 8;
    storage->references = 1;
    storage->tensor = *prototype;
    storage->tensor.shape = storage->shape, storage->tensor.strides = storage->strides;
    for (int i = prototype->ndim - 1; i >= 0; i--) {
        storage->shape[i] = prototype->shape[i];
        storage->strides[i] = i == prototype->ndim - 1 ? 1 : storage->strides[i + 1] * storage->shape[i + 1];
        if (__builtin_mul_overflow(*bytes, (size_t)prototype->shape[i], bytes)) *bytes = SIZE_MAX / 2;
    }
    return storage;
}

/* Zeros without memory behind them: room for shapes that are only checked, of any size. */
static bool storage_map(struct storage *storage, size_t bytes)
{
    int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
    storage->mapped = bytes + 1;
    storage->memory = mmap(NULL, storage->mapped, PROT_READ | PROT_WRITE, flags, -1, 0);
    if (storage->memory == MAP_FAILED) return free(storage), PyErr_NoMemory(), false;
    storage->tensor.data = storage->memory;
    return true;
}

bool buffer_allocate(struct array *array, const struct library *library, const DLTensor *prototype)
{
    if (prototype->device.device_type != kDLCPU) {
        PyErr_Format(PyExc_NotImplementedError,
                     "smelt cannot allocate results of %s on this device: pass out=", library->name);
        return false;
    }
    size_t bytes;
    struct storage *storage = storage_new(prototype, &bytes);
    if (!storage) return false;
    if (buffer_is_type(library->type)) { /* of blanks */
        array->object = storage_map(storage, bytes) ? buffer_new(storage) : NULL;
        if (array->object) array->tensor = storage->tensor;
        return array->object;
    }
    /* JAX takes memory over without a copy only when it is aligned to 64 */
    storage->memory = aligned_alloc(64, (bytes + 63) / 64 * 64 + 64);
    if (!storage->memory) return free(storage), PyErr_NoMemory(), false;
    storage->tensor.data = storage->memory;
    array->object = buffer_new(storage);
    if (!array->object) return false;
    array->tensor = storage->tensor;
    return true;
}

static bool read_shape(PyObject *object, DLTensor *prototype)
{
    Py_ssize_t rank = PyTuple_Check(object) ? PyTuple_Size(object) : -1;
    if (rank < 0 || rank > MAX_RANK) {
        PyErr_SetString(PyExc_ValueError, "expected a rank of at most 32");
        return false;
    }
    prototype->ndim = (int)rank;
    for (int i = 0; i < prototype->ndim; i++) {
        prototype->shape[i] = PyLong_AsLongLong(PyTuple_GetItem(object, i));
        if (PyErr_Occurred()) return false;
    }
    return true;
}

PyObject *py_blank(PyObject *module, PyObject *const *arguments, Py_ssize_t count)
{
    int64_t shape[MAX_RANK];
    DLTensor prototype = {.device = {kDLCPU, 0}, .shape = shape};
    size_t bytes;
    (void)module;
    if (count != 2 || !read_shape(arguments[1], &prototype)) return NULL;
    for (size_t i = 0; i < sizeof dtypes / sizeof *dtypes; i++)
        if (PyUnicode_Check(arguments[0]) &&
            PyUnicode_CompareWithASCIIString(arguments[0], dtypes[i].name) == 0)
            prototype.dtype = dtypes[i].type;
    if (!prototype.dtype.bits)
        return PyErr_Format(PyExc_ValueError, "expected dtype float32, float16 or bfloat16, got %S",
                            arguments[0]);
    struct storage *storage = storage_new(&prototype, &bytes);
    if (!storage) return NULL;
    return storage_map(storage, bytes) ? buffer_new(storage) : NULL;
}
