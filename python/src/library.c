/* SPDX-License-Identifier: Apache-2.0 */
/* Which library a type of arrays belongs to, and by which door its arrays come in. */
#include <string.h>

#include "library.h"

enum { MAX_LIBRARIES = 64 };
static struct library libraries[MAX_LIBRARIES];
static int library_count;

static void name_of(PyObject *type, char *name, size_t size)
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

const struct library *library_of(PyObject *object)
{
    PyObject *type = (PyObject *)Py_TYPE(object);
    for (int i = 0; i < library_count; i++)
        if (libraries[i].type == type) return &libraries[i];
    struct library found = {.type = type};
    name_of(type, found.name, sizeof found.name);
    if (!is_torch_subclass(&found)) found.exchange = exchange_of(type);
    PyObject *dlpack = maybe_attribute(type, "__dlpack__");
    if (found.exchange)
        found.door = DOOR_EXCHANGE;
    else if (!strcmp(found.name, "numpy"))
        found.door = DOOR_NUMPY;
    else if (dlpack)
        found.door = DOOR_DLPACK;
    else
        return NULL;
    Py_XDECREF(dlpack);
    if (found.door == DOOR_DLPACK) found.from_dlpack = find_from_dlpack(found.name);
    if (library_count == MAX_LIBRARIES) return NULL;
    Py_INCREF(type);
    libraries[library_count] = found;
    return &libraries[library_count++];
}
