/* SPDX-License-Identifier: Apache-2.0 */
/* Arguments from Python, one after the other, and results back. */
#include "reader.h"

#include <math.h>
#include <string.h>

#include "metal.h"

PyObject *unsupported_error, *check_only;

/* Its `log` is the compiler's text as it came. */
static void raise_compile_error(void)
{
    PyObject *log =
        PyUnicode_DecodeUTF8(smelt_last_error(), (Py_ssize_t)strlen(smelt_last_error()), "replace");
    PyObject *error = log ? PyObject_CallFunctionObjArgs(compile_error, log, NULL) : NULL;
    if (error && !PyObject_SetAttrString(error, "log", log)) PyErr_SetObject(compile_error, error);
    Py_XDECREF(error);
    Py_XDECREF(log);
}

PyObject *raise_status(smelt_status status)
{
    if (status == SMELT_COMPILE_ERROR) return raise_compile_error(), NULL;
    PyObject *kind = status == SMELT_INVALID_ARGUMENT ? PyExc_ValueError
                     : status == SMELT_UNSUPPORTED    ? unsupported_error
                     : status == SMELT_OUT_OF_MEMORY  ? PyExc_MemoryError
                     : status == SMELT_IO_ERROR       ? PyExc_OSError
                                                      : PyExc_RuntimeError;
    PyErr_SetString(kind, smelt_last_error());
    return NULL;
}

PyObject *read_next(struct reader *r)
{
    if (r->failed) return Py_None;
    if (r->left == 0) {
        PyErr_SetString(PyExc_TypeError, "smelt._smelt: too few arguments");
        r->failed = true;
        return Py_None;
    }
    r->left--;
    return *r->arguments++;
}
DLTensor *read_input(struct reader *r, const char *name)
{
    return call_input(&r->call, read_next(r), name, false, &r->failed);
}
DLTensor *read_maybe(struct reader *r, const char *name)
{
    return call_input(&r->call, read_next(r), name, true, &r->failed);
}
float read_number(struct reader *r, const char *name)
{
    PyObject *object = read_next(r);
    double value = r->failed ? 0 : PyFloat_AsDouble(object);
    if (value == -1 && PyErr_Occurred()) {
        PyErr_Format(PyExc_TypeError, "%s: expected a number", name);
        r->failed = true;
    }
    return (float)value;
}
float read_number_or_nan(struct reader *r, const char *name)
{
    if (!r->failed && r->left && *r->arguments == Py_None) return read_next(r), NAN;
    return read_number(r, name);
}
int64_t read_integer(struct reader *r, const char *name)
{
    PyObject *object = read_next(r);
    if (r->failed) return 0;
    long long value = PyLong_AsLongLong(object);
    if (value == -1 && PyErr_Occurred()) {
        if (PyErr_ExceptionMatches(PyExc_TypeError))
            PyErr_Format(PyExc_TypeError, "%s: expected an integer", name);
        else
            PyErr_Format(PyExc_ValueError, "%s: expected a 64-bit integer", name);
        r->failed = true;
    }
    return value;
}
int32_t read_small(struct reader *r, const char *name)
{
    int64_t value = read_integer(r, name);
    if (!r->failed && (value < INT32_MIN || value > INT32_MAX)) {
        PyErr_Format(PyExc_ValueError, "%s: expected a 32-bit integer, got %lld", name, (long long)value);
        r->failed = true;
    }
    return (int32_t)value;
}

static void run_nothing(void *pool, int64_t tasks, void (*task)(void *argument, int64_t index),
                        void *argument)
{
    (void)pool, (void)tasks, (void)task, (void)argument;
}

void read_stream(struct reader *r, smelt_stream *stream)
{
    *stream = (smelt_stream)SMELT_STREAM_INIT;
    PyObject *object = read_next(r);
    if (r->failed) return;
    if (object == check_only) {
        stream->num_threads = 2; /* one would not be asked */
        stream->parallel_for = run_nothing;
        return;
    }
    r->failed = !set_stream(&r->call, stream);
}

bool set_stream(const struct call *call, smelt_stream *stream)
{
    if (!call->count || call->array[0].tensor.device.device_type != kDLCUDA) return true;
    return call_stream(call, call->array[0].tensor.device, &stream->cuda_stream);
}

smelt_norm_options read_norm_options(struct reader *r)
{
    smelt_norm_options options = SMELT_NORM_OPTIONS_INIT;
    options.eps = read_number(r, "eps");
    options.weight_offset = read_number(r, "weight_offset");
    options.round_once = (int32_t)read_integer(r, "round_once");
    return options;
}

smelt_rope_options read_rope_options(struct reader *r)
{
    smelt_rope_options options = SMELT_ROPE_OPTIONS_INIT;
    options.dims = read_small(r, "dims");
    options.traditional = (int32_t)read_integer(r, "traditional");
    options.sequence_axis = read_small(r, "sequence_axis");
    options.base = read_number_or_nan(r, "base");
    options.scale = read_number(r, "scale");
    options.cos_sin_scale = read_number(r, "cos_sin_scale");
    options.offset = read_integer(r, "offset");
    options.offsets = read_maybe(r, "offset");
    options.positions = read_maybe(r, "position_ids");
    options.freqs = read_maybe(r, "freqs");
    options.inverse_freqs = read_maybe(r, "inverse_freqs");
    return options;
}

smelt_sdpa_options read_sdpa_options(struct reader *r)
{
    smelt_sdpa_options options = SMELT_SDPA_OPTIONS_INIT;
    options.scale = read_number_or_nan(r, "scale");
    options.causal = (int32_t)read_integer(r, "causal");
    if (!r->failed && r->left && *r->arguments == Py_None)
        read_next(r);
    else
        options.kv_offset = read_integer(r, "kv_offset");
    options.window_left = read_integer(r, "window");
    options.window_right = read_integer(r, "window");
    options.softcap = read_number(r, "softcap");
    options.mask = read_maybe(r, "mask");
    options.key_mask = read_maybe(r, "key_mask");
    options.sinks = read_maybe(r, "sinks");
    options.kv_lengths = read_maybe(r, "kv_lengths");
    options.kv_offsets = read_maybe(r, "kv_offsets");
    return options;
}

bool is_floating(const DLTensor *tensor)
{
    return !tensor ||
           (tensor->dtype.lanes == 1 && ((tensor->dtype.code == kDLFloat && tensor->dtype.bits <= 32) ||
                                         (tensor->dtype.code == kDLBfloat && tensor->dtype.bits == 16)));
}
DLDataType promote(const DLTensor *a, const DLTensor *b)
{
    static const DLDataType float32 = {kDLFloat, 32, 1};
    if (!b) return a->dtype;
    return a->dtype.code == b->dtype.code && a->dtype.bits == b->dtype.bits ? a->dtype : float32;
}
DLTensor *make_output(struct reader *r, PyObject *given, const DLTensor *like, DLDataType type, int rank,
                      const int64_t *shape)
{
    if (r->failed) return NULL;
    if (given != Py_None) return call_given(&r->call, given, "out", &r->failed);
    return call_result(&r->call, like, type, rank, shape, &r->failed);
}
DLTensor *make_output_like(struct reader *r, PyObject *given, const DLTensor *like, DLDataType type)
{
    return r->failed ? NULL : make_output(r, given, like, type, like->ndim, like->shape);
}

DLTensor *make_gradient(struct reader *r, const DLTensor *of)
{
    return of && !r->failed ? call_result(&r->call, of, of->dtype, of->ndim, of->shape, &r->failed) : NULL;
}

DLDataType promote_all(const DLTensor *const *tensors, int count)
{
    DLTensor promoted = *tensors[0];
    for (int i = 1; i < count; i++) promoted.dtype = promote(&promoted, tensors[i]);
    return promoted.dtype;
}

PyObject *finish(struct reader *r, smelt_status status, const DLTensor *const *results, int count)
{
    PyObject *value = NULL;
    if (!r->failed && status != SMELT_OK)
        raise_status(status);
    else if (!r->failed && count == 1)
        value = call_take(&r->call, results[0]);
    else if (!r->failed) {
        value = PyTuple_New(count);
        for (int i = 0; value && i < count; i++) {
            PyObject *item = results[i] ? call_take(&r->call, results[i]) : Py_NewRef(Py_None);
            if (!item)
                Py_CLEAR(value);
            else
                PyTuple_SetItem(value, i, item);
        }
    }
    call_clear(&r->call);
    return value;
}
PyObject *cast_first(struct reader *r)
{
    call_clear(&r->call);
    Py_RETURN_NOTIMPLEMENTED;
}
