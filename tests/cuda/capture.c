/* SPDX-License-Identifier: Apache-2.0 */
/* Streams, graphs and devices for the tests. */
#include "capture.h"

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef void (*any_function)(void);

static any_function symbol(const char *name)
{
    void *found = dlsym(dlopen("libcuda.so.1", RTLD_NOW), name);
    any_function function;
    if (!found) {
        printf("FAILED libcuda.so.1 has no %s\n", name);
        exit(1);
    }
    memcpy(&function, &found, sizeof(function));
    return function;
}

CUstream capture_stream(void)
{
    typedef CUresult create(CUstream *, unsigned);
    CUstream stream;
    device_check(((create *)symbol("cuStreamCreate"))(&stream, CU_STREAM_NON_BLOCKING), "stream");
    return stream;
}

void capture_begin(CUstream stream)
{
    typedef CUresult begin(CUstream, CUstreamCaptureMode);
    device_check(((begin *)symbol("cuStreamBeginCapture_v2"))(stream, CU_STREAM_CAPTURE_MODE_GLOBAL),
                 "capture");
}

CUgraphExec capture_end(CUstream stream)
{
    typedef CUresult end(CUstream, CUgraph *);
    typedef CUresult instantiate(CUgraphExec *, CUgraph, unsigned long long);
    typedef CUresult destroy(CUgraph);
    CUgraph graph;
    CUgraphExec executable;
    device_check(((end *)symbol("cuStreamEndCapture"))(stream, &graph), "end of capture");
    device_check(((instantiate *)symbol("cuGraphInstantiateWithFlags"))(&executable, graph, 0), "graph");
    device_check(((destroy *)symbol("cuGraphDestroy"))(graph), "graph");
    return executable;
}

void capture_replay(CUgraphExec graph, CUstream stream)
{
    typedef CUresult launch(CUgraphExec, CUstream);
    device_check(((launch *)symbol("cuGraphLaunch"))(graph, stream), "replay");
}

void capture_destroy(CUgraphExec graph)
{
    typedef CUresult destroy(CUgraphExec);
    device_check(((destroy *)symbol("cuGraphExecDestroy"))(graph), "graph");
}

int device_count(void)
{
    typedef CUresult count(int *);
    int devices = 0;
    device_check(((count *)symbol("cuDeviceGetCount"))(&devices), "device count");
    return devices;
}

void device_use(int index)
{
    const struct smelt_cuda_driver *cuda = smelt_cuda_driver();
    CUdevice device;
    CUcontext context;
    device_check(cuda->DeviceGet(&device, index), "device");
    device_check(cuda->DevicePrimaryCtxRetain(&context, device), "context");
    device_check(cuda->CtxSetCurrent(context), "context");
}
