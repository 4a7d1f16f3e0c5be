/* SPDX-License-Identifier: Apache-2.0 */
/* Wrong calls that the functions of the norm family share: a file of the family describes its functions and
 * calls norm_errors(), and norm_legal() at the end. */
#ifndef SMELT_TESTS_NORM_ERRORS_H
#define SMELT_TESTS_NORM_ERRORS_H

#include "unit.h"

enum norm_role {
    NORM_ROWS,   /* (4, 8) */
    NORM_COLUMN, /* (8) */
    NORM_SCALAR, /* (1) or (8) */
};
struct norm_argument {
    const char *name;
    enum norm_role role;
    int output, optional;
};
enum { NORM_ARGUMENTS = 12 };

/* One function: its arguments in order, all given, and the call. */
struct norm_function {
    const char *name;
    int count;
    struct norm_argument argument[NORM_ARGUMENTS];
    smelt_status (*run)(DLTensor **arguments, const smelt_norm_options *options, const smelt_stream *stream);
};

#define NORM_INVALID(f, call, ...)     UNIT_ERROR(call, SMELT_INVALID_ARGUMENT, (f)->name, __VA_ARGS__)
#define NORM_UNSUPPORTED(f, call, ...) UNIT_ERROR(call, SMELT_UNSUPPORTED, (f)->name, __VA_ARGS__)

static inline DLTensor *norm_tensor(const struct norm_argument *a, enum smelt_dtype dtype)
{
    if (a->role == NORM_ROWS) return unit_make(dtype, a->output, 2, (const int[]){4, 8});
    return unit_make(dtype, a->output, 1, (const int[]){8});
}
static inline void norm_arguments(const struct norm_function *f, DLTensor **arguments)
{
    for (int i = 0; i < f->count; i++) arguments[i] = norm_tensor(&f->argument[i], SMELT_F32);
}

static inline void norm_descriptor_errors(const struct norm_function *f, DLTensor **arguments, int i)
{
    const char *name = f->argument[i].name;
    DLTensor *good = arguments[i], *bad = arguments[i] = unit_twin(good);
    bad->data = NULL;
    NORM_INVALID(f, f->run(arguments, NULL, NULL), name, "data", "NULL");
    bad->data = (char *)good->data + 2;
    NORM_INVALID(f, f->run(arguments, NULL, NULL), name, "aligned to 4");
    bad->data = good->data;
    bad->ndim = -1;
    NORM_INVALID(f, f->run(arguments, NULL, NULL), name, "rank", "-1");
    bad->ndim = 33;
    NORM_INVALID(f, f->run(arguments, NULL, NULL), name, "rank", "33");
    bad->ndim = 0;
    NORM_INVALID(f, f->run(arguments, NULL, NULL), name);
    bad->ndim = good->ndim;
    bad->shape = NULL;
    NORM_INVALID(f, f->run(arguments, NULL, NULL), name, "shape", "NULL");
    bad = arguments[i] = unit_twin(good);
    bad->shape[0] = -4;
    NORM_INVALID(f, f->run(arguments, NULL, NULL), name, "-4");
    bad->shape[0] = INT64_MAX / 2;
    NORM_INVALID(f, f->run(arguments, NULL, NULL), name);
    bad = arguments[i] = unit_twin(good);
    bad->strides[0] = INT64_MAX / 2;
    NORM_INVALID(f, f->run(arguments, NULL, NULL), name, "address space");
    bad = arguments[i] = unit_twin(good);
    bad->device.device_type = kDLMetal;
    NORM_UNSUPPORTED(f, f->run(arguments, NULL, NULL), "device");
    bad->device.device_type = kDLCUDA;
    NORM_INVALID(f, f->run(arguments, NULL, NULL), "device");
    arguments[i] = good;
}

static inline void norm_dtype_and_shape_errors(const struct norm_function *f, DLTensor **arguments, int i)
{
    const struct norm_argument *a = &f->argument[i];
    DLTensor *good = arguments[i], *bad = arguments[i] = unit_twin(good);
    bad->dtype.bits = 64;
    NORM_UNSUPPORTED(f, f->run(arguments, NULL, NULL), a->name, "float64");
    bad->dtype = smelt_dl_type(SMELT_I32);
    NORM_UNSUPPORTED(f, f->run(arguments, NULL, NULL), a->name, "int32");
    bad->dtype = good->dtype;
    bad->dtype.lanes = 2;
    NORM_UNSUPPORTED(f, f->run(arguments, NULL, NULL), a->name, "lanes 2");
    if (a->output && strcmp(a->name, "dbias")) { /* the dtype of the bias is that of dbias alone */
        bad->dtype = smelt_dl_type(SMELT_F16);
        NORM_INVALID(f, f->run(arguments, NULL, NULL), "float16");
    }
    bad = arguments[i] = unit_twin(good);
    bad->shape[good->ndim - 1] = 7;
    NORM_INVALID(f, f->run(arguments, NULL, NULL), "7");
    bad = arguments[i] = unit_make(SMELT_F32, 0, 3, (const int[]){1, 4, 8});
    NORM_INVALID(f, f->run(arguments, NULL, NULL), a->name);
    arguments[i] = good;
}

static inline void norm_overlap_errors(const struct norm_function *f, DLTensor **arguments, int i)
{
    DLTensor *good = arguments[i];
    if (!f->argument[i].output) return;
    arguments[i] = unit_twin(good);
    arguments[i]->strides[0] = 0;
    NORM_INVALID(f, f->run(arguments, NULL, NULL), f->argument[i].name, "share memory");
    for (int j = 0; j < f->count; j++) {
        if (j == i) continue;
        DLTensor *shifted = arguments[i] = unit_twin(good);
        shifted->data = (float *)arguments[j]->data + 1;
        NORM_INVALID(f, f->run(arguments, NULL, NULL), "shares memory");
    }
    arguments[i] = good;
}

static inline void norm_option_errors(const struct norm_function *f, DLTensor **arguments)
{
    smelt_norm_options options = SMELT_NORM_OPTIONS_INIT;
    options.eps = -1e-6f;
    NORM_INVALID(f, f->run(arguments, &options, NULL), "options.eps");
    options.eps = NAN;
    NORM_INVALID(f, f->run(arguments, &options, NULL), "options.eps", "nan");
    options.eps = 1e-5f;
    options.struct_size = 4;
    NORM_INVALID(f, f->run(arguments, &options, NULL), "options.struct_size", "4");
    smelt_stream stream = SMELT_STREAM_INIT;
    stream.num_threads = -1;
    NORM_INVALID(f, f->run(arguments, NULL, &stream), "num_threads", "-1");
    stream = (smelt_stream)SMELT_STREAM_INIT;
    stream.struct_size = 3;
    NORM_INVALID(f, f->run(arguments, NULL, &stream), "stream.struct_size", "3");
}

/* Every argument spoilt in every way. */
static inline void norm_errors(const struct norm_function *f)
{
    DLTensor *arguments[NORM_ARGUMENTS];
    norm_arguments(f, arguments);
    for (int i = 0; i < f->count; i++) {
        DLTensor *good = arguments[i];
        arguments[i] = NULL;
        if (!f->argument[i].optional)
            NORM_INVALID(f, f->run(arguments, NULL, NULL), f->argument[i].name, "NULL");
        arguments[i] = good;
        norm_descriptor_errors(f, arguments, i);
        norm_dtype_and_shape_errors(f, arguments, i);
        norm_overlap_errors(f, arguments, i);
    }
    norm_option_errors(f, arguments);
}

/* Last, as it writes: the right call, with rows and without. */
static inline void norm_legal(const struct norm_function *f)
{
    DLTensor *arguments[NORM_ARGUMENTS];
    norm_arguments(f, arguments);
    UNIT_OK(f->run(arguments, NULL, NULL));
    for (int i = 0; i < f->count; i++)
        if (f->argument[i].role == NORM_ROWS) arguments[i]->shape[0] = 0, arguments[i]->data = NULL;
    UNIT_OK(f->run(arguments, NULL, NULL));
}

#endif
