# SPDX-License-Identifier: BSD-3-Clause
"""Where JPEG data comes from: paths, parts of files, memory."""

from __future__ import annotations

import mmap
import operator
import os
import pickle
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import numpy.typing as npt

from fastimg.packing import starts_of
from fastimg.remote import is_url, open_urls
from fastimg.source_readers import Reader, SourceReader, is_reader

if TYPE_CHECKING:
    from typing_extensions import Buffer  # in collections.abc from Python 3.12 on

Source: TypeAlias = (
    "str | os.PathLike[str] | os.PathLike[bytes] | Buffer | npt.NDArray[Any] | FileRange | ReaderItem"
)
Sources: TypeAlias = "Iterable[Source] | Reader"

WHOLE_FILE = 2**64 - 1
IN_MEMORY = 2**64 - 1
BY_READER = 2**64 - 2


@dataclass(frozen=True, slots=True)
class FileRange:
    """A JPEG that is part of a file: a member of a tar or (stored) zip archive, a record of a shard.

    Parameters
    ----------
    path : str or os.PathLike
        The file.
    offset : int
        Position of its first byte.
    size : int
        Number of bytes.
    name : str
        Its name in that file, if any; errors then say ``shard.tar/cat.jpg`` instead of ``shard.tar[512:900]``.

    Raises
    ------
    TypeError
        If `path` is not a path, `offset` or `size` is not an integer, or `name` is not a str.
    ValueError
        If `offset` or `size` is negative, or `name` contains a null character.

    Examples
    --------
    >>> member = fastimg.archive_members("photos.tar")[0]
    >>> source = fastimg.FileRange("photos.tar", member.offset, member.size)
    >>> fastimg.decode(source).shape
    (3, 256, 256)
    """

    path: str | os.PathLike[str]
    offset: int
    size: int
    name: str = ""

    def __post_init__(self) -> None:
        if not isinstance(self.path, str | os.PathLike):
            raise TypeError(f"path must be a str or os.PathLike, found {type(self.path).__name__}")
        for name in ("offset", "size"):
            value = operator.index(getattr(self, name))
            if not 0 <= value < 2**63:
                raise ValueError(f"{name} must be from 0 to 2**63 - 1, found {value}")
            object.__setattr__(self, name, value)
        if not isinstance(self.name, str):
            raise TypeError(f"name must be a str, found {type(self.name).__name__}")
        if "\0" in self.name:
            raise ValueError(f"name cannot contain a null character, found {self.name!r}")

    def __str__(self) -> str:
        if self.name:
            return f"{os.fsdecode(self.path)}/{self.name}"
        return f"{os.fsdecode(self.path)}[{self.offset}:{self.offset + self.size}]"


@dataclass(frozen=True, slots=True)
class ReaderItem:
    """One image of an object that reads images by itself.

    Parameters
    ----------
    reader : Reader
        The object: see `load`.
    index : int
        Which of its images.

    Raises
    ------
    TypeError
        If `reader` has no ``read`` or no length, or `index` is not an integer.
    IndexError
        If `index` is out of range.

    Examples
    --------
    >>> reader = fastimg.open_sources("zip://**/*.jpg::more.zip")
    >>> item = fastimg.sources.ReaderItem(reader, 3)
    >>> fastimg.decode(item).shape
    (3, 256, 256)
    """

    reader: Any
    index: int

    def __post_init__(self) -> None:
        if not is_reader(self.reader):
            raise TypeError(f"reader must have read() and a length, found {type(self.reader).__name__}")
        index = operator.index(self.index)
        if not 0 <= index < len(self.reader):
            raise IndexError(f"index {index} is out of range for {len(self.reader)} images")
        object.__setattr__(self, "index", index)

    def __str__(self) -> str:
        return SourceReader.of(self.reader).name(self.index)

    def read(self) -> Any:
        """Read the image's data.

        Returns
        -------
        bytes-like
            What the reader gives.

        Raises
        ------
        Exception
            Whatever the reader raises.

        Examples
        --------
        >>> reader = fastimg.open_sources("zip://**/*.jpg::more.zip")
        >>> data = fastimg.sources.ReaderItem(reader, 3).read()
        """
        return SourceReader.of(self.reader).read(self.index)


def open_url(source: Any) -> Any:
    """The image at a URL, if a source is one, else the source."""
    return ReaderItem(open_urls([source]), 0) if isinstance(source, str) and is_url(source) else source


def encode_path(path: Any) -> bytes:
    """The bytes of a path as the system takes them."""
    encoded = os.fsencode(path)
    if b"\0" in encoded:
        raise ValueError(f"a path cannot contain a null byte, found {path!r}")
    return encoded


class SourceList:
    """Packed sources: all paths in one bytes object, so that 35,000 of them pickle in less than a millisecond,
    and are neither reference-counted by every thread nor copied page by page after a fork.

    Parameters
    ----------
    sources : iterable of Source
        Paths, bytes-like objects, `FileRange` and `ReaderItem` objects in any mixture.

    Attributes
    ----------
    blob : bytes
        The paths, each followed by a null byte. Neighbouring ranges of one file share its path.
    starts : ndarray of uint64, (N,)
        Position of each source's path in `blob`; IN_MEMORY for a bytes-like object, BY_READER for an image of a reader.
    ranges : ndarray of uint64, (N, 2), or None
        Offset and size of a `FileRange`; 0 and WHOLE_FILE for a whole file; number of the reader, and index of its
        image. None: all are whole files or in memory.
    readers : list of SourceReader
    names : bytes
        The name of each source's `FileRange`, followed by a null byte, so that errors can show it after an accessor was
        sent to another process; empty if there are no names. They are indexed when the first is asked for.
    buffers : dict of int to object
        The bytes-like objects.

    Raises
    ------
    TypeError
        If an entry is something else.
    ValueError
        If a path contains a null byte.
    """

    __slots__ = ("_name_starts", "blob", "buffers", "names", "ranges", "readers", "starts")

    def __init__(self, sources: Iterable[Source]) -> None:
        reject_single_source(sources)
        parts: list[bytes] = []
        starts: list[int] = []
        ranges: dict[int, tuple[int, int]] = {}
        names: dict[int, bytes] = {}
        self.buffers: dict[int, Any] = {}
        self.readers: list[SourceReader] = []
        numbers: dict[int, int] = {}  # of readers, by identity
        urls: dict[int, str] = {}
        end, last, last_start = 0, None, 0
        for i, source in enumerate(sources):
            path: Any = source
            if isinstance(source, FileRange):
                path = source.path
                ranges[i] = (source.offset, source.size)
                if source.name:
                    names[i] = source.name.encode("utf-8", "surrogatepass")
            elif isinstance(source, ReaderItem):
                number = numbers.setdefault(id(source.reader), len(self.readers))
                if number == len(self.readers):
                    self.readers.append(SourceReader.of(source.reader))
                ranges[i] = (number, source.index)
                starts.append(BY_READER)
                continue
            elif isinstance(source, str) and is_url(source):
                urls[i] = source
                starts.append(BY_READER)
                continue
            elif not isinstance(source, str | os.PathLike):
                check_buffer(source)
                self.buffers[i] = source
                starts.append(IN_MEMORY)
                continue
            encoded = encode_path(path)
            if i not in ranges or encoded != last:
                parts.append(encoded)
                last, last_start = encoded, end
                end += len(encoded) + 1
            starts.append(last_start)
        if urls:
            ranges.update((i, (len(self.readers), item)) for item, i in enumerate(urls))
            self.readers.append(SourceReader.of(open_urls(list(urls.values()))))
        self.blob = b"".join(part + b"\0" for part in parts)
        self.starts = np.array(starts, np.uint64)
        self.ranges: npt.NDArray[np.uint64] | None = None
        if ranges:
            self.ranges = np.tile(np.array([0, WHOLE_FILE], np.uint64), (len(starts), 1))
            self.ranges[list(ranges)] = list(ranges.values())
        self.names = b"".join(names.get(i, b"") + b"\0" for i in range(len(starts))) if names else b""
        self._name_starts: npt.NDArray[np.uint64] | None = None

    @classmethod
    def of_paths(cls, blob: bytes, starts: npt.NDArray[np.uint64]) -> SourceList:
        """Sources of paths that are packed already."""
        packed = cls(())
        packed.blob, packed.starts = blob, starts
        return packed

    def __len__(self) -> int:
        return len(self.starts)

    def __getitem__(self, index: int) -> Any:
        """The source at a position, a path as str."""
        start = int(self.starts[index])
        if start == IN_MEMORY:
            return self.buffers[index]
        if start == BY_READER:
            reader, item = self._read_by(index)
            return ReaderItem(reader.here()[0], item)
        path = os.fsdecode(self.blob[start : self.blob.index(b"\0", start)])
        if self.ranges is not None and int(self.ranges[index, 1]) != WHOLE_FILE:
            return FileRange(path, int(self.ranges[index, 0]), int(self.ranges[index, 1]), self._name(index))
        return path

    def _name(self, index: int) -> str:
        if not self.names:
            return ""
        if self._name_starts is None:
            self._name_starts = starts_of(self.names)
        start = int(self._name_starts[index])
        return self.names[start : self.names.index(b"\0", start)].decode("utf-8", "surrogatepass")

    @classmethod
    def of_reader(cls, reader: SourceReader) -> SourceList:
        """All images of a reader."""
        packed = cls(())
        packed.readers = [reader]
        packed.starts = np.full(len(reader), BY_READER, np.uint64)
        packed.ranges = np.zeros((len(reader), 2), np.uint64)
        packed.ranges[:, 1] = np.arange(len(reader))
        return packed

    def _is_a_reader(self) -> bool:
        """Whether these are all images of one reader."""
        if len(self.readers) != 1 or self.ranges is None or not (self.starts == BY_READER).all():
            return False
        return len(self.readers[0]) == len(self) and bool((self.ranges[:, 1] == np.arange(len(self))).all())

    def __getstate__(self) -> tuple[Any, ...]:
        if self._is_a_reader():
            return (self.readers[0],)
        return self._state()

    def _state(self) -> tuple[Any, ...]:
        # The blob says where plain paths begin, if each begins where the one before ends.
        starts = None if self._is_plain() else self.starts
        return self.blob, starts, self.ranges, self.buffers, self.names, self.readers

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        if len(state) == 1:
            state = SourceList.of_reader(*state)._state()
        self.blob, starts, self.ranges, self.buffers, self.names, self.readers = state
        self.starts = starts_of(self.blob) if starts is None else starts
        self._name_starts = None

    def _is_plain(self) -> bool:
        return self.ranges is None and not self.buffers

    def _read_by(self, index: int) -> tuple[SourceReader, int]:
        assert self.ranges is not None
        number, item = self.ranges[index].tolist()
        return self.readers[number], item

    def describe(self, index: int) -> tuple[int, bool]:
        """The size of a reader's image, or UNKNOWN, and whether no other may be read at the same time."""
        reader, item = self._read_by(index)
        return reader.nbytes(item), reader.alone

    def read(self, index: int) -> Any:
        """The data of an image of a reader, a bytes-like object."""
        reader, item = self._read_by(index)
        return reader.read(item)

    def hashable(self) -> tuple[Any, ...]:
        """Plain, hashable values that are equal for equal sources."""
        ranges = None if self.ranges is None else self.ranges.tobytes()
        buffers = tuple((i, bytes(b)) for i, b in self.buffers.items())
        return self.blob, self.starts.tobytes(), ranges, buffers, self.names, pickle.dumps(self.readers)


def is_packed_or_reader(sources: Any) -> bool:
    """Whether `sources` are more than an iterable of them: packed already, or read by an object of the caller's."""
    return hasattr(sources, "_source_list") or is_reader(sources)


def pack_with_originals(sources: Any) -> tuple[Any, SourceList]:
    """What errors take an image's source from, by index, and the sources packed."""
    if is_packed_or_reader(sources):
        packed = pack_sources(sources)
        return packed, packed
    items = sources if isinstance(sources, list | tuple) else list(sources)
    return items, SourceList(items)


def pack_sources(sources: Any) -> SourceList:
    """The sources of a call or an accessor, packed."""
    if hasattr(sources, "_source_list"):
        packed: SourceList = sources._source_list()
        return packed
    if not is_reader(sources):
        return SourceList(sources)
    return SourceList.of_reader(SourceReader.of(sources))


ONE_SOURCE = (str, bytes, bytearray, memoryview, mmap.mmap, os.PathLike, FileRange, ReaderItem)


def reject_single_source(sources: Any) -> None:
    """Refuses a single source where several are expected; a str is a sequence, too."""
    if isinstance(sources, ONE_SOURCE):
        raise TypeError(
            f"expected a sequence of sources, found one {type(sources).__name__}; put it in a list"
        )


def check_buffer(source: Any) -> None:
    """Refuses what has no contiguous buffer, and so is no source."""
    try:
        view = memoryview(source)
    except TypeError:
        raise TypeError(
            "a source is a path (str or os.PathLike), a bytes-like object, a FileRange or a ReaderItem, "
            f"found {type(source).__name__}"
        ) from None
    if not view.c_contiguous:
        raise ValueError(f"a bytes-like source must be contiguous, found strides {view.strides}")
