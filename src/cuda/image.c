/* SPDX-License-Identifier: Apache-2.0 */
/* Embedded images, modules and functions by context. */
#include "image.h"

#include <pthread.h>
#include <stddef.h>

#include "driver.h"

/* SMELT_CUDA_IMAGES_FOLDER is where the build puts the compiled images. */
#define EMBED(name)                                                                                          \
    __asm__(".section .rodata\n.balign 64\n.global smelt_image_" #name "\n.hidden smelt_image_" #name        \
            "\nsmelt_image_" #name ":\n.incbin \"" SMELT_CUDA_IMAGES_FOLDER "/" #name                        \
            ".fatbin\"\n.byte 0\n.previous\n");                                                              \
    extern const unsigned char smelt_image_##name[];
SMELT_CUDA_IMAGE_ROWS(EMBED)

static const unsigned char *const data[SMELT_CUDA_IMAGES] = {
#define DATA(name) smelt_image_##name,
    SMELT_CUDA_IMAGE_ROWS(DATA)
#undef DATA
};

enum { CONTEXTS = 64, FUNCTIONS = 512 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
    CUcontext context;
    CUmodule modules[SMELT_CUDA_IMAGES];
} loaded[CONTEXTS];
static struct {
    CUcontext context;
    const char *name;
    enum smelt_cuda_image image;
    CUfunction function;
} known[FUNCTIONS]; /* a cache: what finds no place is looked up each time */

/* Loading is not work of a stream, so it is allowed while one is captured. */
static CUresult load(CUmodule *module, enum smelt_cuda_image image)
{
    const struct smelt_cuda_driver *cuda = smelt_cuda_driver();
    CUstreamCaptureMode mode = CU_STREAM_CAPTURE_MODE_RELAXED;
    CUresult result = cuda->ThreadExchangeStreamCaptureMode(&mode);
    if (result) return result;
    result = cuda->ModuleLoadData(module, data[image]);
    const CUresult restored = cuda->ThreadExchangeStreamCaptureMode(&mode);
    return result ? result : restored;
}

static CUresult find(CUcontext context, enum smelt_cuda_image image, const char *name, CUfunction *function)
{
    size_t at =
        ((size_t)(uintptr_t)name / 8 + (size_t)image * 37 + (size_t)(uintptr_t)context / 64) % FUNCTIONS;
    if (known[at].context == context && known[at].name == name && known[at].image == image) {
        *function = known[at].function;
        return CUDA_SUCCESS;
    }
    int i = 0;
    while (i < CONTEXTS && loaded[i].context && loaded[i].context != context) i++;
    if (i == CONTEXTS) return CUDA_ERROR_OUT_OF_MEMORY;
    loaded[i].context = context;
    CUresult result = loaded[i].modules[image] ? CUDA_SUCCESS : load(&loaded[i].modules[image], image);
    if (!result) result = smelt_cuda_driver()->ModuleGetFunction(function, loaded[i].modules[image], name);
    if (result) return result;
    known[at].context = context, known[at].name = name, known[at].image = image;
    known[at].function = *function;
    return CUDA_SUCCESS;
}

CUresult smelt_cuda_function(enum smelt_cuda_image image, const char *name, CUfunction *function)
{
    CUcontext context;
    CUresult result = smelt_cuda_driver()->CtxGetCurrent(&context);
    if (result || !context) return result ? result : CUDA_ERROR_INVALID_CONTEXT;
    pthread_mutex_lock(&lock);
    result = find(context, image, name, function);
    pthread_mutex_unlock(&lock);
    return result;
}
