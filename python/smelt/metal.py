# SPDX-License-Identifier: Apache-2.0
"""Custom kernels in the Metal Shading Language, on the CPU.

``smelt.fast.metal_kernel`` takes a kernel's body, as ``mx.fast.metal_kernel`` does; ``Library`` takes whole ``.metal`` files.
Text is compiled when it is first used and kept in a cache on the disk. Text that does not compile raises
``smelt.CompileError``, whose ``log`` is the compiler's messages with the lines and columns of the given text.
"""

import ctypes
import operator
import os
import struct
import sys
from typing import NamedTuple

from smelt import _smelt
from smelt._smelt import CompileError

__all__ = ["Library", "Function", "Binding", "CompileError", "metal_kernel"]

_MODES = ("safe", "relaxed", "fast")
_MOST_ARRAYS = 64  # arguments of one kernel
_INT, _UINT, _FLOAT, _BFLOAT, _COMPLEX, _BOOL = 0, 1, 2, 4, 5, 6  # DLPack's codes
_DTYPES = {
    "bool": (_BOOL, 8),
    "bfloat16": (_BFLOAT, 16),
    "complex64": (_COMPLEX, 64),
    **{f"float{bits}": (_FLOAT, bits) for bits in (16, 32, 64)},
    **{f"int{bits}": (_INT, bits) for bits in (8, 16, 32, 64)},
    **{f"uint{bits}": (_UINT, bits) for bits in (8, 16, 32, 64)},
}
_known_dtypes = {}  # what callers have given, by the object


def _find_dtype(value):
    """DLPack's code and bits of a dtype in any spelling, None where it is none."""
    if isinstance(value, str):
        name = value
    elif type(value).__module__.split(".", 1)[0] in ("torch", "mlx"):
        name = str(value).rsplit(".", 1)[-1]
    else:
        import numpy

        try:
            name = numpy.dtype(value).name
        except TypeError:
            return None
    return _DTYPES.get(name)


def _dtype(value, what):
    try:
        return _known_dtypes[value]
    except (KeyError, TypeError):
        pass
    found = None if value is None else _find_dtype(value)
    if found is None:
        raise ValueError(f"{what}: expected a dtype, got {value!r}")
    _known_dtypes[value] = found
    return found


def _text(what, value):
    if not isinstance(value, str):
        raise TypeError(f"{what}: expected a str, got {type(value).__name__}")
    return value


def _names(what, value):
    if isinstance(value, str) or not hasattr(value, "__iter__"):
        raise TypeError(f"{what}: expected a list of str, got {value!r}")
    return tuple(_text(what, name) for name in value)


def _three(what, value, shorter=False):
    """A grid: three integers, or with `shorter` one to three."""
    if shorter and hasattr(value, "__index__"):
        value = (value,)
    try:
        numbers = tuple(operator.index(n) for n in value)
    except TypeError:
        raise TypeError(f"{what}: expected three integers, got {value!r}") from None
    if len(numbers) != 3 and not (shorter and 1 <= len(numbers) < 3):
        raise ValueError(f"{what}: expected three integers, got {value!r}")
    if min(numbers) < 0:
        raise ValueError(f"{what}: expected no negative number, got {value!r}")
    return numbers + (1,) * (3 - len(numbers))


def _mode(what, value):
    if value not in _MODES:
        raise ValueError(f"[{what}] Expected math_mode to be 'safe', 'relaxed', or 'fast', got {value!r}.")
    return _MODES.index(value)


def _kernel_mode(math_mode, compile_options):
    """`math_mode` as a keyword or within `compile_options`: the same where both are given."""
    if compile_options is not None:
        if not isinstance(compile_options, dict):
            raise ValueError("[metal_kernel] Expected `compile_options` to be a dict.")
        for key in compile_options:
            if key != "math_mode":
                raise ValueError(f"[metal_kernel] Unknown compile option `{key}`.")
        if "math_mode" in compile_options:
            given = compile_options["math_mode"]
            if math_mode is not None and given != math_mode:
                raise ValueError(
                    f"[metal_kernel] math_mode is given twice: {math_mode!r}, and {given!r} in compile_options."
                )
            math_mode = given
    return _mode("metal_kernel", "safe" if math_mode is None else math_mode)


def _number(value):
    """A scalar as (bytes, dtype): Python's own become int32, float32, bool, complex64, as in MLX."""
    if isinstance(value, bool):
        return struct.pack("?", value), _DTYPES["bool"]
    if isinstance(value, int):
        if not -(2**31) <= value < 2**31:
            raise ValueError(f"[metal_kernel] inputs: expected an int of 32 bits, got {value}")
        return struct.pack("=i", value), _DTYPES["int32"]
    if isinstance(value, float):
        return bytes(ctypes.c_float(value)), _DTYPES["float32"]  # where it is too large: infinity
    if isinstance(value, complex):
        return b"".join(bytes(ctypes.c_float(part)) for part in (value.real, value.imag)), _DTYPES["complex64"]
    return None


def _input(value):
    if hasattr(value, "__dlpack__") and not _is_numpy_scalar(value):
        return value
    number = _number(value)
    if number is None and _is_numpy_scalar(value):
        number = value.tobytes(), _dtype(value.dtype, "[metal_kernel] inputs")
    if number is None:
        raise TypeError(f"[metal_kernel] inputs: expected arrays and numbers, got {type(value).__name__}")
    return number


def _is_numpy_scalar(value):
    numpy = sys.modules.get("numpy")
    return numpy is not None and isinstance(value, numpy.generic)


def _template(arguments):
    found = []
    for item in arguments or ():
        if not isinstance(item, (tuple, list)) or len(item) != 2 or not isinstance(item[0], str):
            raise TypeError(f"[metal_kernel] template: expected pairs of a name and a value, got {item!r}")
        name, value = item
        if isinstance(value, bool):
            found.append((name, 2, value))
        elif isinstance(value, int):
            found.append((name, 1, value))
        else:
            kind = None if value is None or isinstance(value, (float, complex)) else _find_dtype(value)
            if kind is None:
                raise ValueError(
                    f"[metal_kernel] Invalid template argument. Must be a dtype, `int` or `bool`; {name} is {value!r}."
                )
            found.append((name, 0, kind))
    if len(found) > _MOST_ARRAYS:
        raise ValueError(f"[metal_kernel] template: expected at most {_MOST_ARRAYS} arguments, got {len(found)}")
    return tuple(found)


def _shape(value):
    if hasattr(value, "__index__"):
        value = (value,)
    try:
        shape = tuple(operator.index(n) for n in value)
    except TypeError:
        raise TypeError(f"[metal_kernel] output_shapes: expected tuples of integers, got {value!r}") from None
    if shape and min(shape) < 0:
        raise ValueError(f"[metal_kernel] output_shapes: expected no negative number, got {value!r}")
    return shape


def _prototype(output_dtypes):
    """Without arrays among the inputs, the library of the dtypes says what the results are."""
    for dtype in output_dtypes:
        owner = type(dtype).__module__.split(".", 1)[0]
        if owner == "torch":
            return sys.modules["torch"].empty(0)
        if owner == "mlx":
            return sys.modules["mlx.core"].zeros(1)
    import numpy

    return numpy.empty(0)


def _expect_count(what, expected, got):
    if expected != got:
        raise ValueError(f"[metal_kernel] Expected `{what}` to have size {expected} but got size {got}.")


class _Kernel:
    """A body-only kernel. Call it with keywords: see ``smelt.fast.metal_kernel``."""

    def __init__(self, handle, name, inputs, outputs):
        self._handle, self._name, self._inputs, self._outputs = handle, name, inputs, outputs

    def __repr__(self):
        return f"<metal_kernel {self._name}>"

    def __call__(
        self,
        *,
        inputs,
        output_shapes,
        output_dtypes,
        grid,
        threadgroup,
        template=None,
        init_value=None,
        verbose=False,
        stream=None,
    ):
        """Runs the kernel over ``grid`` threads in groups of ``threadgroup``; returns the list of outputs.

        ``inputs`` are arrays of one library, and numbers; the outputs are of that library. ``template`` is a list of
        ``(name, dtype | int | bool)``. Outputs hold ``init_value`` first, or anything. ``verbose`` prints the generated text.
        """
        inputs = tuple(_input(value) for value in inputs)
        _expect_count("inputs", self._inputs, len(inputs))
        _expect_count("output_shapes", self._outputs, len(output_shapes))
        _expect_count("output_dtypes", self._outputs, len(output_dtypes))
        grid, threadgroup = _three("[metal_kernel] grid", grid), _three("[metal_kernel] threadgroup", threadgroup)
        size = threadgroup[0] * threadgroup[1] * threadgroup[2]
        if size > 1024:
            raise ValueError(
                f"Thread group size ({size}) is greater than the maximum allowed threads per threadgroup (1024)."
            )
        like = None if any(type(value) is not tuple for value in inputs) else _prototype(output_dtypes)
        return _smelt.metal_kernel_launch(
            self._handle,
            like,
            inputs,
            tuple(map(_shape, output_shapes)),
            tuple(_dtype(dtype, "[metal_kernel] output_dtypes") for dtype in output_dtypes),
            grid,
            threadgroup,
            _template(template),
            init_value,
            verbose,
            stream,
        )


def metal_kernel(
    name,
    input_names,
    output_names,
    source,
    header="",
    ensure_row_contiguous=True,
    atomic_outputs=False,
    math_mode=None,
    compile_options=None,
):
    """``mx.fast.metal_kernel``: a kernel from the body of its function, with a signature generated around it.

    ``source`` is the body; ``header`` is text before the function. Inputs that are not row-contiguous are copied first unless
    ``ensure_row_contiguous=False``; then ``NAME_shape``, ``NAME_strides``, ``NAME_ndim`` and ``elem_to_loc`` serve.
    ``atomic_outputs`` makes outputs ``device atomic<T>*``. ``math_mode`` is ``"safe"`` (default), ``"relaxed"`` or ``"fast"``,
    here or in ``compile_options={"math_mode": ...}``. Returns the kernel, to be called as
    ``kernel(inputs=[...], output_shapes=[...], output_dtypes=[...], grid=(x, y, z), threadgroup=(x, y, z), template=None,
    init_value=None, verbose=False, stream=None)`` with the grid in threads; it returns the list of outputs.
    """
    inputs, outputs = _names("[metal_kernel] input_names", input_names), _names("[metal_kernel] output_names", output_names)
    mode = _kernel_mode(math_mode, compile_options)
    if not outputs:
        raise ValueError("[metal_kernel] Must specify at least one output.")
    if len(inputs) + len(outputs) > _MOST_ARRAYS:
        raise ValueError(
            f"[metal_kernel] expected at most {_MOST_ARRAYS} inputs and outputs, got {len(inputs) + len(outputs)}"
        )
    for what, text in (("name", name), ("source", source), ("header", header)):
        _text(f"[metal_kernel] {what}", text)
    handle = _smelt.metal_kernel(
        name, inputs, outputs, source, header, bool(ensure_row_contiguous), bool(atomic_outputs), mode
    )
    return _Kernel(handle, name, len(inputs), len(outputs))


class Binding(NamedTuple):
    """One argument of a kernel; `kind` is "buffer" or "threadgroup", `is_reference` one element rather than an array."""

    kind: str
    index: int
    name: str
    type: str
    writable: bool
    is_reference: bool
    element_size: int  # bytes


def _definitions(defines):
    if defines is None:
        return ()
    if not isinstance(defines, dict):
        return _names("smelt.metal.Library: defines", defines)
    return tuple(_text("smelt.metal.Library: defines", k) + ("" if v is None else f"={_spell(v)}") for k, v in defines.items())


def _spell(value):
    return int(value) if isinstance(value, bool) else value


class Library:
    """The text of a ``.metal`` file, parsed once.

    ``source`` is the text, or a ``pathlib.Path`` of a file. ``include_dirs`` are the only folders that ``#include`` may read.
    ``defines`` are macros, ``{"NAME": value}``. ``functions`` lists the kernels by name, ``function(name)`` compiles one.
    """

    def __init__(self, source, *, math_mode="safe", include_dirs=(), defines=None, device="cpu", check=False):
        name = None
        if isinstance(source, os.PathLike):
            name = os.fspath(source)
            with open(name, encoding="utf-8") as file:
                source = file.read()
        _text("smelt.metal.Library: source", source)
        if device not in ("cpu", "cuda"):
            raise ValueError(f"smelt.metal.Library: device: expected 'cpu' or 'cuda', got {device!r}")
        if isinstance(include_dirs, (str, os.PathLike)):
            include_dirs = (include_dirs,)
        self._handle = _smelt.metal_library(
            source,
            name,
            tuple(os.fspath(folder) for folder in include_dirs),
            _definitions(defines),
            _mode("smelt.metal.Library", math_mode),
            1 if device == "cpu" else 2,
            bool(check),
        )

    @property
    def functions(self):
        """The names of the kernels, in the order of the text."""
        return _smelt.metal_functions(self._handle)

    def function(self, name, constants=None):
        """The kernel of that name. ``constants`` are the values of its function constants, by index.

        True and False are bool, an int is int or uint, a float is float; NumPy scalars keep their type.
        """
        values = tuple(_constant(index, value) for index, value in (constants or {}).items())
        return Function(_smelt.metal_function(self._handle, _text("smelt.metal: name", name), values), name)

    def __repr__(self):
        return f"<smelt.metal.Library of {', '.join(self.functions) or 'no kernel'}>"


def _constant(index, value):
    what = f"smelt.metal: constants[{index!r}]"
    if not hasattr(index, "__index__"):
        raise TypeError(f"{what}: expected an integer index")
    if isinstance(value, int) and not isinstance(value, bool) and not -(2**31) <= value < 2**31:
        if not 0 <= value < 2**32:
            raise ValueError(f"{what}: expected an int of 32 bits, got {value}")
        data, dtype = struct.pack("=I", value), _DTYPES["uint32"]
    elif _is_numpy_scalar(value) and not isinstance(value, float):  # float64 counts as Python's own
        data, dtype = value.tobytes(), _dtype(value.dtype, what)
    elif isinstance(value, (bool, int, float)):
        data, dtype = _number(value)
    else:
        raise TypeError(f"{what}: expected a bool, an integer or a float, got {type(value).__name__}")
    return operator.index(index), dtype, data


def _bytes(index, value):
    """What a ``bytes=`` argument holds, laid out as Metal reads it."""
    if isinstance(value, bytes):
        return value
    if _is_numpy_scalar(value):
        if value.dtype.names:
            _expect_aligned(index, value.dtype)
        return value.tobytes()
    if isinstance(value, (bytearray, memoryview, ctypes.Structure, ctypes.Array, ctypes.Union, ctypes._SimpleCData)):
        return bytes(value)
    numpy = sys.modules.get("numpy")
    if numpy is not None and isinstance(value, numpy.ndarray):
        if value.dtype.names:
            _expect_aligned(index, value.dtype)
        return value.tobytes()
    raise TypeError(
        f"smelt.metal: bytes[{index!r}]: expected bytes, a NumPy scalar such as np.uint32(5), or a ctypes struct, "
        f"got {type(value).__name__}"
    )


def _expect_aligned(index, dtype):
    """A struct in the text has its members aligned: so must one of NumPy."""
    import numpy

    aligned = numpy.dtype({"names": dtype.names, "formats": [dtype.fields[name][0] for name in dtype.names]}, align=True)
    offsets = [[d.fields[name][1] for name in dtype.names] for d in (dtype, aligned)]
    if offsets[0] != offsets[1] or dtype.itemsize != aligned.itemsize:
        raise ValueError(f"smelt.metal: bytes[{index!r}]: expected an aligned struct, np.dtype(..., align=True), got {dtype}")


class Function:
    """A compiled kernel of a library: ``name``, ``bindings``, ``threadgroup_memory`` in bytes; call it to run it."""

    def __init__(self, handle, name):
        self._handle, self.name = handle, name
        rows, self.threadgroup_memory = _smelt.metal_reflect(handle)
        self.bindings = [
            Binding("threadgroup" if row[0] else "buffer", *row[1:4], bool(row[4]), bool(row[5]), row[6]) for row in rows
        ]
        self._writable = {b.index for b in self.bindings if b.kind == "buffer" and b.writable}

    def __repr__(self):
        return f"<smelt.metal.Function {self.name}>"

    def __call__(
        self,
        buffers=None,
        bytes=None,
        threadgroup_memory=None,
        grid=(1, 1, 1),
        threadgroup=(1, 1, 1),
        grid_unit="threads",
        *,
        stream=None,
    ):
        """Runs the kernel and returns when it is done; results are in the buffers that it writes.

        ``buffers`` are contiguous arrays by index, taken as raw memory; ``bytes`` are values by index: bytes, NumPy scalars,
        aligned structured scalars, ctypes structs; ``threadgroup_memory`` is lengths in bytes by index. ``grid`` counts threads,
        or with ``grid_unit="threadgroups"`` groups.
        """
        if grid_unit not in ("threads", "threadgroups"):
            raise ValueError(f"smelt.metal: grid_unit: expected 'threads' or 'threadgroups', got {grid_unit!r}")
        given = [(_index("buffers", i), _index("buffers", i) in self._writable, a) for i, a in (buffers or {}).items()]
        values = [(_index("bytes", i), _bytes(i, value)) for i, value in (bytes or {}).items()]
        lengths = [(_index("threadgroup_memory", i), operator.index(n)) for i, n in (threadgroup_memory or {}).items()]
        for what, rows in (("buffers", given), ("bytes", values), ("threadgroup_memory", lengths)):
            if len(rows) > _MOST_ARRAYS:
                raise ValueError(f"smelt.metal: {what}: expected at most {_MOST_ARRAYS}, got {len(rows)}")
        for index, length in lengths:
            if length < 0:
                raise ValueError(f"smelt.metal: threadgroup_memory[{index}]: expected a length in bytes, got {length}")
        _smelt.metal_dispatch(
            self._handle,
            tuple(given),
            tuple(values),
            tuple(lengths),
            _three("smelt.metal: grid", grid, True),
            _three("smelt.metal: threadgroup", threadgroup, True),
            grid_unit == "threadgroups",
            stream,
        )


def _index(what, value):
    if not hasattr(value, "__index__") or not 0 <= operator.index(value) < 2**32:
        raise ValueError(f"smelt.metal: {what}: expected indices of 0 or more, got {value!r}")
    return operator.index(value)
