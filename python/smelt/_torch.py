# SPDX-License-Identifier: Apache-2.0
"""Whether a call with PyTorch tensors has to go through the registered operators. On the way of every call: plain loops."""

from torch import Tensor, is_grad_enabled
from torch._C._functorch import maybe_current_level
from torch.compiler import is_compiling
from torch.nn import Parameter


def needs_operators(arrays) -> bool:
    if is_compiling():
        return True
    recording = is_grad_enabled()
    special = maybe_current_level() is not None
    wanted = False
    for array in arrays:
        if array is None:
            continue
        kind = type(array)
        if kind is not Tensor and kind is not Parameter:
            if not isinstance(array, Tensor):
                return False  # the C function names the argument
            special = True
        elif recording and array.requires_grad:
            wanted = True
    return special or wanted
