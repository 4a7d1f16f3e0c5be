/* SPDX-License-Identifier: Apache-2.0 */
/* Results for libraries that can only import: JAX, MLX and whatever else has from_dlpack. */
#include "buffer.h"

#include <stdlib.h>
#include <string.h>

/* Shared by the Python object and every capsule taken of it; the last one frees it. All under the GIL or by
 * deleters that libraries may call from their own threads, so the count is atomic. */
struct storage {
    int references;
    void *memory;
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
static PyType_Slot slots[] = {{Py_tp_methods, methods},
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

bool buffer_check(PyObject *object) { return (PyObject *)Py_TYPE(object) == buffer_type; }

bool buffer_allocate(struct array *array, const struct library *library, const DLTensor *prototype)
{
    if (prototype->device.device_type != kDLCPU) {
        PyErr_Format(PyExc_NotImplementedError,
                     "smelt cannot allocate results of %s on this device: pass out=", library->name);
        return false;
    }
    struct storage *storage = calloc(1, sizeof *storage);
    size_t bytes = prototype->dtype.bits / 8;
    if (!storage) return PyErr_NoMemory(), false;
    storage->references = 1;
    for (int i = prototype->ndim - 1; i >= 0; i--) {
        storage->shape[i] = prototype->shape[i];
        storage->strides[i] = i == prototype->ndim - 1 ? 1 : storage->strides[i + 1] * storage->shape[i + 1];
        bytes *= (size_t)prototype->shape[i];
    }
    /* JAX takes memory over without a copy only when it is aligned to 64 */
    storage->memory = aligned_alloc(64, (bytes + 63) / 64 * 64 + 64);
    if (!storage->memory) return free(storage), PyErr_NoMemory(), false;
    storage->tensor = (DLTensor){.data = storage->memory,
                                 .device = prototype->device,
                                 .ndim = prototype->ndim,
                                 .dtype = prototype->dtype,
                                 .shape = storage->shape,
                                 .strides = storage->strides};
    allocfunc allocate = (allocfunc)PyType_GetSlot((PyTypeObject *)buffer_type, Py_tp_alloc);
    array->object = allocate((PyTypeObject *)buffer_type, 0);
    if (!array->object) return storage_release(storage), false;
    ((Buffer *)array->object)->storage = storage;
    array->tensor = storage->tensor;
    return true;
}
