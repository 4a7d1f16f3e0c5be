/* SPDX-License-Identifier: Apache-2.0 */
/* Device code of attention inside the library, and its functions by name. */
#include "image.h"

#include <pthread.h>
#include <stddef.h>

#include "../driver.h"

/* SMELT_SDPA_IMAGES is the folder of the compiled images, set by the build. */
#define SMELT_IMAGE(label, file)                                                                             \
    __asm__(".section .rodata\n.balign 64\n.global smelt_image_" label "\n.hidden smelt_image_" label        \
            "\nsmelt_image_" label ":\n.incbin \"" SMELT_SDPA_IMAGES "/" file "\"\n.byte 0\n.previous\n")

/* X(image, name, file): the images that enum smelt_sdpa_image numbers. */
#define SMELT_IMAGES(X)                                                                                      \
    X(SMELT_SDPA_IMAGE_GENERIC, sdpa_generic, "sdpa_generic.fatbin")                                         \
    X(SMELT_SDPA_IMAGE_MERGE, sdpa_merge, "sdpa_merge.cubin")                                                \
    X(SMELT_SDPA_IMAGE_FLOAT32, sdpa_float32, "sdpa_float32.cubin")                                          \
    X(SMELT_SDPA_IMAGE_VJP, vjp_generic, "vjp_generic.fatbin")                                               \
    X(64, sdpa_64, "sdpa_64.cubin")                                                                          \
    X(96, sdpa_96, "sdpa_96.cubin")                                                                          \
    X(128, sdpa_128, "sdpa_128.cubin")                                                                       \
    X(192, sdpa_192, "sdpa_192.cubin")                                                                       \
    X(256, sdpa_256, "sdpa_256.cubin")                                                                       \
    X(SMELT_SDPA_IMAGE_VJP + 64, vjp_64, "vjp_64.cubin")                                                     \
    X(SMELT_SDPA_IMAGE_VJP + 96, vjp_96, "vjp_96.cubin")                                                     \
    X(SMELT_SDPA_IMAGE_VJP + 128, vjp_128, "vjp_128.cubin")                                                  \
    X(SMELT_SDPA_IMAGE_VJP + 192, vjp_192, "vjp_192.cubin")                                                  \
    X(SMELT_SDPA_IMAGE_VJP + 256, vjp_256, "vjp_256.cubin")

#define SMELT_EMBED(image, name, file)                                                                       \
    SMELT_IMAGE(#name, file);                                                                                \
    extern const unsigned char smelt_image_##name[];
SMELT_IMAGES(SMELT_EMBED)

static const struct {
    int image;
    const unsigned char *data;
} images[] = {
#define SMELT_ENTRY(image, name, file) {image, smelt_image_##name},
    SMELT_IMAGES(SMELT_ENTRY)};

enum { kImages = sizeof(images) / sizeof(images[0]), kContexts = 16 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
    CUcontext context;
    CUmodule modules[kImages];
} loaded[kContexts];

/* Loading is not work of a stream, so it is allowed while one is captured. */
static CUresult load(CUmodule *module, const unsigned char *data)
{
    const struct smelt_cuda_driver *cuda = smelt_cuda_driver();
    CUstreamCaptureMode mode = CU_STREAM_CAPTURE_MODE_RELAXED;
    CUresult result = cuda->ThreadExchangeStreamCaptureMode(&mode);
    if (result) return result;
    result = cuda->ModuleLoadData(module, data);
    const CUresult restored = cuda->ThreadExchangeStreamCaptureMode(&mode);
    return result ? result : restored;
}

static CUresult find_module(CUcontext context, int image, CUmodule *module)
{
    for (int i = 0; i < kContexts; i++) {
        if (!loaded[i].context) loaded[i].context = context;
        if (loaded[i].context != context) continue;
        CUresult result = CUDA_SUCCESS;
        if (!loaded[i].modules[image]) result = load(&loaded[i].modules[image], images[image].data);
        *module = loaded[i].modules[image];
        return result;
    }
    return CUDA_ERROR_OUT_OF_MEMORY;
}

CUresult smelt_sdpa_function(int image_number, const char *name, CUfunction *function)
{
    CUcontext context;
    CUresult result = smelt_cuda_driver()->CtxGetCurrent(&context);
    if (result || !context) return result ? result : CUDA_ERROR_INVALID_CONTEXT;
    int image = 0;
    while (image < kImages && images[image].image != image_number) image++;
    if (image == kImages) return CUDA_ERROR_NOT_FOUND;
    CUmodule module = NULL;
    pthread_mutex_lock(&lock);
    result = find_module(context, image, &module);
    pthread_mutex_unlock(&lock);
    return result ? result : smelt_cuda_driver()->ModuleGetFunction(function, module, name);
}
