/* SPDX-License-Identifier: Apache-2.0 */
/* The arguments of one call from Python, read one after the other: after the first failure (an exception is
 * set) everything reads as nothing, so that functions check once. */
#ifndef SMELT_PYTHON_READER_H
#define SMELT_PYTHON_READER_H

#include "array.h"

extern PyObject *unsupported_error; /* smelt.UnsupportedError */
extern PyObject
    *check_only; /* given as a stream: arguments are checked and results made, but nothing is computed */

struct reader {
    struct call call;
    PyObject *const *arguments;
    Py_ssize_t left;
    bool failed;
};

PyObject *raise_status(smelt_status status);

PyObject *read_next(struct reader *r);
DLTensor *read_input(struct reader *r, const char *name);
DLTensor *read_maybe(struct reader *r, const char *name); /* None gives NULL */
float read_number(struct reader *r, const char *name);
float read_number_or_nan(struct reader *r, const char *name); /* None gives NAN */
int64_t read_integer(struct reader *r, const char *name);
int32_t read_small(struct reader *r, const char *name);
void read_stream(struct reader *r, smelt_stream *stream);
bool set_stream(const struct call *call, smelt_stream *stream); /* where the arrays are on a CUDA device */
smelt_norm_options read_norm_options(struct reader *r);
smelt_rope_options read_rope_options(struct reader *r);
smelt_sdpa_options read_sdpa_options(struct reader *r);

/* Whether C computes in this dtype; true for NULL. */
bool is_floating(const DLTensor *tensor);
DLDataType promote(const DLTensor *a, const DLTensor *b);
DLDataType promote_all(const DLTensor *const *tensors, int count);

/* `given` where it is not None, else a new array. */
DLTensor *make_output(struct reader *r, PyObject *given, const DLTensor *like, DLDataType type, int rank,
                      const int64_t *shape);
DLTensor *make_output_like(struct reader *r, PyObject *given, const DLTensor *like, DLDataType type);
/* A new array for the gradient of `of`, NULL where that is absent. */
DLTensor *make_gradient(struct reader *r, const DLTensor *of);

/* Ends the call: the one result, or a tuple with None for NULL; NULL with the exception set. */
PyObject *finish(struct reader *r, smelt_status status, const DLTensor *const *results, int count);
PyObject *cast_first(struct reader *r);

#define BEGIN                                                                                                \
    struct reader r; /* not zeroed: 45 kB */                                                                 \
    r.arguments = arguments, r.left = count, r.failed = false;                                               \
    smelt_status status = SMELT_OK;                                                                          \
    smelt_stream s;                                                                                          \
    call_init(&r.call, count ? arguments[count - 1] : Py_None); /* the stream comes last */                  \
    (void)module
#define RUN(expression)                                                                                      \
    if (!r.failed) {                                                                                         \
        Py_BEGIN_ALLOW_THREADS status = expression;                                                          \
        Py_END_ALLOW_THREADS                                                                                 \
    }
#define FINISH(...)                                                                                          \
    return finish(&r, status, (const DLTensor *const[]){__VA_ARGS__},                                        \
                  (int)(sizeof((const DLTensor *const[]){__VA_ARGS__}) / sizeof(DLTensor *)))
#define FUNCTION(name) PyObject *py_##name(PyObject *module, PyObject *const *arguments, Py_ssize_t count)

FUNCTION(rms_norm);
FUNCTION(layer_norm);
FUNCTION(norm_add);
FUNCTION(residual_norm);
FUNCTION(rope);
FUNCTION(sdpa);
FUNCTION(sdpa_merge);
FUNCTION(glu);
FUNCTION(moe_routing);
FUNCTION(rms_norm_vjp);
FUNCTION(layer_norm_vjp);
FUNCTION(norm_add_vjp);
FUNCTION(residual_norm_vjp);
FUNCTION(sdpa_vjp);
FUNCTION(glu_vjp);
FUNCTION(moe_routing_vjp);

#endif
