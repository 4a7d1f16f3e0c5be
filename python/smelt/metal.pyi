# SPDX-License-Identifier: Apache-2.0
import os
from collections.abc import Mapping, Sequence
from typing import Any, Literal

_Mode = Literal["safe", "relaxed", "fast"]

class _Kernel:
    def __call__(
        self,
        *,
        inputs: Sequence[Any],
        output_shapes: Sequence[Sequence[int]],
        output_dtypes: Sequence[Any],
        grid: Sequence[int],
        threadgroup: Sequence[int],
        template: Sequence[tuple[str, Any]] | None = None,
        init_value: float | None = None,
        verbose: bool = False,
        stream: Any = None,
    ) -> list[Any]: ...

def metal_kernel(
    name: str,
    input_names: Sequence[str],
    output_names: Sequence[str],
    source: str,
    header: str = "",
    ensure_row_contiguous: bool = True,
    atomic_outputs: bool = False,
    math_mode: _Mode | None = None,
    compile_options: Mapping[str, Any] | None = None,
) -> _Kernel: ...

class Binding(tuple[Any, ...]):
    @property
    def kind(self) -> str: ...
    @property
    def index(self) -> int: ...  # type: ignore[override]
    @property
    def name(self) -> str: ...
    @property
    def type(self) -> str: ...
    @property
    def writable(self) -> bool: ...
    @property
    def is_reference(self) -> bool: ...
    @property
    def element_size(self) -> int: ...

class Library:
    def __init__(
        self,
        source: str | os.PathLike[str],
        *,
        math_mode: _Mode = "safe",
        include_dirs: Sequence[str | os.PathLike[str]] = (),
        defines: Mapping[str, Any] | None = None,
        device: Literal["cpu", "cuda"] = "cpu",
        check: bool = False,
    ) -> None: ...
    @property
    def functions(self) -> list[str]: ...
    def function(self, name: str, constants: Mapping[int, Any] | None = None) -> Function: ...

class Function:
    name: str
    bindings: list[Binding]
    threadgroup_memory: int
    def __call__(
        self,
        buffers: Mapping[int, Any] | None = None,
        bytes: Mapping[int, Any] | None = None,
        threadgroup_memory: Mapping[int, int] | None = None,
        grid: Sequence[int] = (1, 1, 1),
        threadgroup: Sequence[int] = (1, 1, 1),
        grid_unit: Literal["threads", "threadgroups"] = "threads",
        *,
        stream: Any = None,
    ) -> None: ...
