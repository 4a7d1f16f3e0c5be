# SPDX-License-Identifier: Apache-2.0
"""smelt/metal.h through ctypes, for the tests: whole files and body-only kernels over NumPy arrays."""
import ctypes as c
import os
import sys

import numpy as np

lib = c.CDLL(os.environ.get("SMELT_LIBRARY", "libsmelt.so"))
lib.smelt_last_error.restype = c.c_char_p
lib.smelt_metal_library_function_name.restype = c.c_char_p
lib.smelt_metal_library_function_name.argtypes = [c.c_void_p, c.c_size_t]

OK, INVALID_ARGUMENT, UNSUPPORTED, OUT_OF_MEMORY, DEVICE_ERROR, COMPILE_ERROR, IO_ERROR, INTERNAL_ERROR = range(8)
MODES = {"safe": 0, "relaxed": 1, "fast": 2}


class Error(Exception):
    def __init__(self, status):
        super().__init__(lib.smelt_last_error().decode(errors="replace"))
        self.status = status


def check(status):
    if status != OK:
        raise Error(status)


class DLDataType(c.Structure):
    _fields_ = [("code", c.c_uint8), ("bits", c.c_uint8), ("lanes", c.c_uint16)]


class DLTensor(c.Structure):
    _fields_ = [("data", c.c_void_p), ("device_type", c.c_int32), ("device_id", c.c_int32), ("ndim", c.c_int32),
                ("dtype", DLDataType), ("shape", c.POINTER(c.c_int64)), ("strides", c.POINTER(c.c_int64)),
                ("byte_offset", c.c_uint64)]


def dl_type(dtype):
    dtype = np.dtype(dtype)
    if dtype.name == "bfloat16":
        return DLDataType(4, 16, 1)
    if dtype == np.bool_:
        return DLDataType(6, 8, 1)
    return DLDataType({"i": 0, "u": 1, "f": 2, "c": 5}[dtype.kind], dtype.itemsize * 8, 1)


def tensor(array):
    """A DLTensor over the array; keep both alive."""
    shape = (c.c_int64 * max(array.ndim, 1))(*array.shape)
    strides = (c.c_int64 * max(array.ndim, 1))(*[s // array.itemsize for s in array.strides])
    t = DLTensor(array.ctypes.data, 1, 0, array.ndim, dl_type(array.dtype), shape, strides, 0)
    t.keep = (shape, strides, array)
    return t


class Options(c.Structure):
    _fields_ = [("struct_size", c.c_uint32), ("device_type", c.c_int32), ("math_mode", c.c_int32), ("check", c.c_int32),
                ("file_name", c.c_char_p), ("include_folders", c.POINTER(c.c_char_p)), ("include_folder_count", c.c_size_t),
                ("definitions", c.POINTER(c.c_char_p)), ("definition_count", c.c_size_t)]


class Constant(c.Structure):
    _fields_ = [("index", c.c_uint32), ("type", DLDataType), ("value", c.c_void_p)]


class Buffer(c.Structure):
    _fields_ = [("index", c.c_uint32), ("tensor", c.POINTER(DLTensor)), ("data", c.c_void_p), ("size", c.c_size_t)]


class Bytes(c.Structure):
    _fields_ = [("index", c.c_uint32), ("data", c.c_void_p), ("size", c.c_size_t)]


class ThreadgroupMemory(c.Structure):
    _fields_ = [("index", c.c_uint32), ("length", c.c_size_t)]


class Launch(c.Structure):
    _fields_ = [("struct_size", c.c_uint32), ("grid_in_threadgroups", c.c_int32), ("grid", c.c_uint32 * 3),
                ("threadgroup", c.c_uint32 * 3), ("buffers", c.POINTER(Buffer)), ("buffer_count", c.c_size_t),
                ("bytes", c.POINTER(Bytes)), ("bytes_count", c.c_size_t),
                ("threadgroup_memory", c.POINTER(ThreadgroupMemory)), ("threadgroup_memory_count", c.c_size_t)]


class Stream(c.Structure):
    _fields_ = [("struct_size", c.c_uint32), ("num_threads", c.c_int32), ("cuda_stream", c.c_void_p),
                ("workspace", c.c_void_p), ("workspace_size", c.c_size_t), ("parallel_for", c.c_void_p), ("pool", c.c_void_p)]


def threads(count):
    return c.byref(Stream(c.sizeof(Stream), count, None, None, 0, None, None))


def strings(items):
    return (c.c_char_p * max(len(items), 1))(*[i.encode() for i in items])


class Library:
    def __init__(self, source, math_mode="safe", include_dirs=(), defines=(), file_name=None):
        self.handle = c.c_void_p()
        o = Options(c.sizeof(Options), 1, MODES[math_mode], 0, file_name.encode() if file_name else None,
                    strings(include_dirs), len(include_dirs), strings(defines), len(defines))
        check(lib.smelt_metal_library_create(c.byref(self.handle), source.encode(), c.byref(o)))

    def __del__(self):
        lib.smelt_metal_library_destroy(self.handle)

    @property
    def functions(self):
        names = []
        while (name := lib.smelt_metal_library_function_name(self.handle, len(names))) is not None:
            names.append(name.decode())
        return names

    def function(self, name, constants=None):
        return Function(self, name, constants or {})


class Function:
    def __init__(self, library, name, constants):
        self.handle = c.c_void_p()
        values = {i: np.array(v, np.int32) if type(v) is int else np.array(v, np.float32) if type(v) is float else np.array(v)
                  for i, v in constants.items()}
        rows = (Constant * max(len(values), 1))(*[Constant(i, dl_type(v.dtype), v.ctypes.data) for i, v in values.items()])
        check(lib.smelt_metal_function_create(c.byref(self.handle), library.handle, name.encode(), rows, len(values)))

    def __del__(self):
        lib.smelt_metal_function_destroy(self.handle)

    def __call__(self, buffers=None, bytes=None, threadgroup_memory=None, grid=(1, 1, 1), threadgroup=(1, 1, 1),
                 grid_unit="threads", num_threads=0):
        tensors = {i: tensor(a) for i, a in (buffers or {}).items()}
        rows = (Buffer * max(len(tensors), 1))(*[Buffer(i, c.pointer(t), None, 0) for i, t in tensors.items()])
        values = {i: np.ascontiguousarray(v) for i, v in (bytes or {}).items()}
        small = (Bytes * max(len(values), 1))(*[Bytes(i, v.ctypes.data, v.nbytes) for i, v in values.items()])
        memory = threadgroup_memory or {}
        lengths = (ThreadgroupMemory * max(len(memory), 1))(*[ThreadgroupMemory(i, n) for i, n in memory.items()])
        full = lambda t: (c.c_uint32 * 3)(*(tuple(t) + (1,) * (3 - len(t))))
        launch = Launch(c.sizeof(Launch), grid_unit != "threads", full(grid), full(threadgroup), rows, len(tensors), small,
                        len(values), lengths, len(memory))
        check(lib.smelt_metal_dispatch(self.handle, c.byref(launch), threads(num_threads)))


# Body-only kernels.
class KernelDesc(c.Structure):
    _fields_ = [("struct_size", c.c_uint32), ("ensure_row_contiguous", c.c_int32), ("atomic_outputs", c.c_int32),
                ("math_mode", c.c_int32), ("check", c.c_int32), ("name", c.c_char_p), ("source", c.c_char_p),
                ("header", c.c_char_p), ("input_names", c.POINTER(c.c_char_p)), ("input_count", c.c_size_t),
                ("output_names", c.POINTER(c.c_char_p)), ("output_count", c.c_size_t)]


class TemplateArgument(c.Structure):
    _fields_ = [("name", c.c_char_p), ("kind", c.c_int32), ("dtype", DLDataType), ("value", c.c_int64)]


class KernelLaunch(c.Structure):
    _fields_ = [("struct_size", c.c_uint32), ("verbose", c.c_int32), ("grid", c.c_uint32 * 3), ("threadgroup", c.c_uint32 * 3),
                ("inputs", c.POINTER(c.POINTER(DLTensor))), ("outputs", c.POINTER(c.POINTER(DLTensor))),
                ("template_arguments", c.POINTER(TemplateArgument)), ("template_count", c.c_size_t),
                ("init_value", c.POINTER(c.c_float)), ("input_count", c.c_size_t), ("output_count", c.c_size_t)]


class Kernel:
    def __init__(self, name, input_names, output_names, source, header="", ensure_row_contiguous=True, atomic_outputs=False,
                 math_mode="safe"):
        self.handle = c.c_void_p()
        d = KernelDesc(c.sizeof(KernelDesc), ensure_row_contiguous, atomic_outputs, MODES[math_mode], 0, name.encode(),
                       source.encode(), header.encode(), strings(input_names), len(input_names), strings(output_names),
                       len(output_names))
        check(lib.smelt_kernel_create(c.byref(self.handle), c.byref(d)))

    def __del__(self):
        lib.smelt_kernel_destroy(self.handle)

    def __call__(self, inputs, output_shapes, output_dtypes, grid, threadgroup, template=(), init_value=None, verbose=False,
                 num_threads=0):
        arrays = [np.asarray(x, np.float32 if isinstance(x, float) else None) for x in inputs]
        outputs = [np.zeros(s, d) for s, d in zip(output_shapes, output_dtypes)]
        views = [tensor(a) for a in arrays + outputs]
        pointers = (c.POINTER(DLTensor) * max(len(views), 1))(*[c.pointer(v) for v in views])
        results = (c.POINTER(DLTensor) * max(len(outputs), 1))(*[c.pointer(v) for v in views[len(arrays):]])
        rows = []
        for name, value in template:
            if isinstance(value, bool):
                rows.append(TemplateArgument(name.encode(), 2, DLDataType(), value))
            elif isinstance(value, int):
                rows.append(TemplateArgument(name.encode(), 1, DLDataType(), value))
            else:
                rows.append(TemplateArgument(name.encode(), 0, dl_type(value), 0))
        launch = KernelLaunch(c.sizeof(KernelLaunch), verbose, (c.c_uint32 * 3)(*grid), (c.c_uint32 * 3)(*threadgroup), pointers,
                              results, (TemplateArgument * max(len(rows), 1))(*rows), len(rows),
                              c.pointer(c.c_float(init_value)) if init_value is not None else None, len(arrays), len(outputs))
        check(lib.smelt_kernel_launch(self.handle, c.byref(launch), threads(num_threads)))
        return outputs


def main(tests):
    """Runs the tests named on the command line, or all; each reports."""
    failed = 0
    for test in tests:
        if len(sys.argv) > 1 and test.__name__ not in sys.argv[1:]:
            continue
        try:
            test()
            print(f"ok   {test.__name__}")
        except Exception as error:  # every test reports
            failed += 1
            print(f"FAIL {test.__name__}: {type(error).__name__}: {str(error)[:1500]}")
    sys.exit(failed != 0)
