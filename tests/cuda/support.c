/* SPDX-License-Identifier: Apache-2.0 */
/* Device memory, timing, conversions and random numbers for the CUDA tests. */
#include "support.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct smelt_cuda_driver *cuda;

void device_check(CUresult result, const char *what)
{
    if (!result) return;
    const char *name = NULL;
    cuda->GetErrorName(result, &name);
    printf("FAILED %s: %s\n", what, name ? name : "unknown");
    exit(1);
}

void device_start(void)
{
    cuda = smelt_cuda_driver();
    if (!cuda) {
        printf("no NVIDIA driver here: skipped\n");
        exit(77);
    }
    CUdevice device;
    CUcontext context;
    if (cuda->DeviceGet(&device, 0)) {
        printf("no NVIDIA device here: skipped\n");
        exit(77);
    }
    device_check(cuda->DevicePrimaryCtxRetain(&context, device), "context");
    device_check(cuda->CtxSetCurrent(context), "context");
}

void *device_alloc(size_t bytes)
{
    CUdeviceptr memory;
    device_check(cuda->MemAlloc(&memory, bytes ? bytes : 1), "allocation");
    return (void *)(uintptr_t)memory;
}

void device_free(void *memory) { device_check(cuda->MemFree((CUdeviceptr)(uintptr_t)memory), "free"); }

void device_upload(void *device, const void *host, size_t bytes)
{
    if (bytes) device_check(cuda->MemcpyHtoD((CUdeviceptr)(uintptr_t)device, host, bytes), "upload");
}

void device_download(void *host, const void *device, size_t bytes)
{
    if (bytes) device_check(cuda->MemcpyDtoH(host, (CUdeviceptr)(uintptr_t)device, bytes), "download");
}

void device_fill(void *device, unsigned char byte, size_t bytes)
{
    device_check(cuda->MemsetD8Async((CUdeviceptr)(uintptr_t)device, byte, bytes, NULL), "fill");
}

void device_wait(void) { device_check(cuda->CtxSynchronize(), "kernel"); }

static int compare_floats(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

double device_time(void (*call)(void *argument), void *argument, int repeats)
{
    enum { kLimit = 200 };
    float times[kLimit];
    CUevent start, stop;
    device_check(cuda->EventCreate(&start, 0), "event");
    device_check(cuda->EventCreate(&stop, 0), "event");
    if (repeats > kLimit) repeats = kLimit;
    for (int i = 0; i < 3; i++) call(argument);
    for (int i = 0; i < repeats; i++) {
        device_check(cuda->EventRecord(start, NULL), "event");
        call(argument);
        device_check(cuda->EventRecord(stop, NULL), "event");
        device_check(cuda->EventSynchronize(stop), "event");
        device_check(cuda->EventElapsedTime(&times[i], start, stop), "event");
    }
    qsort(times, (size_t)repeats, sizeof(float), compare_floats);
    return times[repeats / 2];
}

static uint32_t float_bits(float value)
{
    uint32_t bits;
    memcpy(&bits, &value, 4);
    return bits;
}

uint16_t bits_from_float(float value, int bfloat)
{
    uint32_t bits = float_bits(value);
    if (bfloat) {
        if (value != value) return 0x7FC0;
        return (uint16_t)((bits + 0x7FFF + (bits >> 16 & 1)) >> 16);
    }
    const uint16_t sign = (uint16_t)(bits >> 16 & 0x8000);
    const float magnitude = fabsf(value);
    if (value != value) return 0x7E00;
    if (magnitude >= 65520.0f) return sign | 0x7C00;
    if (magnitude < 6.103515625e-05f) return sign | (uint16_t)nearbyintf(magnitude * 16777216.0f);
    bits = float_bits(magnitude);
    bits += 0xFFF + (bits >> 13 & 1);
    return sign | (uint16_t)((bits >> 13) - (112 << 10));
}

float float_from_bits(uint16_t bits, int bfloat)
{
    uint32_t word = (uint32_t)bits << 16;
    float value;
    if (!bfloat) {
        const int exponent = bits >> 10 & 31, fraction = bits & 1023;
        const float sign = bits & 0x8000 ? -1.0f : 1.0f;
        if (exponent == 31) return fraction ? NAN : sign * INFINITY;
        if (exponent == 0) return sign * ldexpf((float)fraction, -24);
        return sign * ldexpf((float)(1024 + fraction), exponent - 25);
    }
    memcpy(&value, &word, 4);
    return value;
}

static uint64_t state = 1;

void random_seed(uint64_t seed) { state = seed * 2 + 1; }

static uint32_t next_word(void)
{
    state = state * 6364136223846793005u + 1442695040888963407u;
    uint32_t word = (uint32_t)(state >> 32);
    word ^= word >> 15;
    word *= 0x2C1B3C6Du;
    return word ^ word >> 12;
}

uint32_t random_below(uint32_t limit) { return next_word() % limit; }

float random_normal(void)
{
    const float a = ((float)next_word() + 1.0f) * 2.3283064e-10f, b = (float)next_word() * 2.3283064e-10f;
    return sqrtf(-2.0f * logf(a)) * cosf(6.2831853f * b);
}
