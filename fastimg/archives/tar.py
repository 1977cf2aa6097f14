# SPDX-License-Identifier: BSD-3-Clause
"""The members of tar archives, read from their headers alone."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any, Protocol

from fastimg.archives.listing import ListingBuilder
from fastimg.archives.tar_headers import (
    BLOCK,
    EXTENSIONS,
    LONG_LINK,
    LONG_NAME,
    LONGEST_HEADER,
    PAX_GLOBAL,
    PLAIN,
    REGULAR,
    SPARSE,
    WITHOUT_DATA,
    DamageError,
    Header,
    decimal,
    number,
    padded,
    parse_header,
    parse_records,
    text_of,
)

EMPTY_TAR = 1 << 16  # an archive without members is shorter, even if padded to a tape's record
_MOST_EXTENSIONS = 100  # before one member; real archives have four at most


def is_tar(head: bytes) -> bool:
    """Whether a file begins like a tar archive, with a header and its checksum, or is only the end of one."""
    if not any(head):
        return 2 * BLOCK <= len(head) < EMPTY_TAR
    return parse_header(head[:BLOCK]) is not None


class TarBytes(Protocol):
    """Where the bytes of an archive come from.

    Attributes
    ----------
    limit : int
        How many bytes are known to be there.
    window : bytes
        What was read last.
    base : int
        Position of `window`.
    """

    limit: int
    window: bytes
    base: int

    def read_at(self, at: int, size: int) -> bytes:
        """Read `size` bytes, fewer only at the end. What is before `at` is not asked for any more."""

    def check_member(self, name: str, offset: int, size: int) -> None:
        """Raise a ValueError that names the member if its data is not there."""

    def ends_before(self, at: int) -> bool:
        """Whether there are fewer than `at` bytes."""


def _end_of(header: Header, offset: int) -> int:
    """Where the data of a member, which begins at `offset`, and its padding end."""
    name, size, kind = header
    if kind in WITHOUT_DATA:
        return offset
    if size < 0:
        raise DamageError(f"member {name} ends before it begins")
    return offset + (size + BLOCK - 1) // BLOCK * BLOCK


@dataclasses.dataclass(slots=True)
class _Member:
    name: str
    size: int
    kind: bytes
    offset: int  # of the data
    end: int  # of the data and its padding
    sparse: bool = False


def list_tar(source: TarBytes, path: str, wanted: Callable[[str], bool], listing: ListingBuilder) -> None:
    """Add the wanted members of all tar archives in a file to a listing.

    Raises
    ------
    ValueError
        As `archive_members` says, but for a fault of a member, which the listing gets.
    """
    start: int | None = 0
    while start is not None:
        listing.begin_archive()
        end = _Walk(source, path).list_members(start, wanted, listing)
        start = _find_next_tar(source, path, end)


class _Walk:
    """Steps from header to header of one archive."""

    def __init__(self, source: TarBytes, path: str) -> None:
        self._source, self._path = source, path
        self._globals: dict[bytes, bytes] = {}  # records for all members that follow
        self._at = 0  # of the header

    def list_members(self, start: int, wanted: Callable[[str], bool], listing: ListingBuilder) -> int:
        """Add the wanted members; return the position of what is not a header any more."""
        source, add, some = self._source, listing.add, self._globals
        at = last = start
        try:
            while True:
                last = at
                place = at - source.base
                block = source.window[place : place + BLOCK]
                header = parse_header(block if len(block) == BLOCK else source.read_at(at, BLOCK))
                if not header:
                    return at
                name, size, kind = header
                if (
                    kind in PLAIN and size >= 0 and not some
                ):  # most members, so without the cost of the others
                    offset = at + BLOCK
                    at = offset + (size + BLOCK - 1 & -BLOCK)
                    if at > source.limit:
                        source.check_member(name, offset, size)
                    if wanted(name):
                        add(name, offset, size)
                else:
                    self._at = at
                    member = self._extended(header)
                    at = member.end
                    if member.kind in REGULAR:
                        self._add(member, wanted, listing)
                if at > source.limit and source.ends_before(at):
                    raise DamageError("unexpected end of data")
        except DamageError as error:
            text = f"{self._path}: damaged tar archive, after byte {last}: {error}"
            raise ValueError(text) from None

    def _add(self, member: _Member, wanted: Callable[[str], bool], listing: ListingBuilder) -> None:
        name = member.name
        if member.end > self._source.limit and not member.sparse:
            self._source.check_member(name, member.offset, member.size)
        if not wanted(name):
            return
        listing.add(name.replace("\0", "\\0"), member.offset, 0 if member.sparse else member.size)
        if member.sparse:
            listing.add_fault(
                f"member {name} is stored as a sparse file, in pieces; pack it without --sparse"
            )
        elif "\0" in name:
            listing.add_fault(f"member {name!r}: a name cannot contain a null character")

    def _old_sparse(self, header: Header) -> _Member:
        """GNU's first kind of sparse file: the map of its pieces continues in blocks after the header."""
        offset = self._at + BLOCK
        block = self._source.read_at(self._at, BLOCK)
        try:
            size = number(block[483:495])
        except ValueError:
            raise DamageError("a sparse member without its size") from None
        more = block[482]
        while more:
            block = self._read(offset, BLOCK)
            more = block[504]
            offset += BLOCK
        return _Member(header[0], size, SPARSE, offset, _end_of(header, offset), sparse=True)

    def _read(self, at: int, size: int) -> bytes:
        data = self._source.read_at(at, size)
        if len(data) < size:
            raise DamageError("a header that is cut short")
        return data

    def _extended(self, header: Header) -> _Member:
        """The member with the header at `_at`, which may be that of an extension before the member's own."""
        layers: list[tuple[bytes, Any]] = []
        for _ in range(_MOST_EXTENSIONS):
            if header[2] not in EXTENSIONS:
                break
            self._read_extension(header, layers)
            found = parse_header(self._source.read_at(self._at, BLOCK), extended=True)
            if not found:
                raise DamageError(f"expected the header that another one extends at byte {self._at}")
            header = found
        else:
            raise DamageError(f"more than {_MOST_EXTENSIONS} headers of one member")
        if header[2] == SPARSE:
            member = self._old_sparse(header)
        else:
            offset = self._at + BLOCK
            member = _Member(*header, offset, _end_of(header, offset))
            _apply(member, self._globals)
        for kind, value in reversed(layers):
            if kind == LONG_NAME:
                member.name = value
                continue
            self._read_sparse_map(member, value)
            if kind != PAX_GLOBAL:
                _apply(member, value)
                if b"size" in value:
                    _move_end(member, decimal(value[b"size"]) if member.sparse else member.size)
        return member

    def _read_extension(self, header: Header, layers: list[tuple[bytes, Any]]) -> None:
        """Add what an extension says, a name or the records so far, unless it changes nothing, and step over it."""
        size = padded(header[1])
        kind = header[2]
        if not 0 <= size <= LONGEST_HEADER:
            raise DamageError(f"a header of {size} bytes")
        data = self._read(self._at + BLOCK, size)
        self._at += BLOCK + size
        if kind == LONG_NAME:
            layers.append((kind, text_of(data)))
        elif kind != LONG_LINK:
            records = parse_records(data)
            if kind == PAX_GLOBAL:
                self._globals.update(records)
            if records or self._globals:
                layers.append((kind, {**self._globals, **records}))

    def _read_sparse_map(self, member: _Member, records: dict[bytes, bytes]) -> None:
        """Recognise a sparse file of pax archives, in any of three versions, and check the map of its pieces."""
        if b"GNU.sparse.map" in records:
            for value in records[b"GNU.sparse.map"].split(b","):
                decimal(value)
        elif b"GNU.sparse.size" not in records:
            version = records.get(b"GNU.sparse.major"), records.get(b"GNU.sparse.minor")
            if version != (b"1", b"0"):
                return
            self._read_sparse_map_1_0(member)
        if b"size" in self._globals:  # and so not that of its pieces
            raise DamageError(f"sparse member {member.name} has the size of all members")
        member.sparse = True

    def _read_sparse_map_1_0(self, member: _Member) -> None:
        """The map is in blocks before the data: the number of pieces, and two numbers for each, one per line."""
        blocks: list[bytes] = []
        lines, expected = 0, 1
        while lines < expected:
            at = member.offset + BLOCK * len(blocks)
            if at >= min(member.end, member.offset + LONGEST_HEADER):
                raise DamageError("the map of a sparse member that does not end")
            blocks.append(self._read(at, BLOCK))
            lines += blocks[-1].count(b"\n")
            if lines and expected == 1:
                expected += 2 * decimal(b"".join(blocks).partition(b"\n")[0])
        for value in b"".join(blocks).split(b"\n")[:expected]:
            decimal(value)


def _apply(member: _Member, records: dict[bytes, bytes]) -> None:
    """Replace what the header says by what the records say, the last that speaks of it."""
    for keyword, value in records.items():
        if keyword == b"path":
            member.name = str(value, "utf-8", "surrogateescape").rstrip("/")
        elif keyword == b"GNU.sparse.name":
            member.name = str(value, "utf-8", "surrogateescape")
        elif keyword in (b"size", b"GNU.sparse.size", b"GNU.sparse.realsize"):
            member.size = decimal(value)


def _move_end(member: _Member, size: int) -> None:
    member.end = member.offset + (0 if member.kind in WITHOUT_DATA else padded(size))


def _find_next_tar(source: TarBytes, path: str, end: int) -> int | None:
    """Where the archive after the one that ends at byte `end` begins; None if there is none."""
    # The end is two blocks of zeros. tar, too, accepts a file that just stops.
    if any(source.read_at(end, 2 * BLOCK)):
        raise ValueError(
            f"{path}: damaged tar archive: expected the header of a member, or the end, at byte {end}"
        )
    start = end + 2 * BLOCK
    while zeros := source.read_at(start, EMPTY_TAR):
        head = zeros.lstrip(b"\0")
        start += (len(zeros) - len(head)) // BLOCK * BLOCK
        if head:
            break
        if len(zeros) < EMPTY_TAR:
            return None
    else:
        return None
    if not is_tar(source.read_at(start, BLOCK)):
        raise ValueError(
            f"{path}: expected zeros or another tar archive after the one that ends at byte {end}, "
            f"found other data in the block at byte {start}"
        )
    return start
