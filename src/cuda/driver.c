/* SPDX-License-Identifier: Apache-2.0 */
/* Finds the CUDA driver and fills its function table, once. */
#include "driver.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stddef.h>
#include <string.h>

static struct smelt_cuda_driver table;
static const struct smelt_cuda_driver *found;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void find_driver(void)
{
    void *library = dlopen("libcuda.so.1", RTLD_NOW | RTLD_LOCAL);
    if (!library) return;
    static const char *const symbols[] = {
#define SMELT_CUDA_SYMBOL(name, symbol, parameters) symbol,
        SMELT_CUDA_FUNCTIONS(SMELT_CUDA_SYMBOL)
#undef SMELT_CUDA_SYMBOL
    };
    static const size_t offsets[] = {
#define SMELT_CUDA_OFFSET(name, symbol, parameters) offsetof(struct smelt_cuda_driver, name),
        SMELT_CUDA_FUNCTIONS(SMELT_CUDA_OFFSET)
#undef SMELT_CUDA_OFFSET
    };
    for (size_t i = 0; i < sizeof(symbols) / sizeof(symbols[0]); i++) {
        void *function = dlsym(library, symbols[i]);
        if (!function) return;
        memcpy((char *)&table + offsets[i], &function, sizeof(function));
    }
    if (table.Init(0) == CUDA_SUCCESS) found = &table;
}

const struct smelt_cuda_driver *smelt_cuda_driver(void)
{
    pthread_once(&once, find_driver);
    return found;
}
