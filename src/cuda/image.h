/* SPDX-License-Identifier: Apache-2.0 */
/* The embedded device code of the memory-bound operations, loaded into the current context when first used.
 * Thread-safe, also while a stream is captured. */
#ifndef SMELT_CUDA_IMAGE_H
#define SMELT_CUDA_IMAGE_H

#include <cuda.h>

/* X(name): an image of CMakeLists.txt */
#define SMELT_CUDA_IMAGE_ROWS(X)                                                                             \
    X(norm_forward_f32)                                                                                      \
    X(norm_forward_f16)                                                                                      \
    X(norm_forward_bf16)                                                                                     \
    X(norm_vjp_f32)                                                                                          \
    X(norm_vjp_f16)                                                                                          \
    X(norm_vjp_bf16)                                                                                         \
    X(norm_generic)                                                                                          \
    X(norm_columns)                                                                                          \
    X(glu_f32)                                                                                               \
    X(glu_f16)                                                                                               \
    X(glu_bf16)                                                                                              \
    X(rope_f32)                                                                                              \
    X(rope_f16)                                                                                              \
    X(rope_bf16)                                                                                             \
    X(moe_routing)                                                                                           \
    X(moe_routing_vjp)                                                                                       \
    X(sdpa_merge_f32)                                                                                        \
    X(sdpa_merge_f16)                                                                                        \
    X(sdpa_merge_bf16)

enum smelt_cuda_image {
#define SMELT_CUDA_IMAGE_NAME(name) SMELT_IMAGE_##name,
    SMELT_CUDA_IMAGE_ROWS(SMELT_CUDA_IMAGE_NAME)
#undef SMELT_CUDA_IMAGE_NAME
        SMELT_CUDA_IMAGES
};

/* A kernel by its name, a string that lives as long as the program. */
CUresult smelt_cuda_function(enum smelt_cuda_image image, const char *name, CUfunction *function);

#endif
