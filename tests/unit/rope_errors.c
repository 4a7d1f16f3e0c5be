/* SPDX-License-Identifier: Apache-2.0 */
/* Wrong calls of rope and rope_vjp. */
#include "unit.h"

static DLTensor *out, *x;
static smelt_rope_options good(void)
{
    smelt_rope_options options = SMELT_ROPE_OPTIONS_INIT;
    options.base = 1e4f;
    return options;
}
#define INVALID(call, ...)     UNIT_ERROR(call, SMELT_INVALID_ARGUMENT, "rope: ", __VA_ARGS__)
#define UNSUPPORTED(call, ...) UNIT_ERROR(call, SMELT_UNSUPPORTED, "rope: ", __VA_ARGS__)
/* One field changed. */
#define WITH(field, value, verdict, ...)                                                                     \
    do {                                                                                                     \
        smelt_rope_options options = good();                                                                 \
        options.field = value;                                                                               \
        verdict(smelt_rope(out, x, &options, NULL), __VA_ARGS__);                                            \
    } while (0)

static void tensors(void)
{
    smelt_rope_options o = good();
    INVALID(smelt_rope(out, NULL, &o, NULL), "x", "NULL");
    INVALID(smelt_rope(NULL, x, &o, NULL), "out", "NULL");
    INVALID(smelt_rope(unit_output(SMELT_F32, 2, 4, 8), unit_tensor(SMELT_F32, 2, 4, 8), &o, NULL), "x",
            "rank 3");
    INVALID(smelt_rope(unit_output(SMELT_F32, 4, 2, 3, 4, 8), x, &o, NULL), "out", "(2, 3, 5, 8)");
    INVALID(smelt_rope(unit_output(SMELT_F16, 4, 2, 3, 5, 8), x, &o, NULL), "out", "float32", "float16");
    UNSUPPORTED(smelt_rope(out, unit_tensor(SMELT_I32, 4, 2, 3, 5, 8), &o, NULL), "x", "int32");
    UNSUPPORTED(smelt_rope(out, unit_tensor(SMELT_F64, 4, 2, 3, 5, 8), &o, NULL), "x", "float64");
    INVALID(smelt_rope(unit_output(SMELT_F32, 3, 2, 5, 0), unit_tensor(SMELT_F32, 3, 2, 5, 0), &o, NULL), "x",
            "last axis");
    INVALID(smelt_rope(unit_output(SMELT_F32, 3, 2, 5, 7), unit_tensor(SMELT_F32, 3, 2, 5, 7), &o, NULL),
            "dims", "even", "7");
    DLTensor *bad = unit_twin(out);
    bad->strides[1] = 0;
    INVALID(smelt_rope(bad, x, &o, NULL), "out", "share memory");
    bad = unit_twin(x);
    bad->data = (char *)x->data + 4;
    INVALID(smelt_rope(bad, x, &o, NULL), "out", "x");
    bad = unit_twin(x);
    bad->data = (char *)x->data + 2;
    INVALID(smelt_rope(out, bad, &o, NULL), "x", "aligned to 4");
    bad = unit_twin(x);
    bad->device.device_type = kDLMetal;
    UNSUPPORTED(smelt_rope(out, bad, &o, NULL), "x", "device");
    UNIT_ERROR(smelt_rope_vjp(NULL, x, &o, NULL), SMELT_INVALID_ARGUMENT, "rope_vjp: ", "dx", "NULL");
    UNIT_ERROR(smelt_rope_vjp(out, NULL, &o, NULL), SMELT_INVALID_ARGUMENT, "rope_vjp: ", "dout", "NULL");
}

static void scalars(void)
{
    smelt_stream stream = SMELT_STREAM_INIT;
    smelt_rope_options o = good();
    INVALID(smelt_rope(out, x, NULL, NULL), "base", "none");
    WITH(base, NAN, INVALID, "base", "none");
    WITH(dims, -2, INVALID, "dims", "-2");
    WITH(dims, 7, INVALID, "dims", "even", "7");
    WITH(dims, 10, INVALID, "dims", "8", "10");
    WITH(sequence_axis, 0, INVALID, "sequence_axis", "0");
    WITH(sequence_axis, 3, INVALID, "sequence_axis", "3");
    WITH(sequence_axis, -1, INVALID, "sequence_axis", "-1");
    WITH(sequence_axis, -4, INVALID, "sequence_axis", "-4");
    WITH(sequence_axis, INT32_MIN, INVALID, "sequence_axis");
    WITH(struct_size, 4, INVALID, "options.struct_size", "4");
    WITH(struct_size, 100000, INVALID, "options.struct_size", "100000");
    stream.num_threads = -3;
    INVALID(smelt_rope(out, x, &o, &stream), "num_threads", "-3");
}

static void frequencies(void)
{
    WITH(freqs, unit_tensor(SMELT_F32, 1, 4), INVALID, "base", "freqs");
    WITH(inverse_freqs, unit_tensor(SMELT_F32, 1, 4), INVALID, "base", "inverse_freqs");
    smelt_rope_options o = good();
    o.base = NAN, o.freqs = unit_tensor(SMELT_F32, 1, 4), o.inverse_freqs = unit_tensor(SMELT_F32, 1, 4);
    INVALID(smelt_rope(out, x, &o, NULL), "freqs, inverse_freqs");
    o.freqs = NULL, o.inverse_freqs = unit_tensor(SMELT_F32, 1, 7);
    INVALID(smelt_rope(out, x, &o, NULL), "inverse_freqs", "(4,)", "(7,)");
    o.inverse_freqs = unit_tensor(SMELT_F32, 2, 1, 4);
    INVALID(smelt_rope(out, x, &o, NULL), "inverse_freqs", "(1, 4)");
    o.inverse_freqs = unit_tensor(SMELT_I32, 1, 4);
    UNSUPPORTED(smelt_rope(out, x, &o, NULL), "inverse_freqs", "int32");
    o.inverse_freqs = NULL, o.freqs = unit_tensor(SMELT_F64, 1, 4);
    UNSUPPORTED(smelt_rope(out, x, &o, NULL), "freqs", "float64");
}

static void positions(void)
{
    WITH(offsets, unit_tensor(SMELT_I32, 1, 3), INVALID, "offsets", "(2,)", "(3,)");
    WITH(offsets, unit_tensor(SMELT_I32, 2, 2, 1), INVALID, "offsets", "(2, 1)");
    WITH(offsets, unit_tensor(SMELT_F32, 1, 2), UNSUPPORTED, "offsets", "float32");
    WITH(offsets, unit_tensor(SMELT_BOOL, 1, 2), UNSUPPORTED, "offsets", "bool");
    WITH(positions, unit_tensor(SMELT_I32, 1, 4), INVALID, "positions", "(5,)", "(4,)");
    WITH(positions, unit_tensor(SMELT_I32, 2, 1, 5), INVALID, "positions", "(2, 5)", "(1, 5)");
    WITH(positions, unit_tensor(SMELT_I32, 3, 1, 2, 5), INVALID, "positions", "rank");
    WITH(positions, unit_tensor(SMELT_I32, 0, 0), INVALID, "positions", "rank");
    WITH(positions, unit_tensor(SMELT_F16, 1, 5), UNSUPPORTED, "positions", "float16");
    smelt_rope_options o = good();
    o.offset = 1, o.offsets = unit_tensor(SMELT_I32, 1, 2);
    INVALID(smelt_rope(out, x, &o, NULL), "offset", "offset, offsets");
    o.offset = 0, o.positions = unit_tensor(SMELT_I32, 1, 5);
    INVALID(smelt_rope(out, x, &o, NULL), "offset", "offsets, positions");
    DLTensor *inside = unit_twin(out); /* positions that the output would overwrite */
    inside->dtype = smelt_dl_type(SMELT_I32), inside->ndim = 1, inside->shape[0] = 5, inside->strides[0] = 1;
    WITH(positions, inside, INVALID, "out", "positions");
}

int main(void)
{
    x = unit_tensor(SMELT_F32, 4, 2, 3, 5, 8), out = unit_output(SMELT_F32, 4, 2, 3, 5, 8);
    tensors();
    scalars();
    frequencies();
    positions();
    smelt_rope_options o = good();
    UNIT_OK(
        smelt_rope(unit_output(SMELT_F32, 4, 2, 3, 0, 8), unit_tensor(SMELT_F32, 4, 2, 3, 0, 8), &o, NULL));
    o.offsets = unit_tensor(SMELT_I64, 1, 0);
    UNIT_OK(smelt_rope(unit_output(SMELT_F32, 3, 0, 3, 8), unit_tensor(SMELT_F32, 3, 0, 3, 8), &o, NULL));
    return unit_end();
}
