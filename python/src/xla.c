/* SPDX-License-Identifier: Apache-2.0 */
/* The foreign-function interface of XLA. A program that JAX compiled calls these with row-major buffers, and
 * with four attributes: `inputs` and `outputs` say by their bits which of the operation's tensors are there,
 * `floats` and `integers` hold its options in the order that read_* and the calls below take them. No Python
 * runs here. */
#include "xla.h"

#include <math.h>
#include <string.h>

#include "../../third_party/xla/ffi/c_api.h"

enum { MOST_TENSORS = 16 };

struct frame {
    XLA_FFI_CallFrame *call;
    smelt_stream stream;
    const int64_t *integers;
    const float *floats;
    int integer_count, float_count;
    const DLTensor *in[MOST_TENSORS];
    DLTensor *out[MOST_TENSORS];
    DLTensor inputs[MOST_TENSORS], outputs[MOST_TENSORS];
};
typedef smelt_status operation(const struct frame *f);

static XLA_FFI_Error *fail(XLA_FFI_CallFrame *call, XLA_FFI_Error_Code code, const char *message)
{
    XLA_FFI_Error_Create_Args args = {XLA_FFI_Error_Create_Args_STRUCT_SIZE, NULL, message, code};
    return call->api->XLA_FFI_Error_Create(&args);
}

static bool type_of(XLA_FFI_DataType type, DLDataType *found)
{
    static const struct {
        XLA_FFI_DataType xla;
        DLDataType type;
    } types[] = {
        {XLA_FFI_DataType_F32, {kDLFloat, 32, 1}},   {XLA_FFI_DataType_F16, {kDLFloat, 16, 1}},
        {XLA_FFI_DataType_BF16, {kDLBfloat, 16, 1}}, {XLA_FFI_DataType_PRED, {kDLBool, 8, 1}},
        {XLA_FFI_DataType_S8, {kDLInt, 8, 1}},       {XLA_FFI_DataType_U8, {kDLUInt, 8, 1}},
        {XLA_FFI_DataType_S16, {kDLInt, 16, 1}},     {XLA_FFI_DataType_U16, {kDLUInt, 16, 1}},
        {XLA_FFI_DataType_S32, {kDLInt, 32, 1}},     {XLA_FFI_DataType_U32, {kDLUInt, 32, 1}},
        {XLA_FFI_DataType_S64, {kDLInt, 64, 1}},     {XLA_FFI_DataType_U64, {kDLUInt, 64, 1}},
    };
    for (size_t i = 0; i < sizeof types / sizeof *types; i++)
        if (types[i].xla == type) return *found = types[i].type, true;
    return false;
}

/* Deals the buffers out to the places whose bits are set; false where they do not fit. */
static bool deal(DLTensor *tensors, DLTensor **places, uint64_t present, int64_t count, void **buffers,
                 DLDevice device)
{
    int64_t next = 0;
    for (int i = 0; i < MOST_TENSORS; i++) {
        places[i] = NULL;
        if (!(present >> i & 1)) continue;
        if (next >= count) return false;
        const XLA_FFI_Buffer *buffer = buffers[next++];
        tensors[i] = (DLTensor){
            .data = buffer->data, .device = device, .ndim = (int32_t)buffer->rank, .shape = buffer->dims};
        if (!type_of(buffer->dtype, &tensors[i].dtype)) return false;
        places[i] = &tensors[i];
    }
    return next == count;
}

static const void *attribute(const XLA_FFI_CallFrame *call, const char *name, XLA_FFI_AttrType type)
{
    for (int64_t i = 0; i < call->attrs.size; i++) {
        const XLA_FFI_ByteSpan *span = call->attrs.names[i];
        if (span->len == strlen(name) && !memcmp(span->ptr, name, span->len))
            return call->attrs.types[i] == type ? call->attrs.attrs[i] : NULL;
    }
    return NULL;
}

static bool read_bits(const XLA_FFI_CallFrame *call, const char *name, uint64_t *bits)
{
    const XLA_FFI_Scalar *scalar = attribute(call, name, XLA_FFI_AttrType_SCALAR);
    if (!scalar || scalar->dtype != XLA_FFI_DataType_S64) return false;
    *bits = (uint64_t) * (const int64_t *)scalar->value;
    return true;
}

static bool read_frame(struct frame *f, DLDevice device)
{
    const XLA_FFI_CallFrame *call = f->call;
    const XLA_FFI_Array *integers = attribute(call, "integers", XLA_FFI_AttrType_ARRAY);
    const XLA_FFI_Array *floats = attribute(call, "floats", XLA_FFI_AttrType_ARRAY);
    uint64_t inputs, outputs;
    if (!integers || !floats || integers->dtype != XLA_FFI_DataType_S64 ||
        floats->dtype != XLA_FFI_DataType_F32)
        return false;
    f->integers = integers->data, f->integer_count = (int)integers->size;
    f->floats = floats->data, f->float_count = (int)floats->size;
    DLTensor *in[MOST_TENSORS];
    bool read = read_bits(call, "inputs", &inputs) && read_bits(call, "outputs", &outputs) &&
                deal(f->inputs, in, inputs, call->args.size, call->args.args, device) &&
                deal(f->outputs, f->out, outputs, call->rets.size, call->rets.rets, device);
    if (read) memcpy(f->in, in, sizeof in);
    return read;
}

/* The stream and the device's number: of the interface's CUDA side. */
static XLA_FFI_Error *read_device(struct frame *f, DLDevice *device)
{
    const XLA_FFI_Api *api = f->call->api;
    XLA_FFI_Stream_Get_Args stream = {XLA_FFI_Stream_Get_Args_STRUCT_SIZE, NULL, f->call->ctx, NULL};
    XLA_FFI_Error *error = api->XLA_FFI_Stream_Get(&stream);
    if (error) return error;
    f->stream.cuda_stream = stream.stream;
    if (api->struct_size < XLA_FFI_STRUCT_SIZE(XLA_FFI_Api, XLA_FFI_DeviceOrdinal_Get))
        return fail(f->call, XLA_FFI_Error_Code_UNIMPLEMENTED, "smelt: expected a newer jaxlib");
    XLA_FFI_DeviceOrdinal_Get_Args ordinal = {XLA_FFI_DeviceOrdinal_Get_Args_STRUCT_SIZE, NULL, f->call->ctx,
                                              0};
    error = api->XLA_FFI_DeviceOrdinal_Get(&ordinal);
    device->device_id = ordinal.device_ordinal;
    return error;
}

static XLA_FFI_Error *status_error(XLA_FFI_CallFrame *call, smelt_status status)
{
    switch (status) {
    case SMELT_OK: return NULL;
    case SMELT_INVALID_ARGUMENT: return fail(call, XLA_FFI_Error_Code_INVALID_ARGUMENT, smelt_last_error());
    case SMELT_UNSUPPORTED: return fail(call, XLA_FFI_Error_Code_UNIMPLEMENTED, smelt_last_error());
    case SMELT_OUT_OF_MEMORY: return fail(call, XLA_FFI_Error_Code_RESOURCE_EXHAUSTED, smelt_last_error());
    default: return fail(call, XLA_FFI_Error_Code_INTERNAL, smelt_last_error());
    }
}

/* XLA asks every handler once which version it was made for; what is used here has not changed since 0.0. */
static XLA_FFI_Error *tell_version(XLA_FFI_CallFrame *call)
{
    XLA_FFI_Metadata *metadata = ((XLA_FFI_Metadata_Extension *)call->extension_start)->metadata;
    int minor = call->api->api_version.minor_version;
    metadata->api_version = (XLA_FFI_Api_Version){XLA_FFI_Api_Version_STRUCT_SIZE, NULL, XLA_FFI_API_MAJOR,
                                                  minor < XLA_FFI_API_MINOR ? minor : XLA_FFI_API_MINOR};
    metadata->traits = 0;
    return NULL;
}

static XLA_FFI_Error *handle(XLA_FFI_CallFrame *call, operation *run, int floats, int integers,
                             DLDeviceType platform)
{
    if (call->extension_start && call->extension_start->type == XLA_FFI_Extension_Metadata)
        return tell_version(call);
    if (call->stage != XLA_FFI_ExecutionStage_EXECUTE) return NULL;
    struct frame f = {.call = call, .stream = SMELT_STREAM_INIT};
    DLDevice device = {platform, 0};
    XLA_FFI_Error *error = platform == kDLCUDA ? read_device(&f, &device) : NULL;
    if (error) return error;
    if (!read_frame(&f, device) || f.float_count < floats || f.integer_count < integers)
        return fail(call, XLA_FFI_Error_Code_INVALID_ARGUMENT,
                    "smelt: expected the buffers and attributes that smelt.jax gives");
    return status_error(call, run(&f));
}

static smelt_norm_options norm_options(const struct frame *f)
{
    smelt_norm_options options = SMELT_NORM_OPTIONS_INIT;
    options.eps = f->floats[0];
    options.weight_offset = f->floats[1];
    options.round_once = (int32_t)f->integers[0];
    return options;
}

/* floats base, scale, cos_sin_scale; integers dims, traditional, axis, offset; tables from input 1 on */
static smelt_rope_options rope_options(const struct frame *f)
{
    smelt_rope_options options = SMELT_ROPE_OPTIONS_INIT;
    options.base = f->floats[0], options.scale = f->floats[1], options.cos_sin_scale = f->floats[2];
    options.dims = (int32_t)f->integers[0], options.traditional = (int32_t)f->integers[1];
    options.sequence_axis = (int32_t)f->integers[2], options.offset = f->integers[3];
    options.offsets = f->in[1], options.positions = f->in[2];
    options.freqs = f->in[3], options.inverse_freqs = f->in[4];
    return options;
}

/* floats scale, softcap; integers causal, kv_offset, window_left, window_right; tensors from input 3 on */
static smelt_sdpa_options sdpa_options(const struct frame *f)
{
    smelt_sdpa_options options = SMELT_SDPA_OPTIONS_INIT;
    options.scale = f->floats[0], options.softcap = f->floats[1];
    options.causal = (int32_t)f->integers[0], options.kv_offset = f->integers[1];
    options.window_left = f->integers[2], options.window_right = f->integers[3];
    options.mask = f->in[3], options.key_mask = f->in[4], options.sinks = f->in[5];
    options.kv_lengths = f->in[6], options.kv_offsets = f->in[7];
    return options;
}

#define WITH(kind) const smelt_##kind##_options o = kind##_options(f)
static smelt_status rms_norm(const struct frame *f)
{
    WITH(norm);
    return smelt_rms_norm(f->out[0], f->in[0], f->in[1], &o, &f->stream);
}
static smelt_status rms_norm_vjp(const struct frame *f)
{
    WITH(norm);
    return smelt_rms_norm_vjp(f->out[0], f->out[1], f->in[0], f->in[1], f->in[2], &o, &f->stream);
}
static smelt_status layer_norm(const struct frame *f)
{
    WITH(norm);
    return smelt_layer_norm(f->out[0], f->in[0], f->in[1], f->in[2], &o, &f->stream);
}
static smelt_status layer_norm_vjp(const struct frame *f) /* the bias, input 2, is not read */
{
    WITH(norm);
    return smelt_layer_norm_vjp(f->out[0], f->out[1], f->out[2], f->in[0], f->in[1], f->in[3], &o,
                                &f->stream);
}
static smelt_status norm_add(const struct frame *f)
{
    WITH(norm);
    return smelt_norm_add(f->out[0], f->in[0], f->in[1], f->in[2], f->in[3], &o, &f->stream);
}
static smelt_status norm_add_vjp(const struct frame *f)
{
    WITH(norm);
    return smelt_norm_add_vjp(f->out[0], f->out[1], f->out[2], f->out[3], f->in[0], f->in[1], f->in[2],
                              f->in[3], f->in[4], &o, &f->stream);
}
static smelt_status residual_norm(const struct frame *f)
{
    WITH(norm);
    return smelt_residual_norm(f->out[0], f->out[1], f->in[0], f->in[1], f->in[2], f->in[3], &o, &f->stream);
}
static smelt_status residual_norm_vjp(const struct frame *f)
{
    WITH(norm);
    return smelt_residual_norm_vjp(f->out[0], f->out[1], f->out[2], f->out[3], f->in[0], f->in[1], f->in[2],
                                   f->in[3], f->in[4], f->in[5], &o, &f->stream);
}
static smelt_status rope(const struct frame *f)
{
    WITH(rope);
    return smelt_rope(f->out[0], f->in[0], &o, &f->stream);
}
static smelt_status rope_vjp(const struct frame *f)
{
    WITH(rope);
    return smelt_rope_vjp(f->out[0], f->in[0], &o, &f->stream);
}
static smelt_status sdpa(const struct frame *f)
{
    WITH(sdpa);
    return smelt_sdpa(f->out[0], f->out[1], f->in[0], f->in[1], f->in[2], &o, &f->stream);
}
static smelt_status sdpa_vjp(const struct frame *f) /* out, lse, dout, dlse are inputs 8 to 11 */
{
    WITH(sdpa);
    return smelt_sdpa_vjp(f->out[0], f->out[1], f->out[2], f->out[3], f->out[4], f->in[0], f->in[1], f->in[2],
                          f->in[8], f->in[9], f->in[10], f->in[11], &o, &f->stream);
}
static smelt_status sdpa_merge(const struct frame *f)
{
    return smelt_sdpa_merge(f->out[0], f->out[1], f->in[0], f->in[1], &f->stream);
}
static smelt_status glu(const struct frame *f)
{
    return smelt_glu(f->out[0], f->in[0], f->in[1], (smelt_activation)f->integers[0], &f->stream);
}
static smelt_status glu_vjp(const struct frame *f)
{
    return smelt_glu_vjp(f->out[0], f->out[1], f->in[0], f->in[1], f->in[2], (smelt_activation)f->integers[0],
                         &f->stream);
}
static smelt_moe_options moe_options(const struct frame *f)
{
    smelt_moe_options options = SMELT_MOE_OPTIONS_INIT;
    options.renormalize = (int32_t)f->integers[0];
    return options;
}
static smelt_status moe_routing(const struct frame *f)
{
    WITH(moe);
    return smelt_moe_routing(f->out[0], f->out[1], f->in[0], f->in[1], &o, &f->stream);
}
static smelt_status moe_routing_vjp(const struct frame *f)
{
    WITH(moe);
    return smelt_moe_routing_vjp(f->out[0], f->out[1], f->in[0], f->in[1], f->in[2], f->in[3], &o,
                                 &f->stream);
}

/* name, how many floats and integers */
#define OPERATIONS(X)                                                                                        \
    X(rms_norm, 2, 1)                                                                                        \
    X(rms_norm_vjp, 2, 1)                                                                                    \
    X(layer_norm, 2, 1)                                                                                      \
    X(layer_norm_vjp, 2, 1)                                                                                  \
    X(norm_add, 2, 1)                                                                                        \
    X(norm_add_vjp, 2, 1)                                                                                    \
    X(residual_norm, 2, 1)                                                                                   \
    X(residual_norm_vjp, 2, 1)                                                                               \
    X(rope, 3, 4)                                                                                            \
    X(rope_vjp, 3, 4)                                                                                        \
    X(sdpa, 2, 4)                                                                                            \
    X(sdpa_vjp, 2, 4)                                                                                        \
    X(sdpa_merge, 0, 0)                                                                                      \
    X(glu, 0, 1)                                                                                             \
    X(glu_vjp, 0, 1)                                                                                         \
    X(moe_routing, 0, 1)                                                                                     \
    X(moe_routing_vjp, 0, 1)

#define HANDLERS(name, floats, integers)                                                                     \
    static XLA_FFI_Error *cpu_##name(XLA_FFI_CallFrame *call)                                                \
    {                                                                                                        \
        return handle(call, name, floats, integers, kDLCPU);                                                 \
    }                                                                                                        \
    static XLA_FFI_Error *cuda_##name(XLA_FFI_CallFrame *call)                                               \
    {                                                                                                        \
        return handle(call, name, floats, integers, kDLCUDA);                                                \
    }
OPERATIONS(HANDLERS)

static bool add(PyObject *targets, const char *name, XLA_FFI_Handler *handler)
{
    PyObject *capsule = PyCapsule_New((void *)handler, "xla._CUSTOM_CALL_TARGET", NULL);
    bool added = capsule && PyDict_SetItemString(targets, name, capsule) == 0;
    Py_XDECREF(capsule);
    return added;
}

PyObject *py_xla_targets(PyObject *module, PyObject *none)
{
    PyObject *cpu = PyDict_New(), *cuda = PyDict_New();
    bool made = cpu && cuda;
    (void)module, (void)none;
#define ADD(name, floats, integers)                                                                          \
    made = made && add(cpu, "smelt_" #name, cpu_##name) && add(cuda, "smelt_" #name, cuda_##name);
    OPERATIONS(ADD)
    PyObject *all = made ? Py_BuildValue("{sOsO}", "cpu", cpu, "CUDA", cuda) : NULL;
    Py_XDECREF(cpu);
    Py_XDECREF(cuda);
    return all;
}
