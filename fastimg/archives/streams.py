# SPDX-License-Identifier: BSD-3-Clause
"""Compressed tar archives as streams that can only be read forward."""

from __future__ import annotations

import os
import zlib
from collections.abc import Callable, Iterator
from typing import Any

from fastimg.descriptors import READ_ONLY

_CHUNK = 1 << 18
_MAGIC = {b"\x1f\x8b": "gzip", b"BZh": "bzip2", b"\xfd7zXZ\0": "xz"}
CODECS = tuple(_MAGIC.values())


class StreamError(Exception):
    """The stream is damaged or cut short."""


def find_codec(head: bytes) -> str | None:
    """How a file that begins like this is compressed; None if it is not, or in a way that cannot be read."""
    return next((codec for magic, codec in _MAGIC.items() if head.startswith(magic)), None)


class CompressedFile:
    """A compressed file, decompressed no further than it is asked for, so that damage is that of what holds it.

    Parameters
    ----------
    path : str
    codec : str
        ``"gzip"``, ``"bzip2"`` or ``"xz"``.

    Raises
    ------
    OSError
        The file cannot be opened.
    ValueError
        This Python was built without the codec.
    """

    def __init__(self, path: str, codec: str) -> None:
        self._make = _find_decompressor(path, codec)
        self._decompressor = self._make()
        self._input = b""
        self._fd = os.open(path, READ_ONLY)

    def read(self, size: int) -> bytes:
        """Read at least one byte and at most `size`; none at the end.

        Raises
        ------
        StreamError
            The stream is damaged or cut short.
        OSError
            The file cannot be read.
        """
        while True:
            if self._decompressor.eof and not self._begin_next():
                return b""
            if not self._input and self._decompressor.needs_input:
                self._input = os.read(self._fd, _CHUNK)
                if not self._input:
                    raise StreamError("it ends before its end marker")
            try:
                data: bytes = self._decompressor.decompress(self._input, size)
            except MemoryError:
                raise
            except Exception as error:  # zlib.error, lzma.LZMAError, OSError, EOFError
                raise_no_memory(error)
                raise StreamError(str(error)) from None
            self._input = b""
            if data:
                return data

    def _begin_next(self) -> bool:
        """Whether another stream follows in the file, after zeros or at once."""
        rest = self._decompressor.unused_data.lstrip(b"\0")
        while not rest:
            rest = os.read(self._fd, _CHUNK)
            if not rest:
                return False
            rest = rest.lstrip(b"\0")
        self._decompressor, self._input = self._make(), rest
        return True

    def close(self) -> None:
        if self._fd >= 0:
            os.close(self._fd)
        self._fd = -1

    def __del__(self) -> None:
        if getattr(self, "_fd", -1) >= 0:
            self.close()


def raise_no_memory(error: Exception) -> None:
    """Raise MemoryError if a decompressor's own error means that: zlib's has only the number, Z_MEM_ERROR."""
    text = str(error)
    if text.startswith("Error -4 ") or "not enough memory" in text:
        raise MemoryError(text) from None


class _Gzip:
    """zlib's decompressor, with the interface of those of bz2 and lzma."""

    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(zlib.MAX_WBITS | 16)  # checks the header, the CRC-32 and the size

    @property
    def eof(self) -> bool:
        return self._zlib.eof

    @property
    def needs_input(self) -> bool:
        return not self._zlib.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._zlib.unused_data

    def decompress(self, data: bytes, max_length: int) -> bytes:
        return self._zlib.decompress(self._zlib.unconsumed_tail + data, max_length)


def _find_decompressor(path: str, codec: str) -> Callable[[], Any]:
    if codec == "gzip":
        return _Gzip
    try:
        if codec == "bzip2":
            import bz2

            return bz2.BZ2Decompressor
        import lzma

        return lzma.LZMADecompressor
    except ImportError:
        raise ValueError(f"{path}: this Python cannot read {codec}") from None


def read_exactly(stream: CompressedFile, size: int) -> Iterator[bytes]:
    """Read so many bytes in chunks; fewer if the stream ends."""
    while size > 0:
        data = stream.read(min(size, _CHUNK))
        if not data:
            return
        size -= len(data)
        yield data


class StreamBytes:
    """The bytes of a compressed tar archive (`tar.TarBytes`).

    Attributes
    ----------
    crcs : dict of int to int
        The CRC-32 of each regular member's data, by its offset.
    """

    limit = -1  # nothing is known to be there before it was read

    def __init__(self, stream: CompressedFile, path: str, codec: str) -> None:
        self._stream, self._path, self._codec = stream, path, codec
        self.window, self.base = b"", 0
        self.crcs: dict[int, int] = {}

    def read_at(self, at: int, size: int) -> bytes:
        self._skip_to(at)
        if len(self.window) < size:
            self.window += b"".join(self._chunks(size - len(self.window), ""))
        return self.window[:size]

    def check_member(self, name: str, offset: int, size: int) -> None:
        self._skip_to(offset)
        data, self.window = self.window, b""
        crc = zlib.crc32(data[:size])
        have = min(size, len(data))
        self.window, self.base = data[have:], offset + have
        if have < size:
            for chunk in self._chunks(size - have, name):
                crc = zlib.crc32(chunk, crc)
                self.base += len(chunk)
        if self.base < offset + size:
            raise ValueError(
                f"{self._path}: damaged or cut short: member {name} has {size} bytes at offset {offset} of the "
                f"{self._codec} stream, which ends at byte {self.base}"
            )
        self.crcs[offset] = crc

    def ends_before(self, at: int) -> bool:
        self._skip_to(at)
        return self.base < at

    def _skip_to(self, at: int) -> None:
        """Forget what is before a position. The base stays before it only if the stream ends there."""
        dropped = min(at - self.base, len(self.window))
        self.window, self.base = self.window[dropped:], self.base + dropped
        if self.base < at:
            for chunk in self._chunks(at - self.base, ""):
                self.base += len(chunk)

    def _chunks(self, size: int, name: str) -> Iterator[bytes]:
        try:
            yield from read_exactly(self._stream, size)
        except StreamError as error:
            where = f"member {name}" if name else f"after byte {self.base}"
            raise ValueError(
                f"{self._path}: the {self._codec} stream is damaged or cut short, {where}: {error}"
            ) from None
