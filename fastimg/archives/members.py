# SPDX-License-Identifier: BSD-3-Clause
"""The members of an archive as a sequence that takes little memory."""

from __future__ import annotations

import operator
from collections.abc import Iterator, Sequence
from itertools import repeat
from typing import Any, overload

import numpy as np
import numpy.typing as npt

from fastimg.archives.listing import NOT_PACKED, Listing, pack_names, unpack_names
from fastimg.archives.readers import MemberReader, TarStream, ZipReader
from fastimg.source_readers import SourceReader
from fastimg.sources import BY_READER, FileRange, ReaderItem, SourceList, encode_path
from fastimg.wording import counted


class ArchiveMembers(Sequence[FileRange | ReaderItem]):
    """Members of an archive: a `FileRange` for each, or a `ReaderItem` if it is compressed, made when it is asked for.

    Indexes, slices, compares and adds like a list, and pickles in a few milliseconds. It cannot be changed, as
    ``list(members)`` can.

    Parameters
    ----------
    path : str
        The archive.
    packed_names : bytes
        The name of each member, in UTF-8 (surrogates, too), followed by a null byte.
    ranges : ndarray of uint64, (N, 2)
        Offset and size of each.
    archives : ndarray of uint32, (N,), optional
        The number of the tar archive that holds it, if several follow one another in a file.
    reader : MemberReader, optional
        What reads those that are compressed.
    items : ndarray of int64, (N,), optional
        Which image of `reader` each is; -1: none, it is stored.
    """

    __slots__ = ("_names", "archives", "items", "packed_names", "path", "ranges", "reader")
    __hash__ = None  # type: ignore[assignment]

    def __init__(
        self,
        path: str,
        packed_names: bytes,
        ranges: npt.NDArray[np.uint64],
        archives: npt.NDArray[np.uint32] | None = None,
        reader: MemberReader | None = None,
        items: npt.NDArray[np.int64] | None = None,
    ) -> None:
        self.path, self.packed_names, self.ranges, self.archives = path, packed_names, ranges, archives
        self.reader, self.items = reader, items
        self._names: list[str] | None = None  # only once one of them is asked for

    @classmethod
    def of(cls, listing: Listing) -> ArchiveMembers:
        columns = listing.path, listing.names, listing.ranges
        if listing.crcs is None:
            return cls(*columns, listing.archives)
        packed = listing.ranges[:, 1] if listing.packed is None else listing.packed
        places = np.column_stack([listing.ranges[:, 0], packed, listing.ranges[:, 1]])
        if listing.codec:
            items = np.arange(len(listing))
            stream = TarStream(listing.path, listing.names, places, listing.crcs, listing.codec)
            return cls(*columns, listing.archives, stream, items)
        compressed = packed != NOT_PACKED
        names = unpack_names(listing.names)
        reader = ZipReader(
            listing.path,
            pack_names([names[i] for i in np.flatnonzero(compressed)]),
            places[compressed],
            listing.crcs[compressed],
        )
        return cls(*columns, None, reader, np.where(compressed, np.cumsum(compressed) - 1, -1))

    @property
    def names(self) -> list[str]:
        """The names of the members."""
        return unpack_names(self.packed_names)

    def __len__(self) -> int:
        return len(self.ranges)

    @overload
    def __getitem__(self, index: int) -> FileRange | ReaderItem: ...
    @overload
    def __getitem__(self, index: slice) -> ArchiveMembers: ...
    def __getitem__(self, index: Any) -> Any:
        if self._names is None:
            self._names = self.names
        if isinstance(index, slice):
            archives = None if self.archives is None else self.archives[index].copy()
            items = None if self.items is None else self.items[index].copy()
            names = pack_names(self._names[index])
            return ArchiveMembers(self.path, names, self.ranges[index].copy(), archives, self.reader, items)
        index = operator.index(index)
        if not -len(self) <= index < len(self):
            raise IndexError(f"index {index} is out of range for {len(self)} members")
        if self.items is not None and self.items[index] >= 0:
            return ReaderItem(self.reader, int(self.items[index]))
        offset, size = self.ranges[index].tolist()
        return FileRange(self.path, offset, size, self._names[index])

    def __iter__(self) -> Iterator[FileRange | ReaderItem]:
        items = repeat(-1) if self.items is None else self.items.tolist()
        for name, (offset, size), item in zip(self.names, self.ranges.tolist(), items, strict=False):
            yield FileRange(self.path, offset, size, name) if item < 0 else ReaderItem(self.reader, item)

    def __eq__(self, other: object) -> bool:
        if isinstance(other, ArchiveMembers):
            mine, others = self.__getstate__(), other.__getstate__()
            return all(map(np.array_equal, mine[:3], others[:3])) and (
                list(self) == list(other) if self.reader or other.reader else True
            )
        if isinstance(other, list):
            return len(self) == len(other) and all(map(operator.eq, self, other))
        return NotImplemented

    def __add__(self, other: Any) -> list[Any]:
        return [*self, *other] if isinstance(other, list | ArchiveMembers) else NotImplemented

    def __radd__(self, other: Any) -> list[Any]:
        return [*other, *self] if isinstance(other, list) else NotImplemented

    def __repr__(self) -> str:
        return f"<{counted(len(self), 'member')} of {self.path}>"

    def __getstate__(self) -> tuple[Any, ...]:
        return self.path, self.packed_names, self.ranges, self.archives, self.reader, self.items

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.__init__(*state)  # type: ignore[misc]

    def _source_list(self) -> SourceList:
        """The same, packed for the core, without an object for each."""
        packed = SourceList(())
        packed.blob = encode_path(self.path) + b"\0"
        packed.starts = np.zeros(len(self), np.uint64)
        packed.ranges = self.ranges
        packed.names = self.packed_names
        if self.reader is not None and self.items is not None:
            compressed = self.items >= 0
            packed.readers = [SourceReader(self.reader)]
            packed.starts[compressed] = BY_READER
            packed.ranges = self.ranges.copy()
            packed.ranges[compressed, 0] = 0
            # NumPy converts while it assigns only with a buffer, and crashes if there is no memory for that.
            packed.ranges[compressed, 1] = self.items[compressed].astype(np.uint64)
        return packed
