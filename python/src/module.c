/* SPDX-License-Identifier: Apache-2.0 */
/* smelt._smelt: one function per C function. Private: positional arguments only, everything given, `out` and
 * optional arrays as None. The public faces are smelt.fast and smelt.torch.
 *
 * An input of an integer dtype or float64 makes a function return NotImplemented: Python casts and calls
 * again. */
#include <math.h>
#include <string.h>

#include "array.h"
#include "buffer.h"

static PyObject *unsupported_error; /* smelt.UnsupportedError */

static PyObject *raise_status(smelt_status status)
{
    PyObject *kind = status == SMELT_INVALID_ARGUMENT ? PyExc_ValueError
                     : status == SMELT_UNSUPPORTED    ? unsupported_error
                     : status == SMELT_OUT_OF_MEMORY  ? PyExc_MemoryError
                     : status == SMELT_IO_ERROR       ? PyExc_OSError
                                                      : PyExc_RuntimeError;
    PyErr_SetString(kind, smelt_last_error());
    return NULL;
}

/* The arguments of one call from Python, read one after the other. */
struct reader {
    struct call call;
    PyObject *const *arguments;
    Py_ssize_t left;
    bool failed;
};

static PyObject *next(struct reader *r)
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
static DLTensor *input(struct reader *r, const char *name)
{
    return call_input(&r->call, next(r), name, false, &r->failed);
}
static DLTensor *maybe(struct reader *r, const char *name)
{
    return call_input(&r->call, next(r), name, true, &r->failed);
}
static float number(struct reader *r, const char *name)
{
    PyObject *object = next(r);
    double value = r->failed ? 0 : PyFloat_AsDouble(object);
    if (value == -1 && PyErr_Occurred()) {
        PyErr_Format(PyExc_TypeError, "%s: expected a number", name);
        r->failed = true;
    }
    return (float)value;
}
static float number_or_nan(struct reader *r, const char *name)
{
    if (!r->failed && r->left && *r->arguments == Py_None) return next(r), NAN;
    return number(r, name);
}
static int64_t integer(struct reader *r, const char *name)
{
    PyObject *object = next(r);
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
static int32_t small(struct reader *r, const char *name)
{
    int64_t value = integer(r, name);
    if (!r->failed && (value < INT32_MIN || value > INT32_MAX)) {
        PyErr_Format(PyExc_ValueError, "%s: expected a 32-bit integer, got %lld", name, (long long)value);
        r->failed = true;
    }
    return (int32_t)value;
}

/* None, an integer, or an object with cuda_stream (PyTorch) or ptr (CuPy). */
static void stream(struct reader *r, smelt_stream *stream)
{
    static const char *const names[] = {"cuda_stream", "ptr"};
    *stream = (smelt_stream)SMELT_STREAM_INIT;
    PyObject *object = next(r), *value = NULL;
    if (r->failed || object == Py_None) return;
    if (PyLong_Check(object)) value = Py_NewRef(object);
    for (int i = 0; !value && i < 2; i++) {
        value = PyObject_GetAttrString(object, names[i]);
        if (!value) PyErr_Clear();
    }
    if (!value) return; /* an array library's CPU stream: nothing to order */
    stream->cuda_stream = PyLong_AsVoidPtr(value);
    r->failed = stream->cuda_stream == NULL && PyErr_Occurred();
    Py_DECREF(value);
}

static bool floating(const DLTensor *tensor)
{
    return !tensor ||
           (tensor->dtype.lanes == 1 && ((tensor->dtype.code == kDLFloat && tensor->dtype.bits <= 32) ||
                                         (tensor->dtype.code == kDLBfloat && tensor->dtype.bits == 16)));
}
static DLDataType promote(const DLTensor *a, const DLTensor *b)
{
    static const DLDataType float32 = {kDLFloat, 32, 1};
    if (!b) return a->dtype;
    return a->dtype.code == b->dtype.code && a->dtype.bits == b->dtype.bits ? a->dtype : float32;
}
static DLTensor *output(struct reader *r, PyObject *given, const DLTensor *like, DLDataType type, int rank,
                        const int64_t *shape)
{
    if (r->failed) return NULL;
    if (given != Py_None) return call_given(&r->call, given, "out", &r->failed);
    return call_result(&r->call, like, type, rank, shape, &r->failed);
}
static DLTensor *output_like(struct reader *r, PyObject *given, const DLTensor *like, DLDataType type)
{
    return r->failed ? NULL : output(r, given, like, type, like->ndim, like->shape);
}

static PyObject *finish(struct reader *r, smelt_status status, const DLTensor *const *results, int count)
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
static PyObject *cast_first(struct reader *r)
{
    call_clear(&r->call);
    Py_RETURN_NOTIMPLEMENTED;
}

#define BEGIN                                                                                                \
    struct reader r = {.arguments = arguments, .left = count};                                               \
    smelt_status status = SMELT_OK;                                                                          \
    smelt_stream s;                                                                                          \
    call_init(&r.call);                                                                                      \
    (void)module
#define RUN(expression)                                                                                      \
    if (!r.failed) {                                                                                         \
        Py_BEGIN_ALLOW_THREADS status = expression;                                                          \
        Py_END_ALLOW_THREADS                                                                                 \
    }
#define FINISH(...)                                                                                          \
    return finish(&r, status, (const DLTensor *const[]){__VA_ARGS__},                                        \
                  (int)(sizeof((const DLTensor *const[]){__VA_ARGS__}) / sizeof(DLTensor *)))
#define FUNCTION(name)                                                                                       \
    static PyObject *py_##name(PyObject *module, PyObject *const *arguments, Py_ssize_t count)

static smelt_norm_options norm_options(struct reader *r)
{
    smelt_norm_options options = SMELT_NORM_OPTIONS_INIT;
    options.eps = number(r, "eps");
    options.weight_offset = number(r, "weight_offset");
    options.round_once = (int32_t)integer(r, "round_once");
    return options;
}

/* x, weight, eps, weight_offset, round_once, out, stream */
FUNCTION(rms_norm)
{
    BEGIN;
    const DLTensor *x = input(&r, "x"), *weight = maybe(&r, "weight");
    smelt_norm_options options = norm_options(&r);
    PyObject *out = next(&r);
    stream(&r, &s);
    if (!r.failed && (!floating(x) || !floating(weight))) return cast_first(&r);
    DLTensor *o = r.failed ? NULL : output_like(&r, out, x, promote(x, weight));
    RUN(smelt_rms_norm(o, x, weight, &options, &s))
    FINISH(o);
}

/* x, weight, bias, eps, weight_offset, round_once, out, stream */
FUNCTION(layer_norm)
{
    BEGIN;
    const DLTensor *x = input(&r, "x"), *weight = maybe(&r, "weight"), *bias = maybe(&r, "bias");
    smelt_norm_options options = norm_options(&r);
    PyObject *out = next(&r);
    stream(&r, &s);
    if (!r.failed && (!floating(x) || !floating(weight) || !floating(bias))) return cast_first(&r);
    DLDataType type = {0};
    if (!r.failed) {
        DLTensor promoted = *x;
        promoted.dtype = promote(x, weight);
        type = weight ? promote(&promoted, bias) : x->dtype;
    }
    DLTensor *o = output_like(&r, out, x, type);
    RUN(smelt_layer_norm(o, x, weight, bias, &options, &s))
    FINISH(o);
}

static DLDataType promote_all(const DLTensor *const *tensors, int count)
{
    DLTensor promoted = *tensors[0];
    for (int i = 1; i < count; i++) promoted.dtype = promote(&promoted, tensors[i]);
    return promoted.dtype;
}

/* residual, x, weight, scalar, eps, weight_offset, round_once, out, stream */
FUNCTION(norm_add)
{
    BEGIN;
    const DLTensor *residual = input(&r, "residual"), *x = input(&r, "x"), *weight = maybe(&r, "weight");
    const DLTensor *scalar = maybe(&r, "scalar");
    smelt_norm_options options = norm_options(&r);
    PyObject *out = next(&r);
    stream(&r, &s);
    if (!r.failed && (!floating(residual) || !floating(x) || !floating(weight) || !floating(scalar)))
        return cast_first(&r);
    const DLTensor *all[] = {residual, x, weight, scalar};
    DLTensor *o = r.failed ? NULL : output_like(&r, out, x, promote_all(all, 4));
    RUN(smelt_norm_add(o, residual, x, weight, scalar, &options, &s))
    FINISH(o);
}

/* residual, x, weight, scalar, eps, weight_offset, round_once, want_sum, out, sum, stream -> (out, sum) */
FUNCTION(residual_norm)
{
    BEGIN;
    const DLTensor *residual = input(&r, "residual"), *x = input(&r, "x"), *weight = maybe(&r, "weight");
    const DLTensor *scalar = maybe(&r, "scalar");
    smelt_norm_options options = norm_options(&r);
    bool want_sum = integer(&r, "return_sum");
    PyObject *out = next(&r), *sum = next(&r);
    stream(&r, &s);
    if (!r.failed && (!floating(residual) || !floating(x) || !floating(weight) || !floating(scalar)))
        return cast_first(&r);
    const DLTensor *all[] = {residual, x, weight, scalar};
    DLTensor *o = r.failed ? NULL : output_like(&r, out, x, promote_all(all, 4));
    DLTensor *t =
        r.failed || (!want_sum && sum == Py_None) ? NULL : output_like(&r, sum, x, promote(residual, x));
    RUN(smelt_residual_norm(o, t, residual, x, weight, scalar, &options, &s))
    FINISH(o, t);
}

/* x, dims, traditional, sequence_axis, base, scale, cos_sin_scale, offset, offsets, positions, freqs,
 * inverse_freqs, backward, out, stream */
FUNCTION(rope)
{
    BEGIN;
    smelt_rope_options options = SMELT_ROPE_OPTIONS_INIT;
    const DLTensor *x = input(&r, "a");
    options.dims = small(&r, "dims");
    options.traditional = (int32_t)integer(&r, "traditional");
    options.sequence_axis = small(&r, "sequence_axis");
    options.base = number_or_nan(&r, "base");
    options.scale = number(&r, "scale");
    options.cos_sin_scale = number(&r, "cos_sin_scale");
    options.offset = integer(&r, "offset");
    options.offsets = maybe(&r, "offset");
    options.positions = maybe(&r, "position_ids");
    options.freqs = maybe(&r, "freqs");
    options.inverse_freqs = maybe(&r, "inverse_freqs");
    bool backward = integer(&r, "backward");
    PyObject *out = next(&r);
    stream(&r, &s);
    if (!r.failed && (!floating(x) || !floating(options.freqs) || !floating(options.inverse_freqs)))
        return cast_first(&r);
    DLTensor *o = r.failed ? NULL : output_like(&r, out, x, x->dtype);
    RUN(backward ? smelt_rope_vjp(o, x, &options, &s) : smelt_rope(o, x, &options, &s))
    FINISH(o);
}

static smelt_sdpa_options sdpa_options(struct reader *r)
{
    smelt_sdpa_options options = SMELT_SDPA_OPTIONS_INIT;
    options.scale = number_or_nan(r, "scale");
    options.causal = (int32_t)integer(r, "causal");
    if (!r->failed && r->left && *r->arguments == Py_None)
        next(r);
    else
        options.kv_offset = integer(r, "kv_offset");
    options.window_left = integer(r, "window");
    options.window_right = integer(r, "window");
    options.softcap = number(r, "softcap");
    options.mask = maybe(r, "mask");
    options.key_mask = maybe(r, "key_mask");
    options.sinks = maybe(r, "sinks");
    options.kv_lengths = maybe(r, "kv_lengths");
    options.kv_offsets = maybe(r, "kv_offsets");
    return options;
}

/* The shape of out, from q and v where they have rank 4; a wrong rank is for the library to name. */
static void attention_shape(const DLTensor *q, const DLTensor *v, int64_t shape[4])
{
    for (int i = 0; i < 4; i++) shape[i] = i < q->ndim ? q->shape[i] : 1;
    if (v->ndim == 4) shape[3] = v->shape[3];
    for (int i = 0; i < 4; i++)
        if (shape[i] < 0) shape[i] = 0;
}

/* q, k, v, scale, causal, kv_offset, window_left, window_right, softcap, mask, key_mask, sinks, kv_lengths,
 * kv_offsets, want_lse, out, stream -> (out, lse) */
FUNCTION(sdpa)
{
    BEGIN;
    const DLTensor *q = input(&r, "q"), *k = input(&r, "k"), *v = input(&r, "v");
    smelt_sdpa_options options = sdpa_options(&r);
    bool want_lse = integer(&r, "return_lse");
    PyObject *out = next(&r);
    stream(&r, &s);
    if (!r.failed && (!floating(q) || !floating(k) || !floating(v) || !floating(options.sinks)))
        return cast_first(&r);
    int64_t shape[4] = {0};
    DLDataType type = {0}, float32 = {kDLFloat, 32, 1};
    if (!r.failed) {
        const DLTensor *all[] = {q, k, v};
        type = promote_all(all, 3);
        attention_shape(q, v, shape);
    }
    DLTensor *o = output(&r, out, q, type, 4, shape);
    DLTensor *lse = want_lse ? output(&r, Py_None, q, float32, 3, shape) : NULL;
    RUN(smelt_sdpa(o, lse, q, k, v, &options, &s))
    FINISH(o, lse);
}

/* outs, lses, want_lse, stream -> (out, lse) */
FUNCTION(sdpa_merge)
{
    BEGIN;
    const DLTensor *outs = input(&r, "outs"), *lses = input(&r, "lses");
    bool want_lse = integer(&r, "return_lse");
    stream(&r, &s);
    if (!r.failed && (!floating(outs) || !floating(lses))) return cast_first(&r);
    if (!r.failed && (outs->ndim != 5 || lses->ndim != 4)) {
        PyErr_Format(PyExc_ValueError,
                     "sdpa_merge: expected outs of rank 5 and lses of rank 4, got %d and %d", outs->ndim,
                     lses->ndim);
        r.failed = true;
    }
    DLTensor *o = r.failed ? NULL : output(&r, Py_None, outs, outs->dtype, 4, outs->shape + 1);
    DLTensor *lse = r.failed || !want_lse
                        ? NULL
                        : output(&r, Py_None, outs, (DLDataType){kDLFloat, 32, 1}, 3, lses->shape + 1);
    RUN(smelt_sdpa_merge(o, lse, outs, lses, &s))
    FINISH(o, lse);
}

/* gate, up, activation, out, stream */
FUNCTION(glu)
{
    BEGIN;
    const DLTensor *gate = input(&r, "gate"), *up = input(&r, "up");
    smelt_activation activation = (smelt_activation)integer(&r, "activation");
    PyObject *out = next(&r);
    stream(&r, &s);
    if (!r.failed && (!floating(gate) || !floating(up))) return cast_first(&r);
    DLTensor *o = r.failed ? NULL : output_like(&r, out, gate, gate->dtype);
    RUN(smelt_glu(o, gate, up, activation, &s))
    FINISH(o);
}

/* logits, top_k, per_expert_scale, renormalize, stream -> (expert_ids, weights) */
FUNCTION(moe_routing)
{
    BEGIN;
    smelt_moe_options options = SMELT_MOE_OPTIONS_INIT;
    const DLTensor *logits = input(&r, "logits");
    int64_t top_k = integer(&r, "top_k");
    const DLTensor *scale = maybe(&r, "per_expert_scale");
    options.renormalize = (int32_t)integer(&r, "renormalize");
    stream(&r, &s);
    if (!r.failed && (!floating(logits) || !floating(scale))) return cast_first(&r);
    int64_t shape[MAX_RANK] = {0};
    if (!r.failed) {
        int64_t experts = logits->ndim ? logits->shape[logits->ndim - 1] : 0;
        if (logits->ndim < 1 || logits->ndim > MAX_RANK || top_k < 1 || top_k > experts) {
            PyErr_Format(PyExc_ValueError,
                         "moe_routing: top_k: expected 1 to %lld, the number of experts, got %lld",
                         (long long)experts, (long long)top_k);
            r.failed = true;
        } else {
            memcpy(shape, logits->shape, (size_t)logits->ndim * sizeof *shape);
            shape[logits->ndim - 1] = top_k;
        }
    }
    DLTensor *ids =
        r.failed ? NULL : output(&r, Py_None, logits, (DLDataType){kDLUInt, 32, 1}, logits->ndim, shape);
    DLTensor *weights =
        r.failed ? NULL : output(&r, Py_None, logits, (DLDataType){kDLFloat, 32, 1}, logits->ndim, shape);
    RUN(smelt_moe_routing(ids, weights, logits, scale, &options, &s))
    FINISH(ids, weights);
}

static PyObject *py_info(PyObject *module, PyObject *none)
{
    char text[8192];
    size_t needed;
    (void)module, (void)none;
    smelt_status status = smelt_info(text, sizeof text, &needed);
    return status == SMELT_OK ? PyUnicode_FromString(text) : raise_status(status);
}

#define METHOD(name)                                                                                         \
    {                                                                                                        \
#        name, (PyCFunction)(void (*)(void))py_##name, METH_FASTCALL, NULL                                   \
    }
static PyMethodDef functions[] = {METHOD(rms_norm),     METHOD(layer_norm),
                                  METHOD(norm_add),     METHOD(residual_norm),
                                  METHOD(rope),         METHOD(sdpa),
                                  METHOD(sdpa_merge),   METHOD(glu),
                                  METHOD(moe_routing),  {"info", py_info, METH_NOARGS, NULL},
                                  {NULL, NULL, 0, NULL}};
static PyModuleDef definition = {
    PyModuleDef_HEAD_INIT, "smelt._smelt", NULL, -1, functions, NULL, NULL, NULL, NULL};

PyMODINIT_FUNC PyInit__smelt(void)
{
    PyObject *module = PyModule_Create(&definition);
    if (!module) return NULL;
    PyObject *bases = PyTuple_Pack(2, PyExc_NotImplementedError, PyExc_ValueError);
    unsupported_error =
        bases ? PyErr_NewExceptionWithDoc("smelt.UnsupportedError",
                                          "A dtype, device or feature that smelt does not have.", bases, NULL)
              : NULL;
    Py_XDECREF(bases);
    if (!unsupported_error || PyModule_AddObjectRef(module, "UnsupportedError", unsupported_error) ||
        !buffer_setup(module) || PyModule_AddStringConstant(module, "__version__", smelt_version())) {
        Py_DECREF(module);
        return NULL;
    }
    return module;
}
