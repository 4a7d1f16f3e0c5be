/* SPDX-License-Identifier: Apache-2.0 */
/* What every smelt function shares: status, stream, version, machine information.
 *
 * Rules that hold for every function of the library:
 * - Arguments come as outputs, inputs, options, stream. Tensors are DLTensor (DLPack 1.x): any strides,
 *   in elements; `strides == NULL` means row-major; strides of axes of length 1 mean nothing; `byte_offset`
 *   counts; `lanes` is 1. Data is aligned to its dtype. A tensor without elements may have NULL data.
 * - dtypes are float32, float16 and bfloat16 unless a function says otherwise.
 * - Outputs are allocated by the caller with the exact shape, dtype and device, with any strides under which
 *   no two elements share memory. They are overwritten, never accumulated into, and untouched after an error.
 * - An output may be exactly an input (same pointer, shape and strides) where the function says so. Any other
 *   sharing of memory between an output and another argument is an error.
 * - Outputs of zero size succeed and do nothing. `options` and `stream` may be NULL: all defaults.
 * - Every function may be called from any thread at any time. On the CPU it returns when the result is there;
 *   the result does not depend on the number of threads. On CUDA it returns after the launch, in the order
 *   of the stream.
 * - Nothing prints (but SMELT_VERBOSE), aborts, exits or allocates a result. */
#ifndef SMELT_BASE_H
#define SMELT_BASE_H

#include <math.h>
#include <stddef.h>
#include <stdint.h>

#include "dlpack.h"

#define SMELT_VERSION_MAJOR 0
#define SMELT_VERSION_MINOR 1
#define SMELT_VERSION_PATCH 0

#if defined(_WIN32)
#    define SMELT_API
#elif defined(SMELT_BUILD)
#    define SMELT_API __attribute__((visibility("default")))
#else
#    define SMELT_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

typedef enum smelt_status {
    SMELT_OK = 0,
    SMELT_INVALID_ARGUMENT = 1, /* a shape, stride, pointer or value that the function does not accept */
    SMELT_UNSUPPORTED = 2,      /* a dtype, device or feature that is not there */
    SMELT_OUT_OF_MEMORY = 3,    /* scratch memory could not be had */
    SMELT_DEVICE_ERROR = 4,     /* the driver of the device refused */
    SMELT_COMPILE_ERROR = 5,    /* the text of a custom kernel does not compile */
    SMELT_IO_ERROR = 6,         /* a file or a process could not be used */
    SMELT_INTERNAL_ERROR = 7,   /* a fault of smelt */
} smelt_status;

/* How and where a call runs. Initialise with SMELT_STREAM_INIT; NULL in its place means all defaults. */
typedef struct smelt_stream {
    uint32_t struct_size; /* sizeof(smelt_stream), set by SMELT_STREAM_INIT */
    int32_t num_threads;  /* CPU: threads of this call; 0 = SMELT_NUM_THREADS, else the cores this process may
                             use */
    void *cuda_stream;    /* CUDA: a CUstream; NULL = the default stream. The device is that of the tensors */
    void *workspace; /* scratch memory on that device, or NULL: the CPU grows a buffer per thread, CUDA uses
                        the stream-ordered allocator */
    size_t workspace_size; /* bytes; at least what smelt_sdpa_workspace_size() says. Aligned to 64 (CPU), 256
                              (CUDA) */
    /* The caller's own threads, or NULL. Runs task(argument, i) once for every i in [0, tasks), in any order,
       even one after the other, and returns when all are done. smelt may call it several times in one call;
       its tasks never wait for each other. */
    void (*parallel_for)(void *pool, int64_t tasks, void (*task)(void *argument, int64_t index),
                         void *argument);
    void *pool; /* handed to parallel_for */
} smelt_stream;
#define SMELT_STREAM_INIT                                                                                    \
    {                                                                                                        \
        sizeof(smelt_stream), 0, NULL, NULL, 0, NULL, NULL                                                   \
    }

/* The version of the library that runs, "major.minor.patch". Never NULL. */
SMELT_API const char *smelt_version(void);

/* The name of a status, such as "invalid argument". Never NULL, also for values that are no status. */
SMELT_API const char *smelt_status_string(smelt_status status);

/* A sentence on the last failure of a smelt function in this thread: operation, argument, what was expected,
 * what came. Valid until the next failure in this thread; "" before the first. Never NULL. */
SMELT_API const char *smelt_last_error(void);

/* Writes a JSON object on the library and the machine: version, back ends, ISA found and in use, threads,
 * devices, cache, compiler. `needed` (may be NULL) gets the bytes of the text with its NUL. With too little
 * capacity nothing but `needed` is written, and the result is SMELT_INVALID_ARGUMENT unless capacity is 0. */
SMELT_API smelt_status smelt_info(char *json, size_t capacity, size_t *needed);

#ifdef __cplusplus
}
#endif
#endif
