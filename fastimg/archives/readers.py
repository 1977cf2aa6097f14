# SPDX-License-Identifier: BSD-3-Clause
"""Members of archives that are compressed: readers, as `load` takes them."""

from __future__ import annotations

import threading
import zlib
from typing import Any

import numpy as np
import numpy.typing as npt

from fastimg.archives.files import open_regular
from fastimg.archives.listing import unpack_names
from fastimg.archives.streams import CompressedFile, StreamError, raise_no_memory, read_exactly
from fastimg.descriptors import read_at
from fastimg.errors import CorruptJpegError, TruncatedJpegError

_MOST_PASSED = (
    64  # members of a stream that are kept if they are passed over, for threads that ask for them late
)
_MOST_PASSED_BYTES = 1 << 24


class MemberReader:
    """Compressed members of an archive.

    Parameters
    ----------
    path : str
        The archive.
    packed_names : bytes
        The name of each member, in UTF-8 (surrogates, too), followed by a null byte.
    places : ndarray of uint64, (N, 3)
        Offset of the data, in the file or the stream; the bytes that it takes there; and its size.
    crcs : ndarray of uint32, (N,)
        The CRC-32 of each.
    """

    def __init__(
        self, path: str, packed_names: bytes, places: npt.NDArray[np.uint64], crcs: npt.NDArray[np.uint32]
    ) -> None:
        self.path, self._packed_names, self._places, self._crcs = path, packed_names, places, crcs
        self._names: list[str] | None = None

    def _state(self) -> tuple[Any, ...]:
        return self.path, self._packed_names, self._places, self._crcs

    def __getstate__(self) -> tuple[Any, ...]:
        return self._state()

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        self.__init__(*state)  # type: ignore[misc]

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return NotImplemented
        return all(map(np.array_equal, self._state(), other._state()))

    def __hash__(self) -> int:
        return hash((self.path, self._packed_names))

    def __len__(self) -> int:
        return len(self._places)

    def member_name(self, index: int) -> str:
        """The name in the archive."""
        if self._names is None:
            self._names = unpack_names(self._packed_names)
        return self._names[index]

    def name(self, index: int) -> str:
        return f"{self.path}/{self.member_name(index)}"

    def nbytes(self, index: int) -> int:
        return int(self._places[index, 2])

    def place(self, index: int) -> tuple[int, int]:
        """Offset and size of the data in the file or the stream."""
        offset, nbytes, _ = self._places[index].tolist()
        return offset, nbytes

    def _checked(self, index: int, data: bytes) -> bytes:
        if zlib.crc32(data) != self._crcs[index]:
            raise self._damaged(index, "its CRC-32 is not the one in the archive, or the archive has changed")
        return data

    def _damaged(self, index: int, text: str) -> CorruptJpegError:
        name = self.name(index)
        return CorruptJpegError(f"{name}: the compressed data is damaged: {text}", name)


class ZipReader(MemberReader):
    """Deflated members of a zip archive."""

    thread_safe = True

    def read(self, index: int) -> bytes:
        """Inflate a member.

        Raises
        ------
        JpegError
            The data is damaged or cut short, or not of the size in the archive's directory.
        OSError
            The archive cannot be read.
        """
        offset, packed, size = self._places[index].tolist()
        with open_regular(
            self.path
        ) as file:  # each time: a data set may have more archives than there are descriptors
            data = read_at(file.fileno(), packed, offset)
        if len(data) < packed:
            name = self.name(index)
            raise TruncatedJpegError(
                f"{name}: the archive is cut short: expected {packed} bytes, found {len(data)}", name
            )
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        try:
            image = inflater.decompress(data, size + 1)  # more is not the member, however much there is
        except zlib.error as error:
            raise_no_memory(error)
            raise self._damaged(index, str(error)) from None
        if len(image) != size or not inflater.eof or inflater.unused_data:
            at_least = "" if inflater.eof else "at least "
            raise self._damaged(index, f"expected {size} bytes, found {at_least}{len(image)}")
        return self._checked(index, image)


class TarStream(MemberReader):
    """Members of a compressed tar archive: to read one, the stream is decompressed up to it.

    Parameters
    ----------
    codec : str
        As for `CompressedFile`.
    """

    thread_safe = False

    def __init__(self, *state: Any) -> None:
        *columns, self._codec = state
        super().__init__(*columns)
        self._lock = threading.Lock()  # for calls that come from several lists of images at once
        self._stream: CompressedFile | None = None
        self._at = 0
        self._next = 0  # the member that the stream comes to
        self._passed: dict[int, bytes] = {}
        self._unreadable: tuple[int, str] | None = None  # every member that ends here or later, and why

    def _state(self) -> tuple[Any, ...]:
        return *super()._state(), self._codec

    def read(self, index: int) -> bytes:
        """Read a member; anew from the beginning of the stream if it comes before the last one.

        Raises
        ------
        JpegError
            The stream is damaged or cut short before the end of the member.
        OSError
            The archive cannot be read.
        """
        with self._lock:
            if index in self._passed:
                return self._checked(index, self._passed.pop(index))
            offset, size = self.place(index)
            if self._unreadable is not None and offset + size >= self._unreadable[0]:
                raise self._damaged(index, self._unreadable[1])
            if self._stream is None or offset < self._at:
                self._close()
                self._stream = CompressedFile(self.path, self._codec)
            try:
                data = self._read_from(self._stream, index)
            except StreamError as error:
                self._close()
                self._unreadable = offset + size, str(error)
                raise self._damaged(index, str(error)) from None
            except BaseException:
                self._close()
                raise
            if self._next == len(self):
                self._close()
            return self._checked(index, data)

    def _read_from(self, stream: CompressedFile, index: int) -> bytes:
        if index - self._next < _MOST_PASSED:  # else it is another part of the archive that is read
            while self._next < index:
                passed = self._next
                self._passed[passed] = self._take(stream, passed)
        while len(self._passed) > _MOST_PASSED or sum(map(len, self._passed.values())) > _MOST_PASSED_BYTES:
            del self._passed[next(iter(self._passed))]
        return self._take(stream, index)

    def _take(self, stream: CompressedFile, index: int) -> bytes:
        """The data of a member that the stream comes to."""
        offset, size = self.place(index)
        for chunk in read_exactly(stream, offset - self._at):
            self._at += len(chunk)
        data = b"".join(read_exactly(stream, size))
        self._at += len(data)
        if len(data) < size:
            raise StreamError(f"it ends at byte {self._at}")
        self._next = index + 1
        return data

    def _close(self) -> None:
        if self._stream is not None:
            self._stream.close()
        self._stream = None
        self._at = self._next = 0
