# SPDX-License-Identifier: Apache-2.0
"""smelt: the fused transformer kernels of ``mlx.fast`` for arrays of any library.

Every function takes NumPy, PyTorch, JAX, CuPy or MLX arrays (anything with DLPack) and gives back arrays of the same
library, without a copy of the inputs. ``smelt.fast`` has them under the names and signatures of ``mx.fast``.
"""

from smelt import fast, metal
from smelt._smelt import CompileError, UnsupportedError, __version__
from smelt.fast import *  # noqa: F403
from smelt.fast import __all__ as _functions


def info() -> dict:
    """What smelt found on this machine: version, back ends, ISA, threads, devices, cache, compiler."""
    import json

    from smelt import _smelt

    return json.loads(_smelt.info())


__all__ = ["fast", "metal", "info", "CompileError", "UnsupportedError", "__version__", *_functions]
