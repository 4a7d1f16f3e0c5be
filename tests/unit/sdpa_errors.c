/* SPDX-License-Identifier: Apache-2.0 */
/* Wrong calls of sdpa and sdpa_workspace_size. */
#include <math.h>

#include "unit.h"

static DLTensor *out, *lse, *q, *k, *v;
static smelt_sdpa_options options;
static smelt_status with(void) { return smelt_sdpa(out, lse, q, k, v, &options, NULL); }

#define INVALID(call, ...)     UNIT_ERROR(call, SMELT_INVALID_ARGUMENT, "sdpa: ", __VA_ARGS__)
#define UNSUPPORTED(call, ...) UNIT_ERROR(call, SMELT_UNSUPPORTED, "sdpa: ", __VA_ARGS__)
/* One field of fresh options. */
#define OPTION(field, value, ...)                                                                            \
    do {                                                                                                     \
        options = (smelt_sdpa_options)SMELT_SDPA_OPTIONS_INIT;                                               \
        options.field = (value);                                                                             \
        INVALID(with(), "options." #field, __VA_ARGS__);                                                     \
    } while (0)

static void tensors(void)
{
    INVALID(smelt_sdpa(NULL, lse, q, k, v, NULL, NULL), "out", "NULL");
    INVALID(smelt_sdpa(out, lse, NULL, k, v, NULL, NULL), "q", "NULL");
    INVALID(smelt_sdpa(out, lse, q, NULL, v, NULL, NULL), "k", "NULL");
    INVALID(smelt_sdpa(out, lse, q, k, NULL, NULL, NULL), "v", "NULL");
    DLTensor *bad = unit_twin(k);
    bad->data = (char *)k->data + 1;
    INVALID(smelt_sdpa(out, lse, q, bad, v, NULL, NULL), "k", "aligned");
    bad = unit_twin(v);
    bad->data = NULL;
    INVALID(smelt_sdpa(out, lse, q, k, bad, NULL, NULL), "v", "NULL");
    bad = unit_twin(q);
    bad->device.device_type = kDLMetal;
    UNSUPPORTED(smelt_sdpa(out, lse, bad, k, v, NULL, NULL), "q", "device");
    bad = unit_twin(k);
    bad->device.device_type = kDLCUDA;
    INVALID(smelt_sdpa(out, lse, q, bad, v, NULL, NULL), "k", "device");
}

static void shapes(void)
{
    INVALID(smelt_sdpa(out, lse, unit_tensor(SMELT_F32, 3, 4, 3, 8), k, v, NULL, NULL), "q", "rank 4", "3");
    INVALID(smelt_sdpa(out, lse, q, unit_tensor(SMELT_F32, 2, 5, 8), v, NULL, NULL), "k", "rank 4", "2");
    INVALID(smelt_sdpa(out, lse, q, k, unit_tensor(SMELT_F32, 5, 1, 2, 2, 5, 6), NULL, NULL), "v", "rank 4");
    INVALID(smelt_sdpa(out, lse, q, unit_tensor(SMELT_F32, 4, 1, 2, 5, 8), v, NULL, NULL), "k",
            "(2, 2, 5, 8)", "(1, 2, 5, 8)");
    INVALID(smelt_sdpa(out, lse, q, unit_tensor(SMELT_F32, 4, 2, 2, 5, 7), v, NULL, NULL), "k",
            "(2, 2, 5, 7)");
    INVALID(smelt_sdpa(out, lse, q, k, unit_tensor(SMELT_F32, 4, 2, 2, 4, 6), NULL, NULL), "v",
            "(2, 2, 5, 6)", "(2, 2, 4, 6)");
    INVALID(smelt_sdpa(out, lse, q, k, unit_tensor(SMELT_F32, 4, 2, 1, 5, 6), NULL, NULL), "v",
            "(2, 1, 5, 6)");
    INVALID(smelt_sdpa(out, lse, q, unit_tensor(SMELT_F32, 4, 2, 3, 5, 8),
                       unit_tensor(SMELT_F32, 4, 2, 3, 5, 6), NULL, NULL),
            "q", "multiple of the 3", "4");
    INVALID(smelt_sdpa(out, lse, q, unit_tensor(SMELT_F32, 4, 2, 0, 5, 8),
                       unit_tensor(SMELT_F32, 4, 2, 0, 5, 6), NULL, NULL),
            "k", "1 head or more", "0");
    INVALID(smelt_sdpa(out, lse, unit_tensor(SMELT_F32, 4, 2, 4, 3, 0), unit_tensor(SMELT_F32, 4, 2, 2, 5, 0),
                       v, NULL, NULL),
            "q", "head size of 1", "0");
    INVALID(smelt_sdpa(unit_output(SMELT_F32, 4, 2, 4, 3, 8), lse, q, k, v, NULL, NULL), "out",
            "(2, 4, 3, 6)", "(2, 4, 3, 8)");
    INVALID(smelt_sdpa(out, unit_output(SMELT_F32, 4, 2, 4, 3, 1), q, k, v, NULL, NULL), "lse", "(2, 4, 3)");
    INVALID(smelt_sdpa(out, unit_output(SMELT_F32, 3, 2, 3, 4), q, k, v, NULL, NULL), "lse", "(2, 3, 4)");
}

static void dtypes(void)
{
    UNSUPPORTED(smelt_sdpa(out, lse, unit_tensor(SMELT_F64, 4, 2, 4, 3, 8), k, v, NULL, NULL), "q",
                "float64");
    UNSUPPORTED(smelt_sdpa(out, lse, q, unit_tensor(SMELT_I32, 4, 2, 2, 5, 8), v, NULL, NULL), "k", "int32");
    UNSUPPORTED(smelt_sdpa(out, unit_output(SMELT_F16, 3, 2, 4, 3), q, k, v, NULL, NULL), "lse", "float32",
                "float16");
    INVALID(smelt_sdpa(unit_output(SMELT_F16, 4, 2, 4, 3, 6), lse, q, k, v, NULL, NULL), "out", "float32",
            "float16");
    DLTensor *half = unit_tensor(SMELT_F16, 4, 2, 4, 3, 8), *brain = unit_tensor(SMELT_BF16, 4, 2, 2, 5, 8);
    INVALID(smelt_sdpa(unit_output(SMELT_F16, 4, 2, 4, 3, 6), NULL, half, brain,
                       unit_tensor(SMELT_F16, 4, 2, 2, 5, 6), NULL, NULL),
            "out", "float32", "float16");
}

static void overlaps(void)
{
    DLTensor *shared = unit_twin(out);
    shared->data = q->data;
    INVALID(smelt_sdpa(shared, lse, q, k, v, NULL, NULL), "out", "shares memory with q");
    shared = unit_twin(out);
    shared->strides[2] = 0;
    INVALID(smelt_sdpa(shared, lse, q, k, v, NULL, NULL), "out", "share memory");
    shared = unit_twin(lse);
    shared->data = out->data;
    INVALID(smelt_sdpa(out, shared, q, k, v, NULL, NULL), "lse", "shares memory");
}

static void values(void)
{
    OPTION(softcap, -1.0f, "-1");
    OPTION(softcap, NAN, "nan");
    OPTION(softcap, INFINITY, "inf");
    OPTION(window_left, -2, "-2");
    OPTION(window_right, INT64_MIN, "-1 (unlimited)");
    options = (smelt_sdpa_options)SMELT_SDPA_OPTIONS_INIT;
    options.struct_size = 12;
    INVALID(with(), "options.struct_size", "12");
    options = (smelt_sdpa_options)SMELT_SDPA_OPTIONS_INIT;
    options.kv_offsets = unit_tensor(SMELT_I32, 1, 2);
    options.kv_offset = 0;
    INVALID(with(), "options.kv_offset", "SMELT_LOWER_RIGHT", "0");
}

static void option_tensors(void)
{
    OPTION(mask, unit_tensor(SMELT_F32, 5, 1, 1, 1, 3, 5), "rank 0 to 4", "5");
    OPTION(mask, unit_tensor(SMELT_F32, 2, 3, 4), "(2, 4, 3, 5)", "(3, 4)");
    OPTION(mask, unit_tensor(SMELT_BOOL, 3, 2, 3, 5), "(2, 3, 5)");
    OPTION(key_mask, unit_tensor(SMELT_BOOL, 2, 1, 5), "(2, 5)", "(1, 5)");
    OPTION(key_mask, unit_tensor(SMELT_U8, 1, 5), "(2, 5)");
    OPTION(sinks, unit_tensor(SMELT_F32, 1, 2), "(4,)", "(2,)");
    OPTION(sinks, unit_tensor(SMELT_F32, 0), "(4,)");
    OPTION(kv_lengths, unit_tensor(SMELT_I32, 1, 3), "(2,)", "(3,)");
    OPTION(kv_offsets, unit_tensor(SMELT_I32, 2, 2, 1), "(2,)");
    DLTensor *lengths = unit_tensor(SMELT_I32, 1, 2);
    ((int32_t *)lengths->data)[1] = 6;
    OPTION(kv_lengths, lengths, "0 to 5", "6", "sequence 1");
    ((int32_t *)lengths->data)[1] = -1;
    OPTION(kv_lengths, lengths, "0 to 5", "-1");
}

#define OPTION_DTYPE(field, tensor, ...)                                                                     \
    do {                                                                                                     \
        options = (smelt_sdpa_options)SMELT_SDPA_OPTIONS_INIT;                                               \
        options.field = (tensor);                                                                            \
        UNSUPPORTED(with(), "options." #field, __VA_ARGS__);                                                 \
    } while (0)

static void option_dtypes(void)
{
    OPTION_DTYPE(mask, unit_tensor(SMELT_I32, 2, 3, 5), "bool", "int32");
    OPTION_DTYPE(mask, unit_tensor(SMELT_U8, 2, 3, 5), "bool", "uint8");
    OPTION_DTYPE(key_mask, unit_tensor(SMELT_F32, 2, 2, 5), "bool", "float32");
    OPTION_DTYPE(sinks, unit_tensor(SMELT_I32, 1, 4), "int32");
    OPTION_DTYPE(kv_lengths, unit_tensor(SMELT_I64, 1, 2), "int32", "int64");
    OPTION_DTYPE(kv_offsets, unit_tensor(SMELT_I64, 1, 2), "int32", "int64");
    DLTensor *half[] = {unit_tensor(SMELT_F16, 4, 2, 4, 3, 8), unit_tensor(SMELT_F16, 4, 2, 2, 5, 8),
                        unit_tensor(SMELT_F16, 4, 2, 2, 5, 6), unit_output(SMELT_F16, 4, 2, 4, 3, 6)};
    options = (smelt_sdpa_options)SMELT_SDPA_OPTIONS_INIT;
    options.mask = unit_tensor(SMELT_F32, 2, 3, 5);
    INVALID(smelt_sdpa(half[3], NULL, half[0], half[1], half[2], &options, NULL), "options.mask", "float16",
            "float32");
    options.mask = unit_tensor(SMELT_BF16, 2, 3, 5);
    INVALID(smelt_sdpa(half[3], NULL, half[0], half[1], half[2], &options, NULL), "options.mask", "bfloat16");
    options.mask = NULL;
    options.sinks = unit_tensor(SMELT_F32, 1, 4);
    INVALID(smelt_sdpa(half[3], NULL, half[0], half[1], half[2], &options, NULL), "options.sinks", "float16");
}

static void workspace(void)
{
    size_t bytes = 77;
    UNIT_ERROR(smelt_sdpa_workspace_size(NULL, out, lse, q, k, v, NULL, NULL), SMELT_INVALID_ARGUMENT,
               "sdpa_workspace_size: ", "bytes", "NULL");
    UNIT_ERROR(smelt_sdpa_workspace_size(&bytes, out, lse, q, v, k, NULL, NULL), SMELT_INVALID_ARGUMENT,
               "sdpa_workspace_size: ", "k");
    UNIT(bytes == 77);
    DLTensor *plan[] = {unit_twin(out), unit_twin(lse), unit_twin(q), unit_twin(k), unit_twin(v)};
    for (int i = 0; i < 5; i++) plan[i]->data = NULL; /* memory need not be there yet */
    UNIT_OK(smelt_sdpa_workspace_size(&bytes, plan[0], plan[1], plan[2], plan[3], plan[4], NULL, NULL));
    smelt_stream stream = SMELT_STREAM_INIT;
    stream.workspace = aligned_alloc(64, 64);
    stream.workspace_size = 1;
    if (bytes > 1) INVALID(smelt_sdpa(out, lse, q, k, v, NULL, &stream), "workspace_size", "got 1");
    free(stream.workspace);
}

int main(void)
{
    q = unit_tensor(SMELT_F32, 4, 2, 4, 3, 8), k = unit_tensor(SMELT_F32, 4, 2, 2, 5, 8);
    v = unit_tensor(SMELT_F32, 4, 2, 2, 5, 6), out = unit_output(SMELT_F32, 4, 2, 4, 3, 6);
    lse = unit_output(SMELT_F32, 3, 2, 4, 3);
    tensors();
    shapes();
    dtypes();
    overlaps();
    values();
    option_tensors();
    option_dtypes();
    workspace();
    return unit_end();
}
