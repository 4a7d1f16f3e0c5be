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

SMELT_IMAGE("sdpa_generic", "sdpa_generic.fatbin");
SMELT_IMAGE("sdpa_merge", "sdpa_merge.cubin");
SMELT_IMAGE("sdpa_64", "sdpa_64.cubin");
SMELT_IMAGE("sdpa_96", "sdpa_96.cubin");
SMELT_IMAGE("sdpa_128", "sdpa_128.cubin");
SMELT_IMAGE("sdpa_192", "sdpa_192.cubin");
SMELT_IMAGE("sdpa_256", "sdpa_256.cubin");
extern const unsigned char smelt_image_sdpa_generic[], smelt_image_sdpa_merge[], smelt_image_sdpa_64[],
    smelt_image_sdpa_96[], smelt_image_sdpa_128[], smelt_image_sdpa_192[], smelt_image_sdpa_256[];

enum { kImages = 7, kContexts = 16 };
static const struct {
    int head_dim;
    const unsigned char *data;
} images[kImages] = {{SMELT_SDPA_IMAGE_GENERIC, smelt_image_sdpa_generic},
                     {SMELT_SDPA_IMAGE_MERGE, smelt_image_sdpa_merge},
                     {64, smelt_image_sdpa_64},
                     {96, smelt_image_sdpa_96},
                     {128, smelt_image_sdpa_128},
                     {192, smelt_image_sdpa_192},
                     {256, smelt_image_sdpa_256}};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
    CUcontext context;
    CUmodule modules[kImages];
} loaded[kContexts];

static CUresult find_module(CUcontext context, int image, CUmodule *module)
{
    for (int i = 0; i < kContexts; i++) {
        if (!loaded[i].context) loaded[i].context = context;
        if (loaded[i].context != context) continue;
        CUresult result = CUDA_SUCCESS;
        if (!loaded[i].modules[image])
            result = smelt_cuda_driver()->ModuleLoadData(&loaded[i].modules[image], images[image].data);
        *module = loaded[i].modules[image];
        return result;
    }
    return CUDA_ERROR_OUT_OF_MEMORY;
}

CUresult smelt_sdpa_function(int head_dim, const char *name, CUfunction *function)
{
    CUcontext context;
    CUresult result = smelt_cuda_driver()->CtxGetCurrent(&context);
    if (result || !context) return result ? result : CUDA_ERROR_INVALID_CONTEXT;
    int image = 0;
    while (image < kImages && images[image].head_dim != head_dim) image++;
    if (image == kImages) return CUDA_ERROR_NOT_FOUND;
    CUmodule module = NULL;
    pthread_mutex_lock(&lock);
    result = find_module(context, image, &module);
    pthread_mutex_unlock(&lock);
    return result ? result : smelt_cuda_driver()->ModuleGetFunction(function, module, name);
}
