# SPDX-License-Identifier: BSD-3-Clause
"""The members of tar archives by Python's own tarfile: slow, and what `fastimg.archives` is compared with."""

import os
import tarfile
from collections.abc import Generator, Iterator
from pathlib import Path
from typing import Any, BinaryIO

BLOCK = 512
EMPTY_TAR = 1 << 16
LONGEST_HEADER = 1 << 20

#: Number of the archive, name, offset and size; None for a member that cannot be read, for it is sparse or a null
#: character is in its name.
Place = tuple[int, str, int | None, int | None]


def list_with_tarfile(path: Path) -> list[Place]:
    """Every regular member of all archives in a file.

    Raises
    ------
    ValueError
        If tarfile refuses the archive, a member reaches past the end of the file, or something other than an archive
        follows the first.
    """
    found: list[Place] = []
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        head = file.read(EMPTY_TAR)
        if not (_is_header(head[:BLOCK]) if any(head) else 2 * BLOCK <= len(head) < EMPTY_TAR):
            raise ValueError("not a tar archive")
        for number, member in _all_headers(file):
            if not member.isreg():
                continue
            if member.issparse():
                found.append((number, member.name.replace("\0", "\\0"), None, None))
            elif member.offset_data + member.size > size or member.size < 0:
                raise ValueError("cut short")
            elif "\0" in member.name:
                found.append((number, member.name.replace("\0", "\\0"), None, None))
            else:
                found.append((number, member.name, member.offset_data, member.size))
    return found


def _is_header(block: bytes) -> bool:
    try:
        tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
    except Exception:
        return False
    return True


class _Member(tarfile.TarInfo):
    """A member as newer versions of tarfile see it, which never take the cut name of an extended one for a folder's."""

    _depth = 0  # of headers that extend the next

    def _proc_gnulong(self, archive: Any) -> Any:
        return self._extend(super()._proc_gnulong, archive)  # type: ignore[misc]

    def _proc_pax(self, archive: Any) -> Any:
        return self._extend(super()._proc_pax, archive)  # type: ignore[misc]

    def _extend(self, process: Any, archive: Any) -> Any:
        _Member._depth += 1
        try:
            return process(archive)
        finally:
            _Member._depth -= 1

    @classmethod
    def frombuf(cls, buf: Any, encoding: str, errors: str) -> Any:
        found = super().frombuf(buf, encoding, errors)
        if cls._depth and buf[156:157] == tarfile.AREGTYPE and found.isdir():
            found.type = tarfile.AREGTYPE
            found.name += "/"
        return found


class _Headers:
    """A file that tarfile can read only headers from."""

    def __init__(self, file: BinaryIO) -> None:
        self.seek, self.tell, self._file = file.seek, file.tell, file

    def read(self, size: int) -> bytes:
        if not 0 <= size <= LONGEST_HEADER:
            raise tarfile.ReadError(f"a header of {size} bytes")
        return self._file.read(size)


def _all_headers(file: BinaryIO) -> Iterator[tuple[int, tarfile.TarInfo]]:
    start: int | None = 0
    number = 0
    while start is not None:
        end = yield from _headers(file, start, number)
        start = _find_next(file, end)
        number += 1


def _headers(file: BinaryIO, start: int, number: int) -> Generator[tuple[int, tarfile.TarInfo], None, int]:
    headers: Any = _Headers(file)
    file.seek(start)
    tar: Any = None
    last = start
    while True:
        try:
            if tar is None:
                tar = tarfile.TarFile(
                    fileobj=headers, tarinfo=_Member, encoding="utf-8", errors="surrogateescape"
                )
                member = tar.next() if tar.firstmember else None
            else:
                member = tar.next()
        except Exception as error:
            raise ValueError(f"damaged: {error}") from error
        if member is None:
            return int(tar.offset)
        if tar.offset <= last:
            raise ValueError("ends before it begins")
        last = tar.offset
        yield number, member


def _find_next(file: BinaryIO, end: int) -> int | None:
    file.seek(end)
    if any(file.read(2 * BLOCK)):
        raise ValueError("expected the header of a member, or the end")
    start = end + 2 * BLOCK
    while zeros := file.read(EMPTY_TAR):
        head = zeros.lstrip(b"\0")
        start += (len(zeros) - len(head)) // BLOCK * BLOCK
        if head:
            file.seek(start)
            if not _is_header(file.read(BLOCK)):
                raise ValueError("other data")
            return start
    return None
