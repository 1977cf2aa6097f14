# SPDX-License-Identifier: BSD-3-Clause
from collections.abc import Callable
from typing import Any, Self, TypeAlias, final

import numpy as np
import numpy.typing as npt
from typing_extensions import disjoint_base

from fastimg.errors import Failure
from fastimg.sources import Source, SourceList

_HeaderFields: TypeAlias = tuple[int, int, int, str, int, int, int, int, int, tuple[tuple[int, int], ...]]

@disjoint_base
class Options:
    def __new__(
        cls,
        *,
        mode: str,
        layout: str,
        size: tuple[int, int] | None,
        fit: str,
        resample: str,
        reducing_gap: float | None,
        pad_value: tuple[int, ...],
        orient: bool,
        dtype: str,
        mean: tuple[float, ...],
        std: tuple[float, ...],
        strict: bool,
        max_pixels: int,
        max_scans: int,
        table: bytes,
    ) -> Self: ...
    @property
    def dtype(self) -> np.dtype[Any]: ...
    @property
    def storage(self) -> np.dtype[Any]: ...
    @property
    def size(self) -> tuple[int, int] | None: ...
    @property
    def channels(self) -> int: ...
    @property
    def planar(self) -> bool: ...
    def shape(self, height: int, width: int) -> tuple[int, int, int]: ...

@final
class Memo:
    def __new__(cls, function: Callable[..., Any]) -> Memo: ...
    def __call__(self, given: tuple[Any, ...]) -> Any: ...

@final
class Batch:
    def __new__(
        cls,
        sources: SourceList,
        indices: npt.NDArray[np.int64] | None,
        options: Options,
        crop: tuple[int, int, int, int] | npt.NDArray[np.int64] | None,
        flip: bool | npt.NDArray[np.bool_],
        stop_on_failure: bool,
    ) -> Batch: ...
    def __len__(self) -> int: ...
    @property
    def done(self) -> int: ...
    @property
    def exhausted(self) -> bool: ...
    def set_output(self, out: Any, shape: int | tuple[int, ...] | list[tuple[int, int, int]]) -> None: ...
    def run(self, budget_ns: int) -> None: ...
    def cancel(self) -> None: ...
    def failures(self) -> list[Failure]: ...
    def headers(self) -> list[_HeaderFields]: ...
    def sizes(self) -> npt.NDArray[np.int64]: ...

@final
class ThreadGroup:
    def __new__(cls) -> ThreadGroup: ...
    def start(
        self,
        work: Callable[[], object],
        count: int,
        spawn: Callable[[Callable[..., object], tuple[Any, ...]], object] = ...,
    ) -> int: ...
    def run(self, work: Callable[[], object], lock: Any) -> None: ...
    def wait(self, seconds: float) -> bool: ...
    def stop(self, cancel: Callable[[], object]) -> None: ...

@final
class View:
    def __new__(cls) -> View: ...

@final
class Decoder:
    def __new__(cls) -> Decoder: ...

def decode(
    source: Source,
    out: Any,
    options: Options,
    crop: tuple[int, int, int, int] | None,
    flip: bool,
    batched: bool,
) -> npt.NDArray[Any]: ...
def verify(source: Source, options: Options) -> tuple[tuple[str, ...], int, bool]: ...
def read_header(source: Source) -> _HeaderFields: ...

MODES: dict[str, int]
LAYOUTS: dict[str, int]
DTYPES: dict[str, int]
FITS: dict[str, int]
FILTERS: dict[str, int]
core_info: tuple[str, str, str]
