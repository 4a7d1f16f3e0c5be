/* SPDX-License-Identifier: Apache-2.0 */
/* rope and its gradient against the definition: tolerances of the specification, section 4.7. */
#include <math.h>

#include "check.h"

static double tolerance(enum smelt_dtype dtype)
{
    return dtype == SMELT_F32 ? 1e-6 : dtype == SMELT_F16 ? 1e-3 : 8e-3;
}

static DLTensor *integers(struct check *c, int rank, const int64_t *shape, bool large)
{
    enum smelt_dtype dtype = (enum smelt_dtype)check_range(c, SMELT_I8, SMELT_U64);
    bool negative = dtype == SMELT_I8 || dtype == SMELT_I16 || dtype == SMELT_I32 || dtype == SMELT_I64;
    int64_t most = dtype == SMELT_I8    ? 100
                   : dtype == SMELT_U8  ? 255
                   : dtype == SMELT_I16 ? 32000
                   : dtype == SMELT_U16 ? 65000
                   : large              ? 2000000000
                                        : 300000;
    DLTensor *tensor = check_input(c, dtype, rank, shape);
    for (int64_t i = 0; i < ref_count(tensor); i++)
        ref_store(tensor, i, (double)check_range(c, negative ? -most : 0, most));
    check_filled(c, tensor);
    return tensor;
}

static void random_frequencies(struct check *c, smelt_rope_options *o, int64_t half)
{
    if (check_chance(c, 50)) {
        o->base = check_chance(c, 50) ? 1e4f : (float)check_uniform(c, 2, 5e6);
        return;
    }
    bool divisors = check_chance(c, 50);
    DLTensor *given = check_input(c, (enum smelt_dtype)check_range(c, 0, SMELT_FLOAT_DTYPES - 1), 1, &half);
    for (int64_t i = 0; i < half; i++) {
        double value = exp(check_uniform(c, -9, 2));
        ref_store(given, i, divisors ? 1 / value : value);
        if (check_chance(c, 3)) ref_store(given, i, INFINITY); /* angle 0, or NaN */
        if (check_chance(c, 3)) ref_store(given, i, 0);
    }
    check_filled(c, given);
    *(divisors ? &o->freqs : &o->inverse_freqs) = given;
}

static void random_positions(struct check *c, smelt_rope_options *o, int64_t batch, int64_t tokens)
{
    int64_t shape[2] = {batch, tokens}, one = 1;
    bool large = check_chance(c, 10); /* angles beyond what range reduction does in vectors */
    switch (check_range(c, 0, 6)) {
    case 0: o->offset = check_range(c, -100, 40000); break;
    case 1: o->offset = large ? 123456789012 : 131072; break;
    case 2: o->offsets = integers(c, 1, &batch, large); break;
    case 3: o->offsets = integers(c, check_chance(c, 50), &one, large); break;
    case 4: o->positions = integers(c, 2, shape, large); break;
    case 5: o->positions = integers(c, 1, &tokens, large); break;
    default: break;
    }
}

static smelt_rope_options random_options(struct check *c, int rank, int64_t *shape)
{
    smelt_rope_options o = SMELT_ROPE_OPTIONS_INIT;
    int axis = (int)check_range(c, 1, rank - 2);
    if (check_chance(c, 70)) axis = rank - 2;
    shape[axis] = check_chance(c, 30) ? 1 : check_range(c, 1, 40);
    shape[rank - 1] = check_chance(c, 50) ? 16 * check_range(c, 1, 16) : 2 * check_range(c, 1, 90);
    o.sequence_axis = check_chance(c, 50) ? axis : axis - rank;
    o.dims = check_chance(c, 60) ? 0 : 2 * (int32_t)check_range(c, 1, shape[rank - 1] / 2);
    if (check_chance(c, 20)) shape[rank - 1] += o.dims ? 1 : 0; /* an odd head is legal, odd dims are not */
    o.traditional = check_chance(c, 50);
    if (check_chance(c, 30)) o.scale = (float)check_uniform(c, 0.1, 3);
    if (check_chance(c, 30)) o.cos_sin_scale = (float)check_uniform(c, 0.5, 1.5);
    random_frequencies(c, &o, (o.dims ? o.dims : shape[rank - 1]) / 2);
    random_positions(c, &o, shape[0], shape[axis]);
    return o;
}

typedef smelt_status operation(DLTensor *, const DLTensor *, const smelt_rope_options *,
                               const smelt_stream *);
typedef void definition(DLTensor *, const DLTensor *, const smelt_rope_options *);

static void check_either(struct check *c, operation *call, definition *exact)
{
    if (!check_begin(c, "")) return;
    while (check_case(c)) {
        int rank = (int)check_range(c, 3, check_chance(c, 20) ? 7 : 4);
        int64_t shape[CHECK_RANK];
        check_shape(c, rank, 0, 60, shape);
        smelt_rope_options options = random_options(c, rank, shape);
        smelt_stream stream = SMELT_STREAM_INIT;
        stream.num_threads = (int32_t)check_range(c, 0, 5);
        DLTensor *x = check_input(c, c->dtype, rank, shape), *out = check_output(c, c->dtype, rank, shape);
        exact(check_wide(c, out), x, &options);
        if (c->plain && check_chance(c, 50)) {
            out = x;
            exact(check_wide(c, out), x, &options);
            check_in_place(c, out);
        }
        check_status(c, call(out, x, &options, &stream));
        check_close(c, out, tolerance(c->dtype), tolerance(c->dtype));
    }
}

void check_rope(struct check *c) { check_either(c, smelt_rope, ref_rope); }
void check_rope_vjp(struct check *c) { check_either(c, smelt_rope_vjp, ref_rope_vjp); }
