/* SPDX-License-Identifier: Apache-2.0 */
/* Contexts and limits of CUDA devices. */
#include "device.h"

#include <pthread.h>
#include <stdio.h>

enum { kDevices = 64 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct {
    CUcontext context; /* the primary one, retained for the life of the process */
    int major, minor, multiprocessors, cache_bytes;
} known[kDevices];

smelt_status smelt_cuda_status(CUresult result, const char *operation, const char *what)
{
    if (result == CUDA_SUCCESS) return SMELT_OK;
    const char *name = NULL;
    smelt_cuda_driver()->GetErrorName(result, &name);
    return smelt_fail(result == CUDA_ERROR_OUT_OF_MEMORY ? SMELT_OUT_OF_MEMORY : SMELT_DEVICE_ERROR,
                      "%s: %s: the CUDA driver answered %s", operation, what,
                      name ? name : "an unknown error");
}

static CUresult learn(const struct smelt_cuda_driver *cuda, int index)
{
    CUdevice device;
    CUresult result = cuda->DeviceGet(&device, index);
    if (!result)
        result = cuda->DeviceGetAttribute(&known[index].major, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR,
                                          device);
    if (!result)
        result = cuda->DeviceGetAttribute(&known[index].minor, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR,
                                          device);
    if (!result)
        result = cuda->DeviceGetAttribute(&known[index].multiprocessors,
                                          CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT, device);
    if (!result)
        result =
            cuda->DeviceGetAttribute(&known[index].cache_bytes, CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE, device);
    return result ? result : cuda->DevicePrimaryCtxRetain(&known[index].context, device);
}

/* The context that is current stays where it is one of this device. */
static CUresult make_current(struct smelt_cuda_device *device)
{
    CUcontext current = NULL;
    CUdevice at = -1;
    CUresult result = device->driver->CtxGetCurrent(&current);
    if (!result && current) result = device->driver->CtxGetDevice(&at);
    if (result || (current && at == device->index)) return result;
    result = device->driver->CtxPushCurrent(known[device->index].context);
    device->pushed = result == CUDA_SUCCESS;
    return result;
}

static smelt_status check_memory(const struct smelt_cuda_device *device, const struct smelt_view *view,
                                 const char *operation)
{
    if (!view || view->elements == 0) return SMELT_OK;
    int ordinal = -1;
    const CUresult result = device->driver->PointerGetAttribute(&ordinal, CU_POINTER_ATTRIBUTE_DEVICE_ORDINAL,
                                                                (CUdeviceptr)(uintptr_t)view->data);
    if (result == CUDA_SUCCESS && ordinal == device->index) return SMELT_OK;
    if (result == CUDA_SUCCESS)
        return smelt_fail(SMELT_INVALID_ARGUMENT, "%s: %s: expected memory of CUDA device %d, got device %d",
                          operation, view->name, device->index, ordinal);
    return smelt_fail(SMELT_INVALID_ARGUMENT, "%s: %s: expected memory of CUDA device %d, got a host pointer",
                      operation, view->name, device->index);
}

smelt_status smelt_cuda_enter(struct smelt_cuda_device *device, const struct smelt_view *const *views,
                              int count, const char *operation)
{
    const int index = views[0]->device.device_id;
    *device = (struct smelt_cuda_device){.driver = smelt_cuda_driver(), .index = index};
    if (!device->driver)
        return smelt_fail(SMELT_DEVICE_ERROR, "%s: %s is on a CUDA device, and no NVIDIA driver was found",
                          operation, views[0]->name);
    if (index < 0 || index >= kDevices)
        return smelt_fail(SMELT_INVALID_ARGUMENT, "%s: %s: expected CUDA device 0 to %d, got %d", operation,
                          views[0]->name, kDevices - 1, index);
    pthread_mutex_lock(&lock);
    CUresult result = known[index].context ? CUDA_SUCCESS : learn(device->driver, index);
    pthread_mutex_unlock(&lock);
    if (!result) result = make_current(device);
    if (result) return smelt_cuda_status(result, operation, "CUDA device");
    device->major = known[index].major, device->minor = known[index].minor;
    device->multiprocessors = known[index].multiprocessors;
    device->cache_bytes = known[index].cache_bytes;
    if (device->major < 8)
        return smelt_cuda_leave(device,
                                smelt_fail(SMELT_UNSUPPORTED,
                                           "%s: expected a card of compute capability 8.0 or more, got %d.%d",
                                           operation, device->major, device->minor));
    for (int i = 0; i < count; i++) {
        const smelt_status status = check_memory(device, views[i], operation);
        if (status != SMELT_OK) return smelt_cuda_leave(device, status);
    }
    return SMELT_OK;
}

smelt_status smelt_cuda_leave(struct smelt_cuda_device *device, smelt_status status)
{
    CUcontext popped;
    if (device->pushed) device->driver->CtxPopCurrent(&popped);
    device->pushed = false;
    return status;
}

int smelt_cuda_count(void)
{
    const struct smelt_cuda_driver *cuda = smelt_cuda_driver();
    int count = 0;
    return cuda && cuda->DeviceGetCount(&count) == CUDA_SUCCESS ? count : 0;
}

void smelt_cuda_describe(int index, char *text, size_t size)
{
    const struct smelt_cuda_driver *cuda = smelt_cuda_driver();
    char name[128] = "";
    CUdevice device;
    int major = 0, minor = 0;
    text[0] = 0;
    if (!cuda || cuda->DeviceGet(&device, index) || cuda->DeviceGetName(name, sizeof name, device)) return;
    cuda->DeviceGetAttribute(&major, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, device);
    cuda->DeviceGetAttribute(&minor, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR, device);
    snprintf(text, size, "%s (compute capability %d.%d)", name, major, minor);
}
