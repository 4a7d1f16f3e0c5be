/* SPDX-License-Identifier: Apache-2.0 */
/* smelt.metal: whole .metal files. */
#include <stdlib.h>
#include <string.h>

#include "metal.h"

static const char library_name[] = "smelt.metal.library", function_name[] = "smelt.metal.function";

static void destroy_library(PyObject *capsule)
{
    smelt_metal_library_destroy(PyCapsule_GetPointer(capsule, library_name));
}
static void destroy_function(PyObject *capsule)
{
    smelt_metal_function_destroy(PyCapsule_GetPointer(capsule, function_name));
}

/* source, file_name or None, include_dirs, defines, math_mode, device_type, check -> handle */
FUNCTION(metal_library)
{
    smelt_metal_compile_options options = SMELT_METAL_COMPILE_OPTIONS_INIT;
    struct names folders = {NULL, 0}, definitions = {NULL, 0};
    smelt_metal_library *library = NULL;
    PyObject *capsule = NULL;
    (void)module;
    if (count != 7) return PyErr_SetString(PyExc_TypeError, "metal library: expected 7 arguments"), NULL;
    const char *source = text_of(arguments[0], "metal library: source");
    if (source && arguments[1] != Py_None)
        options.file_name = text_of(arguments[1], "metal library: file name");
    if (source && !PyErr_Occurred() && names_of(&folders, arguments[2], "metal library: include_dirs") &&
        names_of(&definitions, arguments[3], "metal library: defines")) {
        options.include_folders = folders.name, options.include_folder_count = folders.count;
        options.definitions = definitions.name, options.definition_count = definitions.count;
        options.math_mode = (int32_t)PyLong_AsLong(arguments[4]);
        options.device_type = (int32_t)PyLong_AsLong(arguments[5]);
        options.check = PyObject_IsTrue(arguments[6]);
        smelt_status status;
        Py_BEGIN_ALLOW_THREADS status = smelt_metal_library_create(&library, source, &options);
        Py_END_ALLOW_THREADS if (status != SMELT_OK) raise_status(status);
    }
    free(folders.name);
    free(definitions.name);
    if (library && !(capsule = PyCapsule_New(library, library_name, destroy_library)))
        smelt_metal_library_destroy(library);
    return capsule;
}

/* handle -> list of names */
FUNCTION(metal_functions)
{
    (void)module;
    smelt_metal_library *library = count == 1 ? handle_of(arguments[0], library_name) : NULL;
    PyObject *list = library ? PyList_New(0) : NULL;
    const char *name;
    for (size_t k = 0; list && (name = smelt_metal_library_function_name(library, k)); k++) {
        PyObject *text = PyUnicode_FromString(name);
        if (!text || PyList_Append(list, text)) Py_CLEAR(list);
        Py_XDECREF(text);
    }
    return list;
}

/* library, name, ((index, dtype, bytes), ...) -> handle */
FUNCTION(metal_function)
{
    enum { MOST = 256 };
    static const char what[] = "metal function: name";
    smelt_metal_constant constants[MOST];
    smelt_metal_function *function = NULL;
    (void)module;
    if (count != 3) return PyErr_SetString(PyExc_TypeError, "metal function: expected 3 arguments"), NULL;
    smelt_metal_library *library = handle_of(arguments[0], library_name);
    const char *name = library ? text_of(arguments[1], what) : NULL;
    Py_ssize_t given = name ? PyTuple_Size(arguments[2]) : -1;
    if (given > MOST) return PyErr_Format(PyExc_ValueError, "metal function: more than %d constants", MOST);
    for (Py_ssize_t k = 0; k < given; k++) {
        PyObject *item = PyTuple_GetItem(arguments[2], k);
        unsigned long index = PyLong_AsUnsignedLong(PyTuple_GetItem(item, 0));
        if (!PyErr_Occurred() && index > UINT16_MAX)
            PyErr_Format(PyExc_ValueError,
                         "metal function: constants: expected an index of 0 to 65535, got %lu", index);
        constants[k].index = (uint32_t)index;
        constants[k].value = PyBytes_AsString(PyTuple_GetItem(item, 2));
        if (PyErr_Occurred() || !dtype_of_pair(&constants[k].type, PyTuple_GetItem(item, 1))) return NULL;
    }
    if (given < 0) return NULL;
    smelt_status status;
    Py_BEGIN_ALLOW_THREADS status =
        smelt_metal_function_create(&function, library, name, constants, (size_t)given);
    Py_END_ALLOW_THREADS if (status != SMELT_OK) return raise_status(status);
    PyObject *capsule = PyCapsule_New(function, function_name, destroy_function);
    if (!capsule) smelt_metal_function_destroy(function);
    return capsule;
}

/* handle -> ([(kind, index, name, type, writable, is_reference, element_size), ...], threadgroup_memory) */
FUNCTION(metal_reflect)
{
    smelt_metal_reflection reflection = SMELT_METAL_REFLECTION_INIT;
    (void)module;
    smelt_metal_function *function = count == 1 ? handle_of(arguments[0], function_name) : NULL;
    if (!function) return NULL;
    smelt_status status = smelt_metal_function_reflect(function, &reflection);
    PyObject *list = status == SMELT_OK ? PyList_New(0) : raise_status(status);
    for (uint32_t k = 0; list && k < reflection.binding_count; k++) {
        const smelt_metal_binding *b = &reflection.bindings[k];
        PyObject *item = Py_BuildValue("(iIssiin)", (int)b->kind, (unsigned)b->index, b->name, b->type,
                                       (int)b->writable, (int)b->is_reference, (Py_ssize_t)b->element_size);
        if (!item || PyList_Append(list, item)) Py_CLEAR(list);
        Py_XDECREF(item);
    }
    return list ? Py_BuildValue("(Nn)", list, (Py_ssize_t)reflection.threadgroup_memory) : NULL;
}

struct dispatch {
    struct call call;
    smelt_metal_launch launch;
    smelt_metal_buffer buffers[MAX_ARRAYS];
    smelt_metal_bytes bytes[MAX_ARRAYS];
    smelt_metal_threadgroup_memory memory[MAX_ARRAYS];
    bool failed;
};

static uint32_t index_of(PyObject *item)
{
    unsigned long index = PyLong_AsUnsignedLong(PyTuple_GetItem(item, 0));
    return index > UINT32_MAX ? UINT32_MAX : (uint32_t)index;
}

/* ((index, writable, array), ...): buffers are raw memory, so arrays of several libraries may come together.
 */
static bool read_buffers(struct dispatch *d, PyObject *list)
{
    for (Py_ssize_t k = 0; k < PyTuple_Size(list) && !d->failed; k++) {
        PyObject *item = PyTuple_GetItem(list, k), *array = PyTuple_GetItem(item, 2);
        smelt_metal_buffer *b = &d->buffers[d->launch.buffer_count++];
        *b = (smelt_metal_buffer){.index = index_of(item)};
        char name[48];
        PyOS_snprintf(name, sizeof name, "metal function: buffers[%u]", (unsigned)b->index);
        d->call.library = NULL;
        b->tensor = PyObject_IsTrue(PyTuple_GetItem(item, 1))
                        ? call_given(&d->call, array, name, &d->failed)
                        : call_input(&d->call, array, name, false, &d->failed);
    }
    return !d->failed && !PyErr_Occurred();
}

/* ((index, bytes), ...) and ((index, length), ...) */
static bool read_rest(struct dispatch *d, PyObject *bytes, PyObject *memory)
{
    for (Py_ssize_t k = 0; k < PyTuple_Size(bytes); k++) {
        PyObject *item = PyTuple_GetItem(bytes, k);
        char *data;
        Py_ssize_t size;
        if (PyBytes_AsStringAndSize(PyTuple_GetItem(item, 1), &data, &size)) return false;
        d->bytes[d->launch.bytes_count++] = (smelt_metal_bytes){index_of(item), data, (size_t)size};
    }
    for (Py_ssize_t k = 0; k < PyTuple_Size(memory); k++) {
        PyObject *item = PyTuple_GetItem(memory, k);
        d->memory[d->launch.threadgroup_memory_count++] =
            (smelt_metal_threadgroup_memory){index_of(item), PyLong_AsSize_t(PyTuple_GetItem(item, 1))};
    }
    return !PyErr_Occurred();
}

/* handle, buffers, bytes, threadgroup_memory, grid, threadgroup, grid_in_threadgroups, stream; at most
 * MAX_ARRAYS of each */
FUNCTION(metal_dispatch)
{
    smelt_stream stream = SMELT_STREAM_INIT;
    bool done = false;
    (void)module;
    if (count != 8) return PyErr_SetString(PyExc_TypeError, "metal function: expected 8 arguments"), NULL;
    smelt_metal_function *function = handle_of(arguments[0], function_name);
    struct dispatch *d = function ? malloc(sizeof *d) : NULL;
    if (!d) return function ? PyErr_NoMemory() : NULL;
    call_init(&d->call, arguments[7]);
    d->launch = (smelt_metal_launch)SMELT_METAL_LAUNCH_INIT;
    d->launch.buffers = d->buffers, d->launch.bytes = d->bytes, d->launch.threadgroup_memory = d->memory;
    d->launch.grid_in_threadgroups = PyObject_IsTrue(arguments[6]);
    d->failed = false;
    if (words_of(d->launch.grid, arguments[4], "metal function: grid") &&
        words_of(d->launch.threadgroup, arguments[5], "metal function: threadgroup") &&
        read_rest(d, arguments[2], arguments[3]) && read_buffers(d, arguments[1]) &&
        set_stream(&d->call, &stream)) {
        smelt_status status;
        Py_BEGIN_ALLOW_THREADS status = smelt_metal_dispatch(function, &d->launch, &stream);
        Py_END_ALLOW_THREADS done = status == SMELT_OK;
        if (!done) raise_status(status);
    }
    call_clear(&d->call);
    free(d);
    return done ? Py_NewRef(Py_None) : NULL;
}
