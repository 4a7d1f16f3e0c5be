/* SPDX-License-Identifier: Apache-2.0 */
/* smelt_rope: arguments, shared with the gradient. */
#include "api/rope.h"

#include "api/backend.h"
#include "core/options.h"

#define INVALID(...) smelt_reject(call, SMELT_INVALID_ARGUMENT, __VA_ARGS__)

static void expect_dims(struct smelt_call *call, const smelt_rope_options *options,
                        struct smelt_rope_args *args)
{
    int64_t size = args->x->shape[args->x->rank - 1], dims = options->dims ? options->dims : size;
    if (size == 0)
        INVALID("%s: expected a last axis of 1 or more, got 0", args->x->name);
    else if (dims < 0 || dims > size)
        INVALID("dims: expected 0 (the whole head) to %lld, the last axis of %s, got %lld", (long long)size,
                args->x->name, (long long)dims);
    else if (dims % 2)
        INVALID("dims: expected an even number, got %lld%s", (long long)dims,
                options->dims ? "" : ", the last axis");
    args->dims = dims;
}

static void expect_sequence_axis(struct smelt_call *call, const smelt_rope_options *options,
                                 struct smelt_rope_args *args)
{
    int64_t axis = options->sequence_axis, rank = args->x->rank;
    if (axis < 0) axis += rank;
    if (axis < 1 || axis > rank - 2)
        INVALID("sequence_axis: expected an axis strictly between the first and the last of %lld, got %d",
                (long long)rank, options->sequence_axis);
    else
        args->sequence = (int)axis;
}

static void expect_frequencies(struct smelt_call *call, const smelt_rope_options *options,
                               struct smelt_rope_args *args)
{
    int given = !isnan(options->base) + (args->freqs != NULL) + (args->inverse_freqs != NULL);
    if (given != 1)
        INVALID("base: expected exactly one of base, freqs and inverse_freqs, got %s%s%s%s",
                given ? "" : "none of them", isnan(options->base) ? "" : "base",
                args->freqs ? (isnan(options->base) ? "freqs" : ", freqs") : "",
                args->inverse_freqs ? ", inverse_freqs" : "");
    int64_t half = args->dims / 2;
    smelt_expect_shape(call, args->freqs, 1, &half);
    smelt_expect_shape(call, args->inverse_freqs, 1, &half);
}

static void expect_positions(struct smelt_call *call, const smelt_rope_options *options,
                             struct smelt_rope_args *args)
{
    if (call->status != SMELT_OK) return;
    const struct smelt_view *offsets = args->offsets, *positions = args->positions;
    int64_t shape[2] = {args->x->shape[0], args->x->shape[args->sequence]};
    if ((options->offset != 0) + (offsets != NULL) + (positions != NULL) > 1)
        INVALID("offset: expected at most one of offset, offsets and positions, got %s%s%s",
                options->offset ? "offset" : "", offsets ? (options->offset ? ", offsets" : "offsets") : "",
                positions ? ", positions" : "");
    char got[SMELT_SHAPE_TEXT];
    if (offsets &&
        (offsets->rank > 1 || (offsets->rank && offsets->shape[0] != 1 && offsets->shape[0] != shape[0])))
        INVALID("offsets: expected shape (%lld,), (1,) or (), got %s", (long long)shape[0],
                smelt_shape_text(got, offsets->shape, offsets->rank));
    if (!positions) return;
    smelt_expect_rank(call, positions, 1, 2);
    smelt_expect_shape(call, positions, positions->rank, positions->rank == 2 ? shape : shape + 1);
}

static void resolve(struct smelt_call *call, const smelt_rope_options *options, struct smelt_rope_args *args)
{
    args->offsets = smelt_optional_input(call, "offsets", options->offsets, SMELT_INTEGERS);
    args->positions = smelt_optional_input(call, "positions", options->positions, SMELT_INTEGERS);
    args->freqs = smelt_optional_input(call, "freqs", options->freqs, SMELT_FLOATING);
    args->inverse_freqs = smelt_optional_input(call, "inverse_freqs", options->inverse_freqs, SMELT_FLOATING);
    smelt_expect_rank(call, args->x, 3, SMELT_MAX_RANK);
    if (call->status != SMELT_OK) return;
    smelt_expect_same_shape(call, args->out, args->x);
    smelt_expect_dtype(call, args->out, args->x->dtype);
    expect_dims(call, options, args);
    expect_sequence_axis(call, options, args);
    expect_frequencies(call, options, args);
    expect_positions(call, options, args);
    args->base = options->base, args->scale = options->scale, args->cos_sin_scale = options->cos_sin_scale;
    args->offset = options->offset, args->traditional = options->traditional != 0;
}

smelt_status smelt_rope_run(const char *operation, const char *out_name, DLTensor *out, const char *x_name,
                            const DLTensor *x, const smelt_rope_options *given, bool backward,
                            const smelt_stream *stream)
{
    static const smelt_rope_options defaults = SMELT_ROPE_OPTIONS_INIT;
    smelt_rope_options options;
    struct smelt_call call;
    struct smelt_rope_args args = {.run = &call.run, .backward = backward};
    SMELT_TRY(smelt_call_begin(&call, operation, stream));
    SMELT_TRY(smelt_read_options(operation, "options", &options, given, &defaults, sizeof defaults));
    args.out = smelt_output(&call, out_name, out, SMELT_FLOATING);
    args.x = smelt_input(&call, x_name, x, SMELT_FLOATING);
    SMELT_TRY(call.status);
    resolve(&call, &options, &args);
    smelt_allow_alias(&call, args.out, args.x);
    SMELT_TRY(smelt_call_ready(&call));
    SMELT_TRY(SMELT_RUN(&call, rope, &args));
    return smelt_call_end(&call);
}

smelt_status smelt_rope(DLTensor *out, const DLTensor *x, const smelt_rope_options *options,
                        const smelt_stream *stream)
{
    return smelt_rope_run("rope", "out", out, "x", x, options, false, stream);
}
