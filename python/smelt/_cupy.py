# SPDX-License-Identifier: Apache-2.0
"""What C asks of CuPy: the current stream of a device, and new arrays."""

import cupy


def current_stream(device):
    return cupy.cuda.get_current_stream(device).ptr


def allocate(shape, dtype, device):
    """An array and its address."""
    if dtype == "bfloat16":
        import ml_dtypes

        dtype = ml_dtypes.bfloat16
    with cupy.cuda.Device(device):
        array = cupy.empty(shape, dtype)
    return array, array.data.ptr
