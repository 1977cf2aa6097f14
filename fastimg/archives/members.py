# SPDX-License-Identifier: BSD-3-Clause
"""The members of an archive as a sequence that takes little memory."""

from __future__ import annotations

import operator
from collections.abc import Iterator, Sequence
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from fastimg.archives.listing import Listing, pack_names, unpack_names
from fastimg.sources import FileRange, SourceList, encode_path


class ArchiveMembers(Sequence[FileRange]):
    """Members of an archive: a `FileRange` for each, made when it is asked for.

    Indexes, slices, compares and adds like a list, and pickles in a few milliseconds. It cannot be changed, as
    ``list(members)`` can.

    Attributes
    ----------
    path : str
        The archive.
    packed_names : bytes
        The name of each member, in UTF-8 (surrogates, too), followed by a null byte.
    ranges : ndarray of uint64, (N, 2)
        Offset and size of each.
    archives : ndarray of uint32, (N,), or None
        The number of the tar archive that holds it, if several follow one another in a file.
    """

    __slots__ = ("_names", "archives", "packed_names", "path", "ranges")
    __hash__ = None  # type: ignore[assignment]

    def __init__(
        self,
        path: str,
        packed_names: bytes,
        ranges: npt.NDArray[np.uint64],
        archives: npt.NDArray[np.uint32] | None = None,
    ) -> None:
        self.path, self.packed_names, self.ranges, self.archives = path, packed_names, ranges, archives
        self._names: list[str] | None = None  # only once one of them is asked for

    @classmethod
    def of(cls, listing: Listing) -> ArchiveMembers:
        return cls(listing.path, listing.names, listing.ranges, listing.archives)

    @property
    def names(self) -> list[str]:
        """The names of the members."""
        return unpack_names(self.packed_names)

    def __len__(self) -> int:
        return len(self.ranges)

    @overload
    def __getitem__(self, index: int) -> FileRange: ...
    @overload
    def __getitem__(self, index: slice) -> ArchiveMembers: ...
    def __getitem__(self, index: Any) -> Any:
        if self._names is None:
            self._names = self.names
        if isinstance(index, slice):
            archives = None if self.archives is None else self.archives[index].copy()
            return ArchiveMembers(
                self.path, pack_names(self._names[index]), self.ranges[index].copy(), archives
            )
        index = operator.index(index)
        if not -len(self) <= index < len(self):
            raise IndexError(f"index {index} is out of range for {len(self)} members")
        offset, size = self.ranges[index].tolist()
        return FileRange(self.path, offset, size, self._names[index])

    def __iter__(self) -> Iterator[FileRange]:
        for name, (offset, size) in zip(self.names, self.ranges.tolist(), strict=True):
            yield FileRange(self.path, offset, size, name)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, ArchiveMembers):
            return (self.path, self.packed_names) == (other.path, other.packed_names) and np.array_equal(
                self.ranges, other.ranges
            )
        if isinstance(other, list):
            return len(self) == len(other) and all(map(operator.eq, self, other))
        return NotImplemented

    def __add__(self, other: Any) -> list[Any]:
        return [*self, *other] if isinstance(other, list | ArchiveMembers) else NotImplemented

    def __radd__(self, other: Any) -> list[Any]:
        return [*other, *self] if isinstance(other, list) else NotImplemented

    def __repr__(self) -> str:
        return f"<{len(self)} members of {self.path}>"

    def __getstate__(self) -> tuple[Any, ...]:
        return self.path, self.packed_names, self.ranges, self.archives

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.__init__(*state)  # type: ignore[misc]

    def _source_list(self) -> SourceList:
        """The same, packed for the core, without an object for each."""
        packed = SourceList(())
        packed.blob = encode_path(self.path) + b"\0"
        packed.starts = np.zeros(len(self), np.uint64)
        packed.ranges = self.ranges
        packed.names = self.packed_names
        return packed
