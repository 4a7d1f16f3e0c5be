# SPDX-License-Identifier: Apache-2.0
import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, Protocol

MathMode = Literal["safe", "relaxed", "fast"]

class CompileError(RuntimeError):
    log: str

class Kernel(Protocol):
    def __call__(
        self,
        *,
        inputs: Iterable[Any],
        output_shapes: Sequence[Sequence[int] | int],
        output_dtypes: Sequence[Any],
        grid: Sequence[int],
        threadgroup: Sequence[int],
        template: Iterable[tuple[str, Any]] | None = None,
        init_value: float | None = None,
        verbose: bool = False,
        stream: Any = None,
    ) -> list[Any]: ...

def metal_kernel(
    name: str,
    input_names: Iterable[str],
    output_names: Iterable[str],
    source: str,
    header: str = "",
    ensure_row_contiguous: bool = True,
    atomic_outputs: bool = False,
    math_mode: MathMode | None = None,
    compile_options: Mapping[str, str] | None = None,
) -> Kernel: ...

class Binding(NamedTuple):
    kind: Literal["buffer", "threadgroup"]
    index: int
    name: str
    type: str
    writable: bool
    is_reference: bool
    element_size: int

class Function:
    name: str
    bindings: list[Binding]
    threadgroup_memory: int
    def __call__(
        self,
        buffers: Mapping[int, Any] | None = None,
        bytes: Mapping[int, Any] | None = None,
        threadgroup_memory: Mapping[int, int] | None = None,
        grid: Sequence[int] | int = (1, 1, 1),
        threadgroup: Sequence[int] | int = (1, 1, 1),
        grid_unit: Literal["threads", "threadgroups"] = "threads",
        *,
        stream: Any = None,
    ) -> None: ...

class Library:
    def __init__(
        self,
        source: str | os.PathLike[str],
        *,
        math_mode: MathMode = "safe",
        include_dirs: Iterable[str | os.PathLike[str]] | str | os.PathLike[str] = (),
        defines: Mapping[str, Any] | Iterable[str] | None = None,
        device: Literal["cpu", "cuda"] = "cpu",
        check: bool = False,
    ) -> None: ...
    @property
    def functions(self) -> list[str]: ...
    def function(self, name: str, constants: Mapping[int, Any] | None = None) -> Function: ...
