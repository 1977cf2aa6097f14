# SPDX-License-Identifier: BSD-3-Clause
"""Many paths in one bytes object."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, Self, overload

import numpy as np
import numpy.typing as npt

from fastimg.indexing import resolve
from fastimg.packing import starts_of
from fastimg.sources import SourceList, reject_single_source

_CHUNK = 4096  # paths that an iterator decodes at a time


class PackedPaths(Sequence[str]):
    """A sequence of paths that makes each str when it is asked for; a slice or an array of indices gives another one.

    Parameters
    ----------
    blob : bytes
        The encoded paths, each followed by a null byte.

    Raises
    ------
    ValueError
        If `blob` does not end with a null byte.
    """

    __slots__ = ("_blob", "_starts")

    def __init__(self, blob: bytes) -> None:
        if blob and not blob.endswith(b"\0"):
            raise ValueError("expected a null byte after every path")
        self._blob = blob
        self._starts = starts_of(blob)

    @classmethod
    def pack(cls, paths: Iterable[Any], root: str) -> Self:
        """Pack paths, absolute ones as they are and others after `root`.

        Raises
        ------
        TypeError
            A path is not a str or os.PathLike.
        ValueError
            A path contains a null character.
        """
        reject_single_source(paths)
        names = [path if isinstance(path, str) else _to_str(path) for path in paths]
        if os.sep == "/":  # the same, but quick
            prefix = os.path.join(root, "")
            blob = os.fsencode("".join([(n if n.startswith("/") else prefix + n) + "\0" for n in names]))
        else:
            blob = os.fsencode("".join([os.path.join(root, n) + "\0" for n in names]))
        packed = cls(blob)
        if len(packed) != len(names):
            found = next(name for name in names if "\0" in name)
            raise ValueError(f"a path cannot contain a null byte, found {found!r}")
        return packed

    def with_root(self, root: str, new: str) -> Self:
        """The same paths, those below the folder `root` below `new` instead."""
        old, prefix = (b"\0" + os.path.join(os.fsencode(folder), b"") for folder in (root, new))
        return type(self)((b"\0" + self._blob).replace(old, prefix)[1:])

    def take(self, positions: npt.NDArray[np.int64]) -> Self:
        """Those paths, in that order."""
        ends = np.append(self._starts[1:], np.uint64(len(self._blob)))
        blob = self._blob
        if len(positions) and (np.diff(positions) == 1).all():
            return type(self)(blob[int(self._starts[positions[0]]) : int(ends[positions[-1]])])
        pairs = zip(self._starts[positions].tolist(), ends[positions].tolist(), strict=True)
        return type(self)(b"".join([blob[start:end] for start, end in pairs]))

    def _source_list(self) -> SourceList:
        return SourceList.of_paths(self._blob, self._starts)

    def __len__(self) -> int:
        return len(self._starts)

    @overload
    def __getitem__(self, index: int) -> str: ...

    @overload
    def __getitem__(self, index: Any) -> Any: ...

    def __getitem__(self, index: Any) -> Any:
        """A path, or several of them packed."""
        chosen = resolve(index, len(self))
        if not isinstance(chosen, int):
            return self.take(chosen)
        start = int(self._starts[chosen])
        return os.fsdecode(self._blob[start : self._blob.index(b"\0", start)])

    def __iter__(self) -> Iterator[str]:
        for first in range(0, len(self), _CHUNK):
            last = first + _CHUNK
            end = int(self._starts[last]) if last < len(self) else len(self._blob)
            yield from os.fsdecode(self._blob[int(self._starts[first]) : end - 1]).split("\0")

    def __repr__(self) -> str:
        shown = [repr(self[i]) for i in range(min(len(self), 3))]
        more = [f"... {len(self):,} in all"] if len(self) > 3 else []
        return f"<{type(self).__name__}: {', '.join([*shown, *more])}>"

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self._blob,)  # the blob says where paths begin


def _to_str(path: Any) -> str:
    if not isinstance(path, os.PathLike):
        raise TypeError(f"a path must be a str or os.PathLike, found {type(path).__name__}")
    return os.fsdecode(path)
