# SPDX-License-Identifier: BSD-3-Clause
"""Archives as files: opening them, and what their first bytes say."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Iterator
from typing import BinaryIO

from fastimg.descriptors import NONBLOCK, read_at
from fastimg.errors import file_kind

_SMALLEST_READ, _LARGEST_READ = 1 << 11, 1 << 16  # of a tar archive
_BUFFER = 1024  # so that a header is read with little of the data around it

_COMPRESSED = (
    (b"\x28\xb5\x2f\xfd", "zstd", "unzstd it"),
    (b"\x04\x22\x4d\x18", "lz4", "unlz4 it"),
    (b"\x1f\x9d", "compress", "uncompress it"),
    (b"7z\xbc\xaf\x27\x1c", "7z", "unpack it"),
    (b"Rar!", "RAR", "unpack it"),
)


@contextlib.contextmanager
def open_regular(path: str) -> Iterator[BinaryIO]:
    """Open a regular file, without blocking on a FIFO; OSErrors in the block get its name."""
    with open(path, "rb", _BUFFER, opener=lambda name, flags: os.open(name, flags | NONBLOCK)) as file:
        mode = os.fstat(file.fileno()).st_mode
        if not stat.S_ISREG(mode):
            raise OSError(errno.EINVAL, f"expected a regular file, found {file_kind(mode)}", path)
        try:
            yield file
        except OSError as error:
            if error.filename is None:
                error.filename = path
            raise


class FileBytes:
    """The bytes of a tar archive, read with little of the data around the headers (`tar.TarBytes`)."""

    def __init__(self, file: BinaryIO, path: str) -> None:
        self._fd, self._path = file.fileno(), path
        self.limit = file_size(file)
        self.window, self.base = b"", 0
        self._size = _SMALLEST_READ

    def read_at(self, at: int, size: int) -> bytes:
        place = at - self.base
        if place < 0 or place + size > len(self.window):
            # One read serves many small members, and reads little of the data of large ones.
            near = place <= len(self.window) + self._size
            self._size = min(2 * self._size, _LARGEST_READ) if near else _SMALLEST_READ
            self.window, self.base = self._pread(max(size, self._size), at), at
            place = 0
        return self.window[place : place + size]

    def _pread(self, size: int, at: int) -> bytes:
        data = read_at(self._fd, size, at)
        while 0 < len(data) < min(size, self.limit - at):  # file systems may return less
            more = read_at(self._fd, size - len(data), at + len(data))
            if not more:
                break
            data += more
        return data

    def check_member(self, name: str, offset: int, size: int) -> None:
        check_place(self._path, offset, size, name, self.limit)

    def ends_before(self, at: int) -> bool:
        return at > self.limit


def file_size(file: BinaryIO) -> int:
    return os.fstat(file.fileno()).st_size


def describe_head(head: bytes) -> str | None:
    """What kind of file begins like this, if it is none that a zip archive may follow."""
    if not head:
        return "an empty file"
    for magic, kind, remedy in _COMPRESSED:
        if head.startswith(magic):
            return f"{kind} data, which is not supported: {remedy} first"
    return None


def first_bytes(head: bytes) -> str:
    if head.startswith(b"PK\3\4"):
        return "a zip archive without the directory at its end: it is cut short or damaged"
    return f"a file that begins with {head[:4].hex(' ')}"


def check_place(path: str, offset: int, size: int, name: str, end: int) -> None:
    """Refuse a member whose data is not in the file.

    Raises
    ------
    ValueError
        It begins before the file or ends after byte `end`.
    """
    if offset < 0 or size < 0 or offset + size > end:
        raise ValueError(
            f"{path}: damaged or cut short: member {name} has {size} bytes at offset {offset}, "
            f"expected them to end at byte {end} at the latest"
        )
