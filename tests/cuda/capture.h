/* SPDX-License-Identifier: Apache-2.0 */
/* Streams and CUDA graphs for the tests: driver functions that the library has no use for. */
#ifndef SMELT_TESTS_CUDA_CAPTURE_H
#define SMELT_TESTS_CUDA_CAPTURE_H

#include "support.h"

CUstream capture_stream(void);            /* a new one, not ordered with the default stream */
void capture_begin(CUstream stream);      /* what is launched from now on is recorded */
CUgraphExec capture_end(CUstream stream); /* and becomes a graph */
void capture_replay(CUgraphExec graph, CUstream stream);
void capture_destroy(CUgraphExec graph);
int device_count(void);
/* Makes that device's primary context current. */
void device_use(int index);

#endif
