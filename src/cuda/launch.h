/* SPDX-License-Identifier: Apache-2.0 */
/* What the calls of memory-bound operations share: the card and the stream, launches, scratch memory, and the
 * rows of their tensors. */
#ifndef SMELT_CUDA_LAUNCH_H
#define SMELT_CUDA_LAUNCH_H

#include "core/loop.h"
#include "device.h"
#include "image.h"
#include "walk.h"

/* One call, between smelt_cuda_begin() and smelt_cuda_end(). */
struct smelt_cuda_call {
    const char *operation;
    const struct smelt_run *run;
    struct smelt_cuda_device device;
    CUdeviceptr scratch; /* taken from the stream-ordered allocator, or 0 */
};

/* Checks driver, card and memory; views may be NULL but for the first. */
smelt_status smelt_cuda_begin(struct smelt_cuda_call *call, const char *operation,
                              const struct smelt_run *run, const struct smelt_view *const *views, int count);
/* Gives scratch back, in the order of the stream, and restores the caller's context. Returns the first
 * failure. */
smelt_status smelt_cuda_end(struct smelt_cuda_call *call, smelt_status status);

/* The caller's workspace where it is large enough, else stream-ordered memory. Once per call. */
smelt_status smelt_cuda_scratch(struct smelt_cuda_call *call, size_t bytes, void **memory);

struct smelt_cuda_grid {
    enum smelt_cuda_image image;
    const char *kernel;
    int64_t blocks;
    int threads_x, threads_y; /* of a block */
    int cluster;              /* blocks; 0 or 1: none */
};
/* Starts a kernel with one parameter. Kernels of these images wait for the one before by themselves. */
smelt_status smelt_cuda_launch(const struct smelt_cuda_call *call, const struct smelt_cuda_grid *grid,
                               const void *params);

/* The rows of a loop as kernels walk them; a loop of more axes than that takes several launches. Returns how
 * many. Before launch `number` the tensors' addresses move by `shift`. */
int64_t smelt_walk_begin(smelt_walk *walk, const struct smelt_loop *loop);
void smelt_walk_shift(const struct smelt_loop *loop, int64_t number, int64_t *shift);

/* Address and strides of the walk are multiples of `bytes`, a power of 2. */
bool smelt_walk_aligned(const struct smelt_loop *loop, int tensor, const struct smelt_view *view,
                        int64_t bytes);
/* Bytes between elements of the last axis; those of one element where it has no other. */
int64_t smelt_view_step(const struct smelt_view *view);

/* At most so many blocks of a kernel that goes over its rows in a loop, and never more than a grid can have.
 * Tests set smelt_cuda_most_blocks, so that few rows are enough for many turns; 0: no limit. */
extern int64_t smelt_cuda_most_blocks;
int64_t smelt_cuda_blocks(int64_t blocks);

/* Whether an output of so many bytes is written past the cache: unless measurements clear
 * smelt_cuda_streaming, those that are larger than it. */
extern int smelt_cuda_streaming;
bool smelt_cuda_streams(const struct smelt_cuda_call *call, int64_t bytes);

#endif
