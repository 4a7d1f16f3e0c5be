/* SPDX-License-Identifier: Apache-2.0 */
/* Arrays of any library as DLTensor, for the time of one call, and new arrays of the same library for
 * results.
 *
 * Three ways in, fastest first, decided once per type: the DLPack C exchange API (PyTorch 2.10 and later),
 * the buffer protocol (NumPy), and __dlpack__ (JAX, CuPy, MLX and all others; versioned capsules and the
 * older ones). */
#ifndef SMELT_PYTHON_ARRAY_H
#define SMELT_PYTHON_ARRAY_H

#define Py_LIMITED_API 0x030b0000
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdbool.h>

#include <smelt/smelt.h>

enum { MAX_ARRAYS = 64, MAX_RANK = 32 };

enum door { DOOR_EXCHANGE, DOOR_NUMPY, DOOR_DLPACK };

/* What is known of a type of arrays. Lives until the interpreter ends. */
struct library {
    PyObject *type;
    enum door door;
    const DLPackExchangeAPI *exchange;
    struct library *next;
    bool
        immutable; /* cannot be given as an output: its arrays share memory that they promise not to change */
    char name[24]; /* "numpy", "torch", "jax", ...: the first part of the type's module */
    PyObject *from_dlpack; /* for DOOR_DLPACK: makes an array of this library of an object with __dlpack__ */
};

struct array {
    DLTensor tensor;
    int64_t shape[MAX_RANK], strides[MAX_RANK]; /* where the door has none of its own */
    PyObject *object;                           /* a new reference for results, borrowed for arguments */
    Py_buffer buffer;
    bool has_buffer;
    DLManagedTensorVersioned *versioned; /* at most one of these two is held */
    DLManagedTensor *legacy;
    bool read_only;
};

/* The arguments of one call. */
struct call {
    PyObject *stream;              /* what the caller gave: borrowed; None where nothing */
    const struct library *library; /* of the first array */
    const char *first;             /* its name */
    int count;
    struct array array[MAX_ARRAYS];
};

void call_init(struct call *call, PyObject *stream);
void call_clear(struct call *call);

/* An input; `object` None gives NULL where `optional`. NULL with an exception set otherwise. */
DLTensor *call_input(struct call *call, PyObject *object, const char *name, bool optional, bool *failed);
/* A given output (`out=`): must be writable. */
DLTensor *call_given(struct call *call, PyObject *object, const char *name, bool *failed);
/* A new array of the library of the first input, on the device of `like`. Row-major. */
DLTensor *call_result(struct call *call, const DLTensor *like, DLDataType type, int rank,
                      const int64_t *shape, bool *failed);
/* The CUDA stream of the call: the one given, else the one on which the library works on this device. */
bool call_stream(const struct call *call, DLDevice device, void **stream);
/* The Python object of a result or given output: a new reference. */
PyObject *call_take(struct call *call, const DLTensor *tensor);

#endif
