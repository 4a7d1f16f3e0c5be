/* SPDX-License-Identifier: Apache-2.0 */
/* Custom kernels in the Metal Shading Language, on the CPU: whole .metal files by Metal's own vocabulary, and the
 * body-only form of mx.fast.metal_kernel.
 *
 * - The text is compiled when it is first needed, by the process smelt-metalc, and kept in a cache on the disk.
 *   Where the compiler is not installed and the cache has no answer, the result is SMELT_UNSUPPORTED.
 * - Text that does not compile is SMELT_COMPILE_ERROR; smelt_last_error() then holds the compiler's messages, with
 *   the lines and columns of the caller's text.
 * - Handles may be used from any thread at once; destroying one while another thread uses it is the caller's error. */
#ifndef SMELT_METAL_H
#define SMELT_METAL_H

#include "base.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum smelt_math_mode {
    SMELT_MATH_SAFE = 0,    /* IEEE: no contraction, no reordering */
    SMELT_MATH_RELAXED = 1, /* contraction, reordering, approximate functions; infinities and NaN are kept */
    SMELT_MATH_FAST = 2,    /* also assumes that there are no infinities and NaN */
} smelt_math_mode;

/* Whole .metal files */

typedef struct smelt_metal_library smelt_metal_library;
typedef struct smelt_metal_function smelt_metal_function;

typedef struct smelt_metal_compile_options { /* SMELT_METAL_COMPILE_OPTIONS_INIT */
    uint32_t struct_size;
    int32_t device_type;          /* kDLCPU; others are not there yet */
    int32_t math_mode;            /* a smelt_math_mode */
    int32_t check;                /* 0; the checker is not there yet */
    const char *file_name;        /* how messages call the text; NULL = "<source>" */
    const char *const *include_folders; /* what #include may read; such texts are not kept on the disk */
    size_t include_folder_count;
    const char *const *definitions; /* macros: "NAME" or "NAME=VALUE" */
    size_t definition_count;
} smelt_metal_compile_options;
#define SMELT_METAL_COMPILE_OPTIONS_INIT                                                                     \
    {                                                                                                        \
        sizeof(smelt_metal_compile_options), kDLCPU, SMELT_MATH_SAFE, 0, NULL, NULL, 0, NULL, 0              \
    }

/* Parses the text and lists its kernels. */
SMELT_API smelt_status smelt_metal_library_create(smelt_metal_library **out, const char *source,
                                                  const smelt_metal_compile_options *options /* ? */);
SMELT_API void smelt_metal_library_destroy(smelt_metal_library *library /* ? */);
/* The kernels of the text in their order, by the names that function_create takes; NULL behind the last. */
SMELT_API const char *smelt_metal_library_function_name(const smelt_metal_library *library, size_t position);

/* The value of a [[function_constant(index)]]: bool, an integer or a float, by its DLPack type. */
typedef struct smelt_metal_constant {
    uint32_t index;
    DLDataType type; /* lanes 1 */
    const void *value;
} smelt_metal_constant;

/* The library may be destroyed before its functions. */
SMELT_API smelt_status smelt_metal_function_create(smelt_metal_function **out, smelt_metal_library *library,
                                                   const char *name, const smelt_metal_constant *constants /* ? */,
                                                   size_t constant_count);
SMELT_API void smelt_metal_function_destroy(smelt_metal_function *function /* ? */);

typedef enum smelt_metal_binding_kind {
    SMELT_METAL_BUFFER = 0,      /* device or constant memory: a buffer, or bytes */
    SMELT_METAL_THREADGROUP = 1, /* threadgroup memory, by its length */
} smelt_metal_binding_kind;

typedef struct smelt_metal_binding {
    const char *name;
    const char *type;     /* of the element, as the text says it */
    int32_t kind;         /* a smelt_metal_binding_kind */
    uint32_t index;
    int32_t writable;
    int32_t is_reference; /* one element rather than an array */
    size_t element_size;  /* bytes */
} smelt_metal_binding;

typedef struct smelt_metal_reflection { /* SMELT_METAL_REFLECTION_INIT */
    uint32_t struct_size;
    uint32_t binding_count;
    const smelt_metal_binding *bindings; /* as long as the function lives */
    size_t threadgroup_memory;           /* bytes of the kernel's own threadgroup variables */
} smelt_metal_reflection;
#define SMELT_METAL_REFLECTION_INIT                                                                          \
    {                                                                                                        \
        sizeof(smelt_metal_reflection), 0, NULL, 0                                                           \
    }
SMELT_API smelt_status smelt_metal_function_reflect(const smelt_metal_function *function, smelt_metal_reflection *out);

/* One bound argument: a contiguous tensor, or memory; for threadgroup memory its length alone. The same memory may be
 * bound at several indices. */
typedef struct smelt_metal_buffer {
    uint32_t index;
    const DLTensor *tensor; /* or NULL: then */
    void *data;
    size_t size;
} smelt_metal_buffer;
typedef struct smelt_metal_bytes {
    uint32_t index;
    const void *data; /* read only, and only while the call lasts */
    size_t size;
} smelt_metal_bytes;
typedef struct smelt_metal_threadgroup_memory {
    uint32_t index;
    size_t length; /* bytes */
} smelt_metal_threadgroup_memory;

typedef struct smelt_metal_launch { /* SMELT_METAL_LAUNCH_INIT */
    uint32_t struct_size;
    int32_t grid_in_threadgroups; /* 0: grid counts threads, and edge threadgroups are smaller */
    uint32_t grid[3];             /* 1, 1, 1; an axis of 0 runs nothing */
    uint32_t threadgroup[3];      /* 1, 1, 1; the product is at most 1,024 */
    const smelt_metal_buffer *buffers;
    size_t buffer_count;
    const smelt_metal_bytes *bytes;
    size_t bytes_count;
    const smelt_metal_threadgroup_memory *threadgroup_memory;
    size_t threadgroup_memory_count;
} smelt_metal_launch;
#define SMELT_METAL_LAUNCH_INIT                                                                              \
    {                                                                                                        \
        sizeof(smelt_metal_launch), 0, {1, 1, 1}, {1, 1, 1}, NULL, 0, NULL, 0, NULL, 0                       \
    }

/* Runs the kernel, and returns when it is done. */
SMELT_API smelt_status smelt_metal_dispatch(smelt_metal_function *function, const smelt_metal_launch *launch,
                                            const smelt_stream *stream /* ? */);

/* Body-only kernels, as in mx.fast.metal_kernel */

typedef struct smelt_kernel smelt_kernel;

typedef struct smelt_kernel_desc { /* SMELT_KERNEL_DESC_INIT */
    uint32_t struct_size;
    int32_t ensure_row_contiguous; /* 1: inputs that are not row-contiguous are copied first; 0: as they are */
    int32_t atomic_outputs;        /* 0; 1: outputs are pointers to atomics */
    int32_t math_mode;             /* a smelt_math_mode */
    int32_t check;                 /* 0; the checker is not there yet */
    const char *name;              /* part of the generated function's name */
    const char *source;            /* the function's body */
    const char *header;            /* text before the function; NULL = none */
    const char *const *input_names;
    size_t input_count;
    const char *const *output_names; /* one or more */
    size_t output_count;
} smelt_kernel_desc;
#define SMELT_KERNEL_DESC_INIT                                                                               \
    {                                                                                                        \
        sizeof(smelt_kernel_desc), 1, 0, SMELT_MATH_SAFE, 0, NULL, NULL, NULL, NULL, 0, NULL, 0              \
    }

/* Checks the description; the text is compiled at the first launch with new dtypes or template arguments. */
SMELT_API smelt_status smelt_kernel_create(smelt_kernel **out, const smelt_kernel_desc *desc);
SMELT_API void smelt_kernel_destroy(smelt_kernel *kernel /* ? */);

typedef enum smelt_template_kind { SMELT_TEMPLATE_DTYPE, SMELT_TEMPLATE_INT, SMELT_TEMPLATE_BOOL } smelt_template_kind;
typedef struct smelt_template_argument {
    const char *name;
    int32_t kind; /* a smelt_template_kind */
    DLDataType dtype;
    int64_t value; /* of an int or bool */
} smelt_template_argument;

/* A struct tag only: the function has the name, as in the interface. */
struct smelt_kernel_launch { /* SMELT_KERNEL_LAUNCH_INIT */
    uint32_t struct_size;
    int32_t verbose;         /* 1: the generated text and what became of its accesses go to stdout */
    uint32_t grid[3];        /* in threads */
    uint32_t threadgroup[3]; /* clamped to the grid */
    const DLTensor *const *inputs; /* as many as input_names */
    DLTensor *const *outputs;      /* row-contiguous; as many as output_names */
    const smelt_template_argument *template_arguments;
    size_t template_count;
    const float *init_value; /* what outputs are filled with first; NULL = nothing */
    size_t input_count, output_count; /* of the two lists */
};
#define SMELT_KERNEL_LAUNCH_INIT                                                                             \
    {                                                                                                        \
        sizeof(struct smelt_kernel_launch), 0, {0, 0, 0}, {0, 0, 0}, NULL, NULL, NULL, 0, NULL, 0, 0                \
    }
SMELT_API smelt_status smelt_kernel_launch(smelt_kernel *kernel, const struct smelt_kernel_launch *launch,
                                           const smelt_stream *stream /* ? */);

#ifdef __cplusplus
}
#endif
#endif
