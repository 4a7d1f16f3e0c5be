/* SPDX-License-Identifier: Apache-2.0 */
/* The CUDA driver, found when first used: libcuda.so.1 through dlopen, so that libsmelt.so loads without it.
 */
#ifndef SMELT_CUDA_DRIVER_H
#define SMELT_CUDA_DRIVER_H

#include <cuda.h>

/* X(name, symbol in libcuda.so.1, parameters) */
#define SMELT_CUDA_FUNCTIONS(X)                                                                              \
    X(Init, "cuInit", (unsigned))                                                                            \
    X(GetErrorName, "cuGetErrorName", (CUresult, const char **))                                             \
    X(DeviceGet, "cuDeviceGet", (CUdevice *, int))                                                           \
    X(DeviceGetCount, "cuDeviceGetCount", (int *))                                                           \
    X(DeviceGetName, "cuDeviceGetName", (char *, int, CUdevice))                                             \
    X(DeviceGetAttribute, "cuDeviceGetAttribute", (int *, CUdevice_attribute, CUdevice))                     \
    X(DevicePrimaryCtxRetain, "cuDevicePrimaryCtxRetain", (CUcontext *, CUdevice))                           \
    X(CtxSetCurrent, "cuCtxSetCurrent", (CUcontext))                                                         \
    X(CtxGetCurrent, "cuCtxGetCurrent", (CUcontext *))                                                       \
    X(CtxGetDevice, "cuCtxGetDevice", (CUdevice *))                                                          \
    X(CtxPushCurrent, "cuCtxPushCurrent_v2", (CUcontext))                                                    \
    X(CtxPopCurrent, "cuCtxPopCurrent_v2", (CUcontext *))                                                    \
    X(PointerGetAttribute, "cuPointerGetAttribute", (void *, CUpointer_attribute, CUdeviceptr))              \
    X(CtxSynchronize, "cuCtxSynchronize", (void))                                                            \
    X(ThreadExchangeStreamCaptureMode, "cuThreadExchangeStreamCaptureMode", (CUstreamCaptureMode *))         \
    X(ModuleLoadData, "cuModuleLoadData", (CUmodule *, const void *))                                        \
    X(ModuleGetFunction, "cuModuleGetFunction", (CUfunction *, CUmodule, const char *))                      \
    X(FuncSetAttribute, "cuFuncSetAttribute", (CUfunction, CUfunction_attribute, int))                       \
    X(LaunchKernelEx, "cuLaunchKernelEx", (const CUlaunchConfig *, CUfunction, void **, void **))            \
    X(TensorMapEncodeTiled, "cuTensorMapEncodeTiled",                                                        \
      (CUtensorMap *, CUtensorMapDataType, cuuint32_t, void *, const cuuint64_t *, const cuuint64_t *,       \
       const cuuint32_t *, const cuuint32_t *, CUtensorMapInterleave, CUtensorMapSwizzle,                    \
       CUtensorMapL2promotion, CUtensorMapFloatOOBfill))                                                     \
    X(MemAlloc, "cuMemAlloc_v2", (CUdeviceptr *, size_t))                                                    \
    X(MemFree, "cuMemFree_v2", (CUdeviceptr))                                                                \
    X(MemAllocAsync, "cuMemAllocAsync", (CUdeviceptr *, size_t, CUstream))                                   \
    X(MemFreeAsync, "cuMemFreeAsync", (CUdeviceptr, CUstream))                                               \
    X(MemcpyDtoDAsync, "cuMemcpyDtoDAsync_v2", (CUdeviceptr, CUdeviceptr, size_t, CUstream))                 \
    X(MemcpyHtoD, "cuMemcpyHtoD_v2", (CUdeviceptr, const void *, size_t))                                    \
    X(MemcpyDtoH, "cuMemcpyDtoH_v2", (void *, CUdeviceptr, size_t))                                          \
    X(MemsetD8Async, "cuMemsetD8Async", (CUdeviceptr, unsigned char, size_t, CUstream))                      \
    X(EventCreate, "cuEventCreate", (CUevent *, unsigned))                                                   \
    X(EventRecord, "cuEventRecord", (CUevent, CUstream))                                                     \
    X(EventSynchronize, "cuEventSynchronize", (CUevent))                                                     \
    X(EventElapsedTime, "cuEventElapsedTime", (float *, CUevent, CUevent))

struct smelt_cuda_driver {
#define SMELT_CUDA_MEMBER(name, symbol, parameters) CUresult(CUDAAPI *name) parameters;
    SMELT_CUDA_FUNCTIONS(SMELT_CUDA_MEMBER)
#undef SMELT_CUDA_MEMBER
};

/* The table, or NULL where there is no driver or it lacks a function. Thread-safe. */
const struct smelt_cuda_driver *smelt_cuda_driver(void);

#endif
