# SPDX-License-Identifier: BSD-3-Clause
"""Sizes of images in formats that plugins of Pillow decode, or allocate memory for, before they tell the size."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import BinaryIO, NamedTuple

Size = tuple[int, int]  # width, height

# Width = height * ratio, by the number in JPEG XL's header (ISO/IEC 18181-1, D.2).
_JXL_RATIOS = ((1, 1), (12, 10), (4, 3), (3, 2), (16, 9), (5, 4), (2, 1))


def embedded_sizes(file: BinaryIO, format: str) -> list[Size]:
    """What an image of one of these formats will be when it is decoded; several if it holds several.

    Parameters
    ----------
    file : binary file
    format : str
        As Pillow names it. Others than WEBP, ICO, CUR, ICNS and JXL have none.
    """
    find = {"WEBP": _webp, "ICO": _ico, "CUR": _ico, "ICNS": _icns, "JXL": _jxl}.get(format)
    if find is None:
        return []
    file.seek(0)
    return list(find(file.read(64 if format == "WEBP" else -1)))


def _webp(content: bytes) -> Iterator[Size]:
    kind, at = content[12:16], 20
    if kind == b"VP8X":
        yield _little(content, 24, 3) + 1, _little(content, 27, 3) + 1
    elif kind == b"VP8L":
        bits = _little(content, at + 1, 4)
        yield (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    elif kind == b"VP8 ":
        yield _little(content, at + 6, 2) & 0x3FFF, _little(content, at + 8, 2) & 0x3FFF


def _ico(content: bytes) -> Iterator[Size]:
    for entry in range(6, 6 + 16 * _little(content, 4, 2), 16):
        at = _little(content, entry + 12, 4)
        if content.startswith(b"\x89PNG", at):
            yield _png(content, at)
        else:  # a bitmap with its mask below it
            yield _little(content, at + 4, 4), _little(content, at + 8, 4) // 2


def _icns(content: bytes) -> Iterator[Size]:
    at = 8
    while at + 8 <= len(content):
        if content.startswith(b"\x89PNG", at + 8):
            yield _png(content, at + 8)
        elif content.startswith((b"\0\0\0\x0cjP", b"\xff\x4f\xff\x51"), at + 8):
            header = re.compile(rb"ihdr(.{4})(.{4})", re.DOTALL).search(content, at + 8, at + 8 + 200)
            if header:
                yield int.from_bytes(header[2], "big"), int.from_bytes(header[1], "big")
            else:  # a codestream: the image's extent and offset in its SIZ segment
                x, y, left, top = (
                    int.from_bytes(content[at + i : at + i + 4], "big") for i in (16, 20, 24, 28)
                )
                yield max(0, x - left), max(0, y - top)
        at += max(8, int.from_bytes(content[at + 4 : at + 8], "big"))


def _png(content: bytes, at: int) -> Size:
    return int.from_bytes(content[at + 16 : at + 20], "big"), int.from_bytes(
        content[at + 20 : at + 24], "big"
    )


def _little(content: bytes, at: int, size: int) -> int:
    return int.from_bytes(content[at : at + size], "little")


# ---- JPEG XL


class JxlHeader(NamedTuple):
    """Size as stored, and the orientation that decoders apply."""

    width: int
    height: int
    orientation: int


def _jxl(content: bytes) -> Iterator[Size]:
    header = jxl_header(content)
    yield header.width, header.height


def jxl_header(content: bytes) -> JxlHeader:
    """The beginning of a JPEG XL codestream, in its container or by itself.

    Raises
    ------
    ValueError
        There is none.
    """
    at = 0 if content.startswith(b"\xff\x0a") else _codestream(content)
    if content[at : at + 2] != b"\xff\x0a":
        raise ValueError("no JPEG XL codestream")
    bits = _Bits(int.from_bytes(content[at + 2 : at + 34], "little"))
    small = bits.take(1)
    height = bits.size(small)
    ratio = bits.take(3)
    if ratio:
        numerator, denominator = _JXL_RATIOS[ratio - 1]
        width = height * numerator // denominator
    else:
        width = bits.size(small)
    has_orientation = not bits.take(1) and bits.take(1)
    return JxlHeader(width, height, 1 + bits.take(3) if has_orientation else 1)


def _codestream(content: bytes) -> int:
    at = 0
    while at + 8 <= len(content):
        size, kind = int.from_bytes(content[at : at + 4], "big"), content[at + 4 : at + 8]
        head = 8
        if size == 1:
            size, head = int.from_bytes(content[at + 8 : at + 16], "big"), 16
        if kind in (b"jxlc", b"jxlp"):
            return at + head + (4 if kind == b"jxlp" else 0)
        if size < head:
            break
        at += size
    return len(content)


class _Bits:
    """Numbers of a JPEG XL header, from the lowest bit on."""

    def __init__(self, value: int) -> None:
        self._value = value

    def take(self, count: int) -> int:
        taken = self._value & ((1 << count) - 1)
        self._value >>= count
        return taken

    def size(self, small: int) -> int:
        if small:
            return (self.take(5) + 1) * 8
        return self.take((9, 13, 18, 30)[self.take(2)]) + 1
