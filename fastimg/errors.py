# SPDX-License-Identifier: BSD-3-Clause
"""Exceptions for what can go wrong with an image."""

from __future__ import annotations

import contextlib
import errno
import os
import stat
from collections.abc import Callable
from typing import NamedTuple

from fastimg.signatures import advice_for, kind_of
from fastimg.torch_errors import add_note, locate, read_note

__all__ = [
    "CorruptJpegError",
    "FallbackError",
    "ImageError",
    "ImageTooLargeError",
    "JpegError",
    "JpegTooLargeError",
    "TruncatedJpegError",
    "UnsupportedJpegError",
]


class ImageError(ValueError):
    """An image that cannot be decoded, or only with loss.

    Parameters
    ----------
    message : str
        The whole sentence, file name and index included.
    source : object, optional
        The path or `FileRange` as given; for bytes in memory, a short description.
    index : int, optional
        The image's position in its batch or accessor.

    Attributes
    ----------
    source : object
    index : int or None

    Notes
    -----
    Both survive pickling, and a torch DataLoader, although that makes the exception anew from the text of the worker's
    traceback; a source that is a path is a str then.

    Examples
    --------
    >>> try:
    ...     fastimg.load(["cat.jpg", "broken.jpg"], size=64)
    ... except fastimg.ImageError as error:
    ...     print(error.index, error.source)
    1 broken.jpg
    """

    def __init__(self, message: str, source: object = None, index: int | None = None) -> None:
        if source is None and index is None:
            message, fields = read_note(message)
            source, index = fields.get("source"), fields.get("index")
        # All arguments go to the base class: pickling rebuilds an exception from its `args`.
        super().__init__(message, source, index)
        self.source = source
        self.index = index
        add_note(self, source, index)

    def __str__(self) -> str:
        return str(self.args[0])


class JpegError(ImageError):
    """An image that cannot be decoded as a JPEG, or only with loss.

    Examples
    --------
    >>> try:
    ...     image = fastimg.decode("broken.jpg")
    ... except fastimg.JpegError:
    ...     image = fastimg.decode("broken.jpg", strict=False)
    """


class CorruptJpegError(JpegError):
    """The data is damaged: bad codes, lost synchronisation, a broken header.

    Examples
    --------
    >>> fastimg.decode(bytes.fromhex("ffd8ffd9"))
    Traceback (most recent call last):
        ...
    fastimg.errors.CorruptJpegError: <bytes, 4 bytes>: no image: marker ff d9 at byte 2 comes before a frame and a scan
    """


class TruncatedJpegError(JpegError):
    """The data ends before the image does.

    Examples
    --------
    >>> fastimg.decode("broken.jpg")
    Traceback (most recent call last):
        ...
    fastimg.errors.TruncatedJpegError: broken.jpg: the data ends at row ... of 256...
    """


class UnsupportedJpegError(JpegError):
    """Not a JPEG file, or one of a kind that is not supported (12 bits, lossless, ...).

    Examples
    --------
    >>> fastimg.decode(b"GIF89a")
    Traceback (most recent call last):
        ...
    fastimg.errors.UnsupportedJpegError: <bytes, 6 bytes>: not a JPEG file: expected it to begin with ff d8, found ...
    """


class FallbackError(ImageError):
    """An image that is no JPEG, or of an unsupported kind, and that the fallback cannot decode either.

    Examples
    --------
    >>> try:
    ...     fastimg.decode(b"GIF89a", fallback="pillow")
    ... except fastimg.FallbackError as error:
    ...     print(error.source)
    <bytes, 6 bytes>
    """


class ImageTooLargeError(ImageError):
    """An image of more pixels than `max_pixels`, or that would cost too much otherwise.

    Examples
    --------
    >>> try:
    ...     fastimg.decode("cat.jpg", max_pixels=100_000)
    ... except fastimg.ImageTooLargeError as error:
    ...     print(error)
    cat.jpg: 500 x 375 pixels, more than max_pixels = 100000
    """


class JpegTooLargeError(ImageTooLargeError, JpegError):
    """A JPEG of more pixels than `max_pixels` or more scans than `max_scans`, or too many of these for its pixels.

    Examples
    --------
    >>> fastimg.decode("cat.jpg", max_pixels=100_000)
    Traceback (most recent call last):
        ...
    fastimg.errors.JpegTooLargeError: cat.jpg: 500 x 375 pixels, more than max_pixels = 100000
    """


_MACHINE_ERRNOS = (errno.ENOMEM, errno.EMFILE, errno.ENFILE)
_STORAGE_ERRNOS = (errno.EIO, errno.ENOTCONN, errno.ESTALE, errno.ETIMEDOUT)


class Failure(NamedTuple):
    """A failed image as the core reports it (``fi_failure`` in ``_core/fi.h``)."""

    position: int
    status: str
    os_errno: int
    detail: tuple[int, int, int, int]
    text: str
    error: BaseException | None = None  # what the caller's reader or the fallback raised

    @property
    def is_machine_fault(self) -> bool:
        """Whether the machine, not the image, is at fault, as ``is_machine_fault`` in ``_core/faults.c`` decides."""
        if self.error is not None:
            return is_machine_fault(self.error)
        if self.status == "READER":
            return bool(self.detail[0])  # there was no memory to keep the error
        return self.status == "NOMEM" or (self.status == "OS" and self.os_errno in _MACHINE_ERRNOS)

    @property
    def is_unreadable(self) -> bool:
        """Whether it is about the storage or the reader if many in a row are, as ``_core/faults.c`` decides."""
        if self.status == "READER":
            return bool(self.detail[1])
        return self.status == "OS" and self.os_errno in _STORAGE_ERRNOS


def is_machine_fault(error: BaseException) -> bool:
    """Whether what a reader raised is about the machine or the process, and not about one image."""
    if isinstance(error, OSError):
        return error.errno in _MACHINE_ERRNOS
    return isinstance(error, MemoryError) or not isinstance(error, Exception)


def is_unreadable(error: OSError) -> bool:
    """Whether it is about the storage if many files in a row give it."""
    return error.errno in _STORAGE_ERRNOS


_FILE_KINDS = (
    (stat.S_ISFIFO, "a FIFO"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a character device"),
    (stat.S_ISBLK, "a block device"),
)


def file_kind(mode: int) -> str:
    return next((name for test, name in _FILE_KINDS if test(mode)), "a special file")


def _not_jpeg(failure: Failure) -> str:
    head = bytes.fromhex(failure.text)
    kind = kind_of(head)
    found = f"{head[:4].hex(' ')}, {kind}" if kind else head[:4].hex(" ")
    return f"not a JPEG file: expected it to begin with ff d8, found {found}"


def _advice(failure: Failure) -> str:
    """What decodes an image that this library does not."""
    if failure.status == "NOT_JPEG":
        return advice_for(kind_of(bytes.fromhex(failure.text)))
    if failure.status == "PRECISION":
        return advice_for("JPEG of other than 8 bits")
    is_lossless = failure.status == "PROCESS" and failure.detail[0] == 3
    return advice_for("lossless JPEG") if is_lossless else ""


def _where(failure: Failure) -> str:
    row, height, scan, mcu = failure.detail
    if not height:
        return "in its header"
    return (
        f"at row {row} of {height}"
        + (f" in scan {scan}" if scan else "")
        + (f", MCU {mcu}" if mcu >= 0 else "")
    )


def _too_large(failure: Failure) -> str:
    height, width, limit, _ = failure.detail
    return f"{width} x {height} pixels, more than max_pixels = {limit}"


def _cost(failure: Failure) -> str:
    height, width, scans, limit = failure.detail
    return f"more than {scans} scans, the most for {width} x {height} pixels with max_scans = {limit}"


def _missing(failure: Failure) -> str:
    height, width, nbytes, limit = failure.detail
    return (
        f"{width} x {height} pixels take {nbytes:,} bytes of memory, more than {limit:,}, and the file is too short to "
        "contain them"
    )


def _range(failure: Failure) -> str:
    offset, size, nbytes, _ = failure.detail
    return f"the range of {size} bytes at offset {offset} leaves the file, which has {nbytes} bytes"


_JPEG_ERRORS: dict[str, tuple[type[JpegError], Callable[[Failure], str]]] = {
    "RANGE": (TruncatedJpegError, _range),
    "EMPTY": (TruncatedJpegError, lambda f: "empty: expected a JPEG file, found 0 bytes"),
    "NOT_JPEG": (UnsupportedJpegError, _not_jpeg),
    "CUT_HEADER": (TruncatedJpegError, lambda f: f"ends in its header, after {f.detail[0]} bytes"),
    "LONG_HEADER": (CorruptJpegError, lambda f: f"no image in its first {f.detail[0]:,} bytes"),
    "NO_IMAGE": (
        CorruptJpegError,
        lambda f: (
            f"no image: marker ff {f.detail[1]:02x} at byte {f.detail[0]} comes before a frame and a scan"
        ),
    ),
    "NO_PIXELS": (
        CorruptJpegError,
        lambda f: f"expected a size of at least 1 x 1, found height {f.detail[0]} and width {f.detail[1]}",
    ),
    "NO_HEIGHT": (
        UnsupportedJpegError,
        lambda f: "height 0, which leaves the height to a DNL marker: DNL is not supported",
    ),
    "TOO_LARGE": (JpegTooLargeError, _too_large),
    "PRECISION": (UnsupportedJpegError, lambda f: f"{f.detail[0]} bits a sample; only 8 are supported"),
    "PROCESS": (UnsupportedJpegError, lambda f: f"a frame of type SOF{f.detail[0]} is not supported"),
    "COMPONENTS": (UnsupportedJpegError, lambda f: f"{f.detail[0]} components; 1, 3 and 4 are supported"),
    "COLOR": (UnsupportedJpegError, lambda f: f"unknown colour space of {f.detail[0]} components"),
    "TRUNCATED": (
        TruncatedJpegError,
        lambda f: f"the data ends {_where(f)}" + (f": {f.text}" if f.text else ""),
    ),
    "CORRUPT": (CorruptJpegError, lambda f: f"damaged {_where(f)}: {f.text}"),
    "UNSUPPORTED": (UnsupportedJpegError, lambda f: f"not supported: {f.text}"),
    "SCANS": (JpegTooLargeError, lambda f: f"more scans than max_scans = {f.detail[0]}"),
    "COST": (JpegTooLargeError, _cost),
    "MISSING": (JpegTooLargeError, _missing),
    "INTERNAL": (CorruptJpegError, lambda f: "its header can be read in two ways"),
}

_VALUE_ERRORS: dict[str, Callable[[Failure], str]] = {
    "CROP": lambda f: f"the crop leaves the image, which has height {f.detail[0]} and width {f.detail[1]}",
    "SIDE": lambda f: (
        f"would be resized to height {f.detail[0]} and width {f.detail[1]}, more than 2**20; give center_crop="
    ),
    "SHAPE": lambda f: (
        f"expected an image of height {f.detail[0]} and width {f.detail[1]}, "
        f"found height {f.detail[2]} and width {f.detail[3]}"
    ),
    "SIZE": lambda f: (
        f"expected height {f.detail[0]} and width {f.detail[1]}, as given by sizes, "
        f"found height {f.detail[2]} and width {f.detail[3]}"
    ),
}


def source_name(source: object) -> str:
    """The name of a source in messages."""
    if isinstance(source, str | os.PathLike):
        return os.fsdecode(source)
    return str(source)


def picklable_source(source: object) -> object:
    """A source as exceptions carry it: data in memory is described, not kept."""
    if isinstance(source, str | os.PathLike) or hasattr(source, "path"):
        return source
    if hasattr(source, "reader"):
        return str(source)
    return f"<{type(source).__name__}, {memoryview(source).nbytes} bytes>"  # type: ignore[arg-type]


def make_error(failure: Failure, source: object, index: int | None) -> BaseException:
    """The exception for a failed image.

    Parameters
    ----------
    failure : Failure
        As the core reported it.
    source : object
        The image's source.
    index : int or None
        Its position; None for a single image.

    Returns
    -------
    BaseException
        An `ImageError`, `OSError` (of the subclass for its errno), `MemoryError` or `ValueError`, with attributes
        `source` and `index`; or what a fallback, or a reader of the caller's, has raised.
    """
    source = picklable_source(source)
    if isinstance(failure.error, FallbackError | ImageTooLargeError):
        return fallback_error(failure.error, source, index)
    if failure.error is not None:
        return reader_error(failure.error, source_name(source), index)
    where = "" if index is None else f"image {index}: "
    prefix = f"{where}{source_name(source)}: "
    error: Exception
    if failure.status in _JPEG_ERRORS:
        cls, sentence = _JPEG_ERRORS[failure.status]
        return cls(prefix + sentence(failure) + _advice(failure), source, index)
    if failure.status in _VALUE_ERRORS:
        error = ValueError(prefix + _VALUE_ERRORS[failure.status](failure))
    elif failure.status in ("OS", "NOT_FILE"):
        code, words = failure.os_errno, os.strerror(failure.os_errno)
        if failure.status == "NOT_FILE":
            code = errno.EINVAL
            words = f"expected a regular file, found {file_kind(failure.detail[0])}"
        error = OSError(code, where + words, source_name(getattr(source, "path", source)))
    else:
        error = MemoryError(prefix + "no memory left")
    return locate(error, source, index)


def fallback_error(error: Exception, source: object, index: int | None) -> BaseException:
    """What a fallback raised for an image, with attributes `index` and `source`."""
    if not isinstance(error, ImageError):
        return reader_error(error, source_name(picklable_source(source)), index)
    where = "" if index is None else f"image {index}: "
    located = type(error)(where + str(error), picklable_source(source), index)
    located.__cause__ = error.__cause__
    return located


_WHILE = "while reading "


def reader_error(error: BaseException, name: str, index: int | None) -> BaseException:
    """What a reader raised for an image, with attributes `index` and `source`, and a note."""
    where = name if index is None else f"image {index}: {name}"
    with contextlib.suppress(AttributeError):  # a class may have no room for attributes
        if isinstance(error, Exception):
            error = locate(error, name, index)
    # The reader may raise one object again and again.
    notes = getattr(error, "__notes__", [])
    notes[:] = [note for note in notes if not note.startswith(_WHILE)]
    error.add_note(_WHILE + where)
    return error
