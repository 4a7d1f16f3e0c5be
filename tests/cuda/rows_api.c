/* SPDX-License-Identifier: Apache-2.0 */
/* The memory-bound operations on CUDA beside their values: the errors of wrong memory and devices, streams
 * and devices side by side, and more than 2^32 elements. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <smelt/smelt.h>

#include "capture.h"

static int failures;

static void expect(int condition, const char *what)
{
    if (condition) return;
    failures++;
    printf("FAILED %s (%s)\n", what, smelt_last_error());
}

static DLTensor matrix(void *data, int64_t *shape, int device)
{
    return (DLTensor){
        .data = data, .device = {kDLCUDA, device}, .ndim = 2, .dtype = {kDLBfloat, 16, 1}, .shape = shape};
}

/* Every operation refuses memory of the host that claims to be the card's, and devices that are not there. */
static void check_memory(void)
{
    int64_t shape[] = {4, 64}, heads[] = {1, 1, 4, 64}, chunks[] = {1, 1, 1, 4, 64}, lengths[] = {1, 1, 1, 4};
    uint16_t host[256] = {0};
    void *memory = device_alloc(1 << 16);
    DLTensor x = matrix(memory, shape, 0), out = matrix((char *)memory + 4096, shape, 0), wrong = x,
             nowhere = out;
    wrong.data = host, nowhere.device.device_id = 63;
    const smelt_status bad = SMELT_INVALID_ARGUMENT;
    expect(smelt_rms_norm(&out, &wrong, NULL, NULL, NULL) == bad, "rms_norm: a host pointer");
    expect(strstr(smelt_last_error(), "x:") != NULL, "the sentence names the argument");
    expect(smelt_layer_norm(&wrong, &x, NULL, NULL, NULL, NULL) == bad, "layer_norm: a host pointer");
    expect(smelt_norm_add(&out, &wrong, &x, NULL, NULL, NULL, NULL) == bad, "norm_add: a host pointer");
    expect(smelt_residual_norm(&out, NULL, &x, &wrong, NULL, NULL, NULL, NULL) == bad,
           "residual_norm: a host pointer");
    expect(smelt_glu(&out, &x, &wrong, SMELT_SILU, NULL) == bad, "glu: a host pointer");
    smelt_rope_options rope = SMELT_ROPE_OPTIONS_INIT;
    rope.base = 1e4f;
    DLTensor q = x, rotated = wrong;
    q.ndim = rotated.ndim = 4, q.shape = rotated.shape = heads;
    expect(smelt_rope(&rotated, &q, &rope, NULL) == bad, "rope: a host pointer");
    DLTensor outs = wrong, lses = x, merged = out;
    outs.ndim = 5, outs.shape = chunks, lses.ndim = 4, lses.shape = lengths,
    lses.dtype = (DLDataType){kDLFloat, 32, 1};
    merged.ndim = 4, merged.shape = heads;
    expect(smelt_sdpa_merge(&merged, NULL, &outs, &lses, NULL) == bad, "sdpa_merge: a host pointer");
    DLTensor logits = wrong, ids = out, weights = x;
    logits.dtype = weights.dtype = (DLDataType){kDLFloat, 32, 1}, ids.dtype = (DLDataType){kDLInt, 32, 1};
    int64_t chosen[] = {4, 2};
    weights.shape = ids.shape = chosen;
    expect(smelt_moe_routing(&ids, &weights, &logits, NULL, NULL, NULL) == bad,
           "moe_routing: a host pointer");
    expect(smelt_rms_norm(&nowhere, &x, NULL, NULL, NULL) == bad, "two devices in one call");
    x.device.device_id = 63;
    expect(smelt_rms_norm(&nowhere, &x, NULL, NULL, NULL) != SMELT_OK, "a device that is not there");
    device_free(memory);
}

/* out = rms_norm(ones) is 1; what `out` holds of that. */
static int is_ones(const DLTensor *out, int64_t first, int64_t count)
{
    uint16_t *copy = malloc((size_t)count * 2);
    device_download(copy, (char *)out->data + 2 * first, (size_t)count * 2);
    int right = 1;
    for (int64_t i = 0; i < count; i++) right &= fabsf(float_from_bits(copy[i], 1) - 1) < 0.01f;
    free(copy);
    return right;
}

static DLTensor filled(float value, int64_t *shape, int device)
{
    const int64_t count = shape[0] * shape[1];
    uint16_t *host = malloc((size_t)count * 2);
    for (int64_t i = 0; i < count; i++) host[i] = bits_from_float(value, 1);
    DLTensor tensor = matrix(device_alloc((size_t)count * 2), shape, device);
    device_upload(tensor.data, host, (size_t)count * 2);
    free(host);
    return tensor;
}

/* What is equal has no distance from its mean, and no rounding may make one: the scale is 1 / sqrt(eps). */
static void check_equal_rows(void)
{
    int64_t shape[] = {300, 1024};
    const size_t count = 300 * 1024;
    uint16_t *copy = malloc(count * 2);
    DLTensor x = filled(3, shape, 0), out = matrix(device_alloc(count * 2), shape, 0);
    device_fill(out.data, 0xFF, count * 2);
    expect(smelt_layer_norm(&out, &x, NULL, NULL, NULL, NULL) == SMELT_OK, "layer_norm of equal values");
    device_wait();
    device_download(copy, out.data, count * 2);
    int right = 1;
    for (size_t i = 0; i < count; i++) right &= (copy[i] & 0x7FFF) == 0;
    expect(right, "layer_norm of equal values is 0");
    free(copy);
    device_free(x.data);
    device_free(out.data);
}

static void check_streams(void)
{
    enum { STREAMS = 4 };
    int64_t shape[] = {512, 1024};
    DLTensor x = filled(1, shape, 0), out[STREAMS];
    for (int i = 0; i < STREAMS; i++) {
        out[i] = matrix(device_alloc(512 * 1024 * 2), shape, 0);
        device_fill(out[i].data, 0xFF, 512 * 1024 * 2);
    }
    device_wait();
    for (int i = 0; i < STREAMS; i++) {
        smelt_stream run = SMELT_STREAM_INIT;
        run.cuda_stream = capture_stream();
        expect(smelt_rms_norm(&out[i], &x, NULL, NULL, &run) == SMELT_OK, "a call on a stream");
    }
    device_wait();
    for (int i = 0; i < STREAMS; i++) {
        expect(is_ones(&out[i], 0, 512 * 1024), "streams side by side");
        device_free(out[i].data);
    }
    device_free(x.data);
}

/* A call goes to the device of its tensors, whatever context is current, and leaves that as it was. */
static void check_devices(void)
{
    int64_t shape[] = {64, 256};
    if (device_count() < 2) return;
    device_use(1);
    DLTensor x = filled(1, shape, 1), out = matrix(device_alloc(64 * 256 * 2), shape, 1);
    device_use(0);
    expect(smelt_rms_norm(&out, &x, NULL, NULL, NULL) == SMELT_OK, "a call on another device");
    CUdevice current = -1;
    device_check(smelt_cuda_driver()->CtxGetDevice(&current), "device");
    expect(current == 0, "the caller's context");
    DLTensor here = x;
    here.device.device_id = 0;
    out.device.device_id = 0;
    expect(smelt_rms_norm(&out, &here, NULL, NULL, NULL) == SMELT_INVALID_ARGUMENT,
           "memory of another device");
    device_use(1);
    device_wait();
    expect(is_ones(&out, 0, 64 * 256), "another device");
    device_use(0);
}

/* (2^20 + 8) x 4,096: the last rows lie beyond 2^32 elements. */
static void check_large(void)
{
    int64_t shape[] = {(1 << 20) + 8, 4096}, last[] = {8, 4096};
    const int64_t before = ((int64_t)1 << 20) * 4096;
    const size_t bytes = (size_t)(shape[0] * shape[1]) * 2;
    CUdeviceptr memory[2];
    for (int i = 0; i < 2; i++)
        if (smelt_cuda_driver()->MemAlloc(&memory[i], bytes)) return; /* a smaller card */
    DLTensor x = matrix((void *)(uintptr_t)memory[0], shape, 0),
             out = matrix((void *)(uintptr_t)memory[1], shape, 0);
    DLTensor end = filled(1, last, 0);
    device_fill(x.data, 0, bytes);
    device_fill(out.data, 0xFF, bytes);
    device_check(smelt_cuda_driver()->MemcpyDtoDAsync(memory[0] + 2 * (CUdeviceptr)before,
                                                      (CUdeviceptr)(uintptr_t)end.data, 8 * 4096 * 2, NULL),
                 "copy");
    expect(smelt_rms_norm(&out, &x, NULL, NULL, NULL) == SMELT_OK, "more than 2^32 elements");
    device_wait();
    expect(is_ones(&out, before, 8 * 4096), "the last rows of rms_norm");
    device_fill(out.data, 0xFF, bytes);
    expect(smelt_glu(&out, &x, &x, SMELT_GELU, NULL) == SMELT_OK, "more than 2^32 elements");
    device_wait();
    uint16_t word = 0;
    device_download(&word, (char *)out.data + 2 * (before + 8 * 4096 - 1), 2);
    expect(fabsf(float_from_bits(word, 1) - 0.8413f) < 0.01f, "the last element of glu");
    for (int i = 0; i < 2; i++) device_free((void *)(uintptr_t)memory[i]);
    device_free(end.data);
}

int main(void)
{
    device_start();
    check_memory();
    check_equal_rows();
    check_streams();
    check_devices();
    check_large();
    printf("rows_api: %d failed\n", failures);
    return failures != 0;
}
