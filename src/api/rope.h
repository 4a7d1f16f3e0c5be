/* SPDX-License-Identifier: Apache-2.0 */
/* What the back ends get of smelt_rope and smelt_rope_vjp: checked views, options resolved. */
#ifndef SMELT_API_ROPE_H
#define SMELT_API_ROPE_H

#include <smelt/rope.h>

#include "core/call.h"

struct smelt_rope_args {
    const struct smelt_run *run;
    const struct smelt_view *out, *x; /* one shape, of rank 3 or more, and one dtype */
    bool backward;                    /* rotate by the negated angle */
    bool traditional;                 /* pairs (2i, 2i + 1), else (i, i + dims/2) */
    int sequence;                     /* the axis of the tokens, 1 to rank - 2 */
    int64_t dims;                     /* even, 2 to the size of the last axis */
    float base;                       /* NaN where frequencies are given */
    float scale, cos_sin_scale;
    int64_t offset;
    const struct smelt_view *offsets;               /* integer (B), (1) or scalar, or NULL */
    const struct smelt_view *positions;             /* integer (B, T) or (T), or NULL */
    const struct smelt_view *freqs, *inverse_freqs; /* floating (dims/2), or NULL */
};

/* Checks and runs either direction; the names are those of the tensors in messages. */
smelt_status smelt_rope_run(const char *operation, const char *out_name, DLTensor *out, const char *x_name,
                            const DLTensor *x, const smelt_rope_options *options, bool backward,
                            const smelt_stream *stream);

/* Position of token t of sequence b, where offsets and positions lie in the memory of the host. */
static inline int64_t smelt_rope_position(const struct smelt_rope_args *a, int64_t b, int64_t t)
{
    const struct smelt_view *v = a->positions ? a->positions : a->offsets;
    int64_t value = a->offset, sum;
    if (v) {
        int64_t at = v->rank == 2   ? b * v->stride[0] + t * v->stride[1]
                     : v->rank == 0 ? 0
                                    : (a->positions ? t : b) * v->stride[0]; /* strides of length 1 are 0 */
        value = smelt_load_integer(v->dtype, v->data + at * v->item);
        if (a->positions) return value;
    }
    return __builtin_add_overflow(value, t, &sum) ? INT64_MAX : sum;
}

/* Whether the sequences of a batch have positions of their own. */
static inline bool smelt_rope_per_sequence(const struct smelt_rope_args *a)
{
    if (a->positions) return a->positions->rank == 2 && a->positions->stride[0] != 0;
    return a->offsets && a->offsets->rank == 1 && a->offsets->stride[0] != 0;
}

smelt_status smelt_cpu_rope(const struct smelt_rope_args *args);
smelt_status smelt_cuda_rope(const struct smelt_rope_args *args);

#endif
