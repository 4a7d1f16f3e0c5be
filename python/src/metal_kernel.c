/* SPDX-License-Identifier: Apache-2.0 */
/* smelt.fast.metal_kernel: body-only kernels over arrays of any library. */
#include <stdlib.h>
#include <string.h>

#include "library.h"
#include "metal.h"

static const char kernel_name[] = "smelt.kernel";

static void destroy_kernel(PyObject *capsule)
{
    smelt_kernel_destroy(PyCapsule_GetPointer(capsule, kernel_name));
}

/* name, input_names, output_names, source, header, ensure_row_contiguous, atomic_outputs, math_mode -> handle
 */
FUNCTION(metal_kernel)
{
    smelt_kernel_desc desc = SMELT_KERNEL_DESC_INIT;
    struct names inputs = {NULL, 0}, outputs = {NULL, 0};
    smelt_kernel *kernel = NULL;
    PyObject *capsule = NULL;
    (void)module;
    if (count != 8) return PyErr_SetString(PyExc_TypeError, "metal_kernel: expected 8 arguments"), NULL;
    if ((desc.name = text_of(arguments[0], "metal_kernel: name")) &&
        names_of(&inputs, arguments[1], "metal_kernel: input_names") &&
        names_of(&outputs, arguments[2], "metal_kernel: output_names") &&
        (desc.source = text_of(arguments[3], "metal_kernel: source")) &&
        (desc.header = text_of(arguments[4], "metal_kernel: header"))) {
        desc.ensure_row_contiguous = PyObject_IsTrue(arguments[5]);
        desc.atomic_outputs = PyObject_IsTrue(arguments[6]);
        desc.math_mode = (int32_t)PyLong_AsLong(arguments[7]);
        desc.input_names = inputs.name, desc.input_count = inputs.count;
        desc.output_names = outputs.name, desc.output_count = outputs.count;
        smelt_status status = PyErr_Occurred() ? SMELT_OK : smelt_kernel_create(&kernel, &desc);
        if (status != SMELT_OK) raise_status(status);
    }
    free(inputs.name);
    free(outputs.name);
    if (kernel && !(capsule = PyCapsule_New(kernel, kernel_name, destroy_kernel)))
        smelt_kernel_destroy(kernel);
    return capsule;
}

struct launch {
    struct call call;
    struct smelt_kernel_launch launch;
    const DLTensor *inputs[MAX_ARRAYS];
    DLTensor *outputs[MAX_ARRAYS];
    int64_t scalars[MAX_ARRAYS]; /* of inputs that are Python's own numbers */
    DLTensor scalar_tensors[MAX_ARRAYS];
    smelt_template_argument templates[64];
    float init_value;
    bool failed;
};

/* An input: an array, or (bytes, dtype) of a number. */
static const DLTensor *read_array(struct launch *l, size_t k, PyObject *item, const char *name)
{
    if (!PyTuple_Check(item)) return call_input(&l->call, item, name, false, &l->failed);
    DLDataType type;
    char *bytes;
    Py_ssize_t size;
    PyObject *value = PyTuple_GetItem(item, 0), *pair = PyTuple_GetItem(item, 1);
    l->failed = !value || !pair || PyBytes_AsStringAndSize(value, &bytes, &size) ||
                size > (Py_ssize_t)sizeof *l->scalars || !dtype_of_pair(&type, pair);
    if (l->failed) return NULL;
    memcpy(&l->scalars[k], bytes, (size_t)size);
    l->scalar_tensors[k] =
        (DLTensor){.data = &l->scalars[k], .device = {kDLCPU, 0}, .ndim = 0, .dtype = type};
    return &l->scalar_tensors[k];
}

static bool read_inputs(struct launch *l, PyObject *like, PyObject *inputs)
{
    if (like != Py_None && !(l->call.library = library_of(like)))
        return PyErr_SetString(PyExc_TypeError, "metal_kernel: no library for the results"), false;
    if (l->call.library) l->call.first = "output_dtypes";
    for (Py_ssize_t k = 0; k < PyTuple_Size(inputs) && !l->failed; k++) {
        char name[48];
        PyOS_snprintf(name, sizeof name, "metal_kernel: inputs[%d]", (int)k);
        l->inputs[l->launch.input_count++] = read_array(l, (size_t)k, PyTuple_GetItem(inputs, k), name);
        l->call.first = "the first array";
    }
    return !l->failed;
}

static bool make_outputs(struct launch *l, PyObject *shapes, PyObject *dtypes)
{
    const DLTensor cpu = {.device = {kDLCPU, 0}};
    for (Py_ssize_t k = 0; k < PyTuple_Size(shapes) && !l->failed; k++) {
        DLDataType type;
        int64_t shape[MAX_RANK];
        PyObject *axes = PyTuple_GetItem(shapes, k), *pair = PyTuple_GetItem(dtypes, k);
        Py_ssize_t rank = PyTuple_Size(axes);
        if (!pair || !dtype_of_pair(&type, pair)) return false;
        if (rank > MAX_RANK)
            return PyErr_SetString(PyExc_ValueError, "metal_kernel: output_shapes: too many axes"), false;
        for (Py_ssize_t axis = 0; axis < rank; axis++)
            shape[axis] = PyLong_AsLongLong(PyTuple_GetItem(axes, axis));
        if (PyErr_Occurred()) return false;
        l->outputs[l->launch.output_count++] =
            call_result(&l->call, &cpu, type, (int)rank, shape, &l->failed);
    }
    return !l->failed;
}

/* (name, kind, value or dtype), each checked before. */
static bool read_templates(struct launch *l, PyObject *list)
{
    for (Py_ssize_t k = 0; k < PyTuple_Size(list); k++) {
        PyObject *item = PyTuple_GetItem(list, k), *value = PyTuple_GetItem(item, 2);
        smelt_template_argument *t = &l->templates[l->launch.template_count++];
        *t = (smelt_template_argument){.kind = (int32_t)PyLong_AsLong(PyTuple_GetItem(item, 1))};
        if (!(t->name = text_of(PyTuple_GetItem(item, 0), "metal_kernel: template"))) return false;
        if (t->kind == SMELT_TEMPLATE_DTYPE)
            dtype_of_pair(&t->dtype, value);
        else
            t->value = PyLong_AsLongLong(value);
        if (PyErr_Occurred()) return false;
    }
    return true;
}

static PyObject *take_outputs(struct launch *l)
{
    PyObject *list = PyList_New((Py_ssize_t)l->launch.output_count);
    for (size_t k = 0; list && k < l->launch.output_count; k++) {
        PyObject *item = call_take(&l->call, l->outputs[k]);
        if (!item)
            Py_CLEAR(list);
        else
            PyList_SetItem(list, (Py_ssize_t)k, item);
    }
    return list;
}

/* handle, like, inputs, output_shapes, output_dtypes, grid, threadgroup, template, init_value, verbose,
 * stream -> list; the lists are tuples of at most MAX_ARRAYS arrays in all and 64 template arguments */
FUNCTION(metal_kernel_launch)
{
    smelt_stream stream = SMELT_STREAM_INIT;
    PyObject *result = NULL;
    (void)module;
    if (count != 11) return PyErr_SetString(PyExc_TypeError, "metal_kernel: expected 11 arguments"), NULL;
    smelt_kernel *kernel = handle_of(arguments[0], kernel_name);
    struct launch *l = kernel ? malloc(sizeof *l) : NULL;
    if (!l) return kernel ? PyErr_NoMemory() : NULL;
    call_init(&l->call, arguments[10]);
    l->launch = (struct smelt_kernel_launch)SMELT_KERNEL_LAUNCH_INIT;
    l->launch.inputs = l->inputs, l->launch.outputs = l->outputs, l->launch.template_arguments = l->templates;
    l->failed = false;
    l->launch.verbose = PyObject_IsTrue(arguments[9]);
    if (arguments[8] != Py_None) {
        l->init_value = (float)PyFloat_AsDouble(arguments[8]);
        l->launch.init_value = &l->init_value;
    }
    if (!PyErr_Occurred() && words_of(l->launch.grid, arguments[5], "metal_kernel: grid") &&
        words_of(l->launch.threadgroup, arguments[6], "metal_kernel: threadgroup") &&
        read_templates(l, arguments[7]) && read_inputs(l, arguments[1], arguments[2]) &&
        make_outputs(l, arguments[3], arguments[4]) && set_stream(&l->call, &stream)) {
        smelt_status status;
        Py_BEGIN_ALLOW_THREADS status = smelt_kernel_launch(kernel, &l->launch, &stream);
        Py_END_ALLOW_THREADS result = status == SMELT_OK ? take_outputs(l) : raise_status(status);
    }
    call_clear(&l->call);
    free(l);
    return result;
}
