# SPDX-License-Identifier: BSD-3-Clause
"""The blocks of a tar archive: headers, and the records that extend them."""

from __future__ import annotations

import functools
import re
from typing import TypeAlias
from zlib import adler32

BLOCK = 512
LONGEST_HEADER = 1 << 20  # with long names; real ones have a few thousand bytes at most

LONG_NAME, LONG_LINK, SPARSE = b"L", b"K", b"S"  # GNU
PAX, PAX_GLOBAL, PAX_SOLARIS = b"x", b"g", b"X"
FOLDER, OLD_REGULAR = b"5", b"\0"
PLAIN = frozenset((b"0", OLD_REGULAR, b"7"))
REGULAR = PLAIN | {SPARSE}
WITHOUT_DATA = frozenset(
    (b"1", b"2", b"3", b"4", FOLDER, b"6")
)  # links, devices, FIFOs: whatever their size says
EXTENSIONS = frozenset((LONG_NAME, LONG_LINK, PAX, PAX_GLOBAL, PAX_SOLARIS))  # of the header that follows
WITHOUT_PREFIX = frozenset((LONG_NAME, LONG_LINK, SPARSE))

# Mode, owner, group, size and time, as most programs write them.
_USUAL = re.compile(rb"(?:[0-7]{7}[\0 ]|[0-7]{6} \0){3}([0-7]{11})[\0 ][0-7]{11}[\0 ]").match
_LENGTH = re.compile(rb"([0-9]{1,20}) ").match
_NUMBER = re.compile(rb"[0-9]{1,20}").fullmatch  # 2**64 has 20 digits


class DamageError(Exception):
    """What is wrong with the archive, as the end of a sentence."""


#: Name, size and kind of a member, or of what extends its header. Bytes of the name that are not UTF-8 are surrogates,
#: as in `os.fsdecode`. The size is that of the data that follows, before it is padded to whole blocks; it may be
#: negative in a damaged archive.
Header: TypeAlias = tuple[str, int, bytes]


def padded(size: int) -> int:
    """Round a size up to whole blocks."""
    return (size + BLOCK - 1) // BLOCK * BLOCK


def parse_header(block: bytes, extended: bool = False) -> Header | None:
    """Read a header; None if the block is short or zero, its checksum does not match, or a number is not one.

    `extended`: others before it say more of the member, such as its whole name.
    """
    if len(block) != BLOCK:
        return None
    try:
        # The low half of an Adler-32 is 1 plus the sum of the bytes, modulo 65521, which 256 bytes do not reach.
        total = (adler32(block[:256]) & 0xFFFF) + (adler32(block[256:]) & 0xFFFF) - 2
        if total != _expected_sum(block[148:156]) and not _has_signed_sum(block, total):
            return None
        usual = _USUAL(block, 100)
        size = int(usual[1], 8) if usual else _size_of(block)
        _check_numbers(block[329:345])
    except ValueError:
        return None
    name, prefix = block[:100].split(b"\0", 1)[0].decode("utf-8", "surrogateescape"), block[345]
    kind = block[156:157]
    if kind == OLD_REGULAR and name.endswith("/") and not extended:  # before there was a kind for folders
        kind = FOLDER
    if prefix and kind not in WITHOUT_PREFIX:
        name = f"{text_of(block[345:500])}/{name}"
    return name, size, kind


def _size_of(block: bytes) -> int:
    """The size, after a check of all numbers around it."""
    _check_numbers(block[100:124])
    number(block[136:148])
    return number(block[124:136])


def _has_signed_sum(block: bytes, total: int) -> bool:
    """Whether the checksum is that of bytes with a sign, as some old programs calculate it."""
    if not total:
        return False
    negative = sum(byte > 127 for byte in block) - sum(byte > 127 for byte in block[148:156])
    return total - 256 * negative == _expected_sum(block[148:156])


@functools.lru_cache(4096)
def _expected_sum(field: bytes) -> int:
    """The sum of all bytes of a header with this checksum, which is calculated as if its field were spaces."""
    return number(field) + sum(field) - 8 * ord(" ")


@functools.lru_cache(4096)
def _check_numbers(fields: bytes) -> None:
    for at in range(0, len(fields), 8):
        number(fields[at : at + 8])


def number(field: bytes) -> int:
    """Read a number: octal digits, or base 256 after a byte 0x80 (positive) or 0xff (negative)."""
    if field[0] in (0x80, 0xFF):
        value = int.from_bytes(field[1:], "big")
        return value if field[0] == 0x80 else value - 256 ** (len(field) - 1)
    return int(field.partition(b"\0")[0].decode("ascii").strip() or "0", 8)


def text_of(field: bytes) -> str:
    """The text of a field up to the first null byte."""
    return str(field.partition(b"\0")[0], "utf-8", "surrogateescape")


# ---- records of pax headers


def parse_records(data: bytes) -> dict[bytes, bytes]:
    """Read the records of a pax header, ``length keyword=value``; returns those that matter to where members are.

    Raises
    ------
    DamageError
        If a record is not well-formed.
    """
    records: dict[bytes, bytes] = {}
    at = 0
    while at < len(data) and data[at]:
        match = _LENGTH(data, at)
        end = at + int(match[1]) if match else 0
        if not match or not match.end() < end <= len(data) or data[end - 1] != ord("\n"):
            raise DamageError("a pax header that is not well-formed")
        keyword, equals, value = data[match.end() : end - 1].partition(b"=")
        if not keyword or not equals:
            raise DamageError("a pax header that is not well-formed")
        if keyword == b"hdrcharset":
            _check_charset(value)
        elif keyword in (b"path", b"size") or keyword.startswith(b"GNU.sparse."):
            records.pop(keyword, None)
            records[keyword] = value
        at = end
    return records


def _check_charset(value: bytes) -> None:
    try:  # names are read as UTF-8, whatever it says, as it can only say that they might be none
        value.decode()
    except UnicodeDecodeError:
        raise DamageError(f"a pax header with the character set {value[:40]!r}") from None


def decimal(value: bytes) -> int:
    """Read a number of a pax record."""
    if not _NUMBER(value):
        raise DamageError(f"a pax header with the number {value[:40]!r}")
    return int(value)
