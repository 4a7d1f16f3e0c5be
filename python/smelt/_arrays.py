# SPDX-License-Identifier: Apache-2.0
"""What the C library refuses and MLX accepts: integers beside floating arrays, float64, ranks to be added."""

import sys

from smelt import _smelt

_needs_operators = None  # of smelt._torch, once an array of PyTorch has come
_FLOATING = ("float32", "float16", "bfloat16")


def dtype_name(array) -> str:
    """The dtype's name in every library: ``float32``, ``bfloat16``, ``int64``, ``bool``."""
    name = str(getattr(array.dtype, "name", array.dtype)).rsplit(".", 1)[-1]
    return "bool" if name == "bool_" else name


def library(array) -> str:
    """The library of an array: ``numpy``, ``torch``, ``jax``, ``mlx``, ..."""
    name = type(array).__module__.split(".", 1)[0]
    return "jax" if name == "jaxlib" else name


def astype(array, name: str):
    """The array in another dtype, by its own library."""
    owner = library(array)
    if owner == "torch":
        return array.to(getattr(sys.modules["torch"], name))
    if owner == "mlx":
        return array.astype(getattr(sys.modules["mlx.core"], name))
    if owner == "numpy" and name == "bfloat16":
        import ml_dtypes

        return array.astype(ml_dtypes.bfloat16)
    return array.astype(name)


def core(operation: str, *arrays):
    """The function that computes: the C one, that of torch's operators or of JAX where gradients or tracing ask for it, or MLX's.

    ``arrays`` are those that can carry a gradient. Nothing of these libraries is imported for arrays of others.
    """
    module = type(arrays[0]).__module__
    if module[:5] == "torch" and (_needs_operators or _load_torch())(arrays):
        from smelt.torch import core as operators

        return getattr(operators, operation)
    if module[:3] == "jax" and any(a is not None and _needs_program(a) for a in arrays):
        from smelt import jax

        return getattr(jax, operation)
    if module[:3] == "mlx":
        from smelt import mlx

        return getattr(mlx, operation)
    return getattr(_smelt, operation)


def _needs_program(array) -> bool:
    """Whether a JAX array goes through XLA: a tracer, or one that is not in the memory of one CPU device."""
    if type(array).__module__[:4] == "jax.":
        return True
    if not hasattr(array, "devices"):  # no array of JAX: for C to name
        return False
    devices = array.devices()
    return len(devices) > 1 or next(iter(devices)).platform != "cpu"


def _load_torch():
    global _needs_operators
    from smelt._torch import needs_operators

    _needs_operators = needs_operators
    return needs_operators


def expect_array(operation: str, name: str, value) -> None:
    if not is_array(value):
        raise TypeError(f"{operation}: {name}: expected an array, got {type(value).__name__}")


def is_array(value) -> bool:
    return hasattr(value, "__dlpack__") and hasattr(value, "dtype")


def promotion(operation: str, arrays) -> str:
    """MLX's promotion: floating types among themselves; integers and booleans take the floating type beside them."""
    names = {dtype_name(a) for a in arrays if a is not None}
    floating = {n for n in names if n in _FLOATING or n == "float64"}
    other = names - floating
    if any(n.startswith("complex") for n in other) or not floating:
        raise ValueError(f"{operation}: expected floating arrays, got {', '.join(sorted(names))}")
    if "float64" in floating:
        return "float64"
    return floating.pop() if len(floating) == 1 else "float32"


def cast(operation: str, arrays, arguments, function=None):
    """Calls again with all arrays in the promoted dtype; float64 is computed in float32 and comes back as float64."""
    result_dtype = promotion(operation, arrays)
    dtype = "float32" if result_dtype == "float64" else result_dtype
    given = [a if a is None or dtype_name(a) == dtype else astype(a, dtype) for a in arrays]
    result = (function or core(operation, *given))(*given, *arguments)
    if result is NotImplemented:
        raise ValueError(f"{operation}: expected floating arrays")
    return astype_all(result, result_dtype) if result_dtype == "float64" else result


def astype_all(result, name: str):
    if isinstance(result, tuple):
        return tuple(None if r is None else astype(r, name) for r in result)
    return astype(result, name)


def like(result, first):
    """The result in the dtype of the first argument, as EMLX documents it."""
    return result if result.dtype == first.dtype else astype(result, dtype_name(first))
