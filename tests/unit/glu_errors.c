/* SPDX-License-Identifier: Apache-2.0 */
/* Wrong calls of glu. */
#include "unit.h"

static DLTensor *out, *gate, *up;
static smelt_status call(const DLTensor *g, const DLTensor *u, DLTensor *o)
{
    return smelt_glu(o, g, u, SMELT_SILU, NULL);
}
#define INVALID(call, ...)     UNIT_ERROR(call, SMELT_INVALID_ARGUMENT, "glu: ", __VA_ARGS__)
#define UNSUPPORTED(call, ...) UNIT_ERROR(call, SMELT_UNSUPPORTED, "glu: ", __VA_ARGS__)

static void descriptors(void)
{
    DLTensor *bad = unit_twin(gate);
    INVALID(call(NULL, up, out), "gate", "NULL");
    INVALID(call(gate, NULL, out), "up", "NULL");
    INVALID(call(gate, up, NULL), "out", "NULL");
    bad->data = NULL;
    INVALID(call(bad, up, out), "gate", "data", "NULL");
    bad->data = (char *)gate->data + 2;
    INVALID(call(bad, up, out), "gate", "aligned to 4");
    *bad = *gate;
    bad->ndim = -1;
    INVALID(call(bad, up, out), "gate", "rank", "-1");
    bad->ndim = 33;
    INVALID(call(bad, up, out), "gate", "rank", "33");
    *bad = *gate;
    bad->shape = NULL;
    INVALID(call(bad, up, out), "gate", "shape");
    bad = unit_twin(gate);
    bad->shape[0] = -4;
    INVALID(call(bad, up, out), "gate", "-4");
    bad->shape[0] = INT64_MAX / 2;
    INVALID(call(bad, up, out), "gate", "2^63");
    bad = unit_twin(gate);
    bad->strides[0] = INT64_MAX / 4;
    INVALID(call(bad, up, out), "gate", "address space");
    bad = unit_twin(gate);
    bad->device.device_type = kDLMetal;
    UNSUPPORTED(call(bad, up, out), "gate", "device");
}

static void dtypes_and_shapes(void)
{
    UNSUPPORTED(call(unit_tensor(SMELT_F64, 2, 4, 8), up, out), "gate", "float64");
    UNSUPPORTED(call(unit_tensor(SMELT_I32, 2, 4, 8), up, out), "gate", "int32");
    DLTensor *lanes = unit_twin(gate);
    lanes->dtype.lanes = 4;
    UNSUPPORTED(call(lanes, up, out), "gate", "lanes 4");
    INVALID(call(gate, unit_tensor(SMELT_F16, 2, 4, 8), out), "up", "float32", "float16");
    INVALID(call(gate, up, unit_output(SMELT_BF16, 2, 4, 8)), "out", "float32", "bfloat16");
    INVALID(call(gate, unit_tensor(SMELT_F32, 2, 4, 7), out), "up", "(4, 8)", "(4, 7)");
    INVALID(call(gate, unit_tensor(SMELT_F32, 1, 32), out), "up", "(32,)");
    INVALID(call(gate, up, unit_output(SMELT_F32, 2, 8, 4)), "out", "(8, 4)");
}

static void overlaps(void)
{
    DLTensor *o = unit_twin(out), *g = unit_twin(gate);
    o->strides[0] = 4;
    INVALID(call(gate, up, o), "out", "share memory");
    o->strides[0] = 0;
    INVALID(call(gate, up, o), "out", "share memory");
    o = unit_twin(gate);
    o->shape[0] = g->shape[0] = 3;
    o->data = (float *)gate->data + 8;
    DLTensor *u = unit_twin(up);
    u->shape[0] = 3;
    INVALID(smelt_glu(o, g, u, SMELT_SILU, NULL), "out", "gate");
}

static void options(void)
{
    smelt_stream stream = SMELT_STREAM_INIT;
    INVALID(smelt_glu(out, gate, up, (smelt_activation)3, NULL), "activation", "3");
    INVALID(smelt_glu(out, gate, up, (smelt_activation)-1, NULL), "activation", "-1");
    stream.num_threads = -1;
    INVALID(smelt_glu(out, gate, up, SMELT_SILU, &stream), "num_threads", "-1");
    stream = (smelt_stream)SMELT_STREAM_INIT;
    stream.struct_size = 8;
    INVALID(smelt_glu(out, gate, up, SMELT_SILU, &stream), "struct_size", "8");
}

int main(void)
{
    gate = unit_tensor(SMELT_F32, 2, 4, 8), up = unit_tensor(SMELT_F32, 2, 4, 8),
    out = unit_output(SMELT_F32, 2, 4, 8);
    descriptors();
    dtypes_and_shapes();
    overlaps();
    options();
    UNIT_OK(smelt_glu(unit_output(SMELT_F32, 2, 0, 8), unit_tensor(SMELT_F32, 2, 0, 8),
                      unit_tensor(SMELT_F32, 2, 0, 8), SMELT_SILU, NULL));
    return unit_end();
}
