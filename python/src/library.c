/* SPDX-License-Identifier: Apache-2.0 */
/* Which library a type of arrays belongs to, and by which door its arrays come in. */
#include "library.h"

#include <stdlib.h>
#include <string.h>

#include "buffer.h"

static struct library *libraries; /* in the order of their first use */

/* The first part of the name of a type's module. */
static void module_of(PyObject *type, char *name, size_t size)
{
    PyObject *module = PyObject_GetAttrString(type, "__module__");
    const char *text = module && PyUnicode_Check(module) ? PyUnicode_AsUTF8AndSize(module, NULL) : NULL;
    size_t length = 0;
    if (!text) PyErr_Clear(), text = "?";
    while (text[length] && text[length] != '.' && length + 1 < size) length++;
    memcpy(name, text, length);
    name[length] = 0;
    if (!strcmp(name, "jaxlib")) strcpy(name, "jax");
    Py_XDECREF(module);
}

/* A user's subclass belongs to the library of the class above it. */
static void name_of(PyObject *type, char *name, size_t size)
{
    static const char *const known[] = {"numpy", "torch", "jax", "mlx", "cupy"};
    PyObject *bases = PyObject_GetAttrString(type, "__mro__");
    Py_ssize_t count = bases && PyTuple_Check(bases) ? PyTuple_Size(bases) : 0;
    for (Py_ssize_t i = 0; i < count; i++) {
        module_of(PyTuple_GetItem(bases, i), name, size);
        for (size_t k = 0; k < sizeof known / sizeof *known; k++)
            if (!strcmp(name, known[k])) {
                Py_DECREF(bases);
                return;
            }
    }
    PyErr_Clear();
    Py_XDECREF(bases);
    module_of(type, name, size);
}

/* An attribute, or NULL without an exception. */
static PyObject *maybe_attribute(PyObject *object, const char *name)
{
    PyObject *attribute = PyObject_GetAttrString(object, name);
    if (!attribute) PyErr_Clear();
    return attribute;
}

static const DLPackExchangeAPI *exchange_of(PyObject *type)
{
    PyObject *capsule = maybe_attribute(type, "__dlpack_c_exchange_api__");
    if (!capsule) return NULL;
    const DLPackExchangeAPI *api = PyCapsule_GetPointer(capsule, "dlpack_exchange_api");
    if (!api) PyErr_Clear();
    Py_DECREF(capsule); /* the table is static in its library */
    while (api && api->header.version.major != DLPACK_MAJOR_VERSION) api = (const void *)api->header.prev_api;
    return api && api->dltensor_from_py_object_no_sync ? api : NULL;
}

/* numpy.from_dlpack is not used: it refuses bfloat16. */
static PyObject *find_from_dlpack(const char *name)
{
    static const char *const places[][3] = {{"jax", "jax.dlpack", "from_dlpack"},
                                            {"mlx", "mlx.core", "array"}};
    const char *module_name = name, *function = "from_dlpack";
    for (size_t i = 0; i < sizeof places / sizeof *places; i++)
        if (!strcmp(name, places[i][0])) module_name = places[i][1], function = places[i][2];
    PyObject *module = PyImport_ImportModule(module_name);
    PyObject *found = module ? maybe_attribute(module, function) : NULL;
    PyErr_Clear();
    Py_XDECREF(module);
    return found;
}

/* Subclasses such as FakeTensor inherit the exchange API of torch.Tensor but have no memory behind it. */
static bool is_torch_subclass(const struct library *library)
{
    if (strcmp(library->name, "torch")) return false;
    PyObject *name = maybe_attribute(library->type, "__name__");
    bool plain = name && (PyUnicode_CompareWithASCIIString(name, "Tensor") == 0 ||
                          PyUnicode_CompareWithASCIIString(name, "Parameter") == 0);
    Py_XDECREF(name);
    return !plain;
}

static bool describe(struct library *library, PyObject *type)
{
    library->type = type;
    name_of(type, library->name, sizeof library->name);
    library->immutable = !strcmp(library->name, "jax") || !strcmp(library->name, "mlx");
    PyObject *dlpack = maybe_attribute(type, "__dlpack__");
    if (!dlpack) return false; /* NumPy's scalars too */
    Py_DECREF(dlpack);
    if (!is_torch_subclass(library)) library->exchange = exchange_of(type);
    library->door = library->exchange                 ? DOOR_EXCHANGE
                    : !strcmp(library->name, "numpy") ? DOOR_NUMPY
                                                      : DOOR_DLPACK;
    if (buffer_is_type(type)) /* stands for traced arrays of JAX */
        strcpy(library->name, "jax");
    else if (library->door == DOOR_DLPACK)
        library->from_dlpack = find_from_dlpack(library->name);
    return true;
}

const struct library *library_of(PyObject *object)
{
    PyObject *type = (PyObject *)Py_TYPE(object);
    struct library **end = &libraries;
    for (; *end; end = &(*end)->next)
        if ((*end)->type == type) return *end;
    struct library *found = calloc(1, sizeof *found);
    if (!found) return NULL;
    if (!describe(found, type)) return free(found), NULL;
    Py_INCREF(type);
    while (*end) end = &(*end)->next; /* describe runs Python code, which may have come here too */
    return *end = found;
}
