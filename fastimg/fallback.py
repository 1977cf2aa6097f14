# SPDX-License-Identifier: BSD-3-Clause
"""Images that are not JPEG, or of kinds that the core does not decode: another decoder makes their pixels."""

from __future__ import annotations

import errno
import io
import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any, BinaryIO, Literal, Protocol, TypeAlias

from fastimg.errors import (
    FallbackError,
    ImageError,
    ImageTooLargeError,
    is_machine_fault,
    picklable_source,
    source_name,
)
from fastimg.fallback_pixels import PadValue, Pixels, background_of, check_array, check_pixels, flatten
from fastimg.image_header import Header, make_header
from fastimg.jpeg_kinds import describe_jpeg
from fastimg.signatures import kind_of
from fastimg.sources import FileRange, ReaderItem, open_url

#: What users give as `fallback`.
FallbackOption: TypeAlias = "Literal['pillow'] | Callable[[Any], Any]"


class Fallback(Protocol):
    """A decoder of what the core refuses, which any thread may call, and which pickles."""

    def decode(
        self, source: Any, data: Any, max_pixels: int, pad_value: PadValue, mode: str
    ) -> tuple[Pixels, int]:
        """Decode an image.

        Parameters
        ----------
        source : Source
            The image, a path as the caller gave it.
        data : bytes or None
            Its content, if that was read already.
        max_pixels : int
            As for `load`.
        pad_value : int or tuple of int
            What shows through where an image is transparent, in the order of `mode`.
        mode : {"RGB", "BGR", "L"}
            What the pixels are for. They are RGB or grey whatever it is.

        Returns
        -------
        pixels : uint8 ndarray, (H, W, 3) or (H, W)
            RGB, or grey, C-contiguous and perhaps read-only.
        orientation : int
            What makes them upright, 1 to 8, as in Exif.

        Raises
        ------
        ImageError
            A FallbackError or an ImageTooLargeError, without an index.
        OSError, MemoryError
            The file cannot be read, or the machine is short of something.
        """

    def measure(self, source: Any, data: Any, max_pixels: int) -> Header:
        """Read an image's header; as for `decode`, but 0 for `max_pixels` is no limit."""


def parse_fallback(value: Any) -> Fallback | None:
    """The fallback that an option's value asks for.

    Parameters
    ----------
    value : None, "pillow", callable or Fallback

    Returns
    -------
    Fallback or None

    Raises
    ------
    ImportError
        Pillow is not installed.
    ValueError, TypeError
        The value is something else.
    """
    if value is None or isinstance(value, PillowFallback | CallableFallback):
        return value
    if isinstance(value, str):
        if value != "pillow":
            raise ValueError(f"fallback must be None, 'pillow' or a callable, found {value!r}")
        if find_spec("PIL") is None:
            raise ImportError("fallback='pillow' needs Pillow: pip install 'fastimg[pillow]'", name="PIL")
        return PillowFallback()
    if not callable(value):
        raise TypeError(f"fallback must be None, 'pillow' or a callable, found {value!r}")
    return CallableFallback(value)


@dataclass(frozen=True, slots=True, repr=False)
class PillowFallback:
    """Pillow."""

    def decode(
        self, source: Any, data: Any, max_pixels: int, pad_value: PadValue, mode: str
    ) -> tuple[Pixels, int]:
        import fastimg.pillow as pillow

        background = background_of(pad_value, mode)
        with _Guard(source, data, "Pillow"):
            with open_source(source, data) as file:
                content = file.read()
            return pillow.decode(content, max_pixels, background, mode)

    def measure(self, source: Any, data: Any, max_pixels: int) -> Header:
        import fastimg.pillow as pillow

        with _Guard(source, data, "Pillow"), open_source(source, data) as file:
            return pillow.measure(file, max_pixels)

    def __repr__(self) -> str:
        return "'pillow'"

    def __dask_tokenize__(self) -> tuple[str, str]:
        return "fastimg.fallback", "pillow"


@dataclass(frozen=True, slots=True, repr=False)
class CallableFallback:
    """A function of the caller's.

    Attributes
    ----------
    function : callable (source)
        Gets a path, or bytes; returns a uint8 array of grey, RGB or RGBA pixels, or a PIL image.
    """

    function: Callable[[Any], Any]

    def decode(
        self, source: Any, data: Any, max_pixels: int, pad_value: PadValue, mode: str
    ) -> tuple[Pixels, int]:
        background = background_of(pad_value, mode)
        with _Guard(source, data, repr(self)):
            result = self.function(_argument(source, data))
            if is_pillow_image(result):
                import fastimg.pillow as pillow

                with result:
                    return pillow.convert(result, max_pixels, background, mode)
            array = check_array(result)
            check_pixels(array.shape[1], array.shape[0], max_pixels)
            return flatten(array, background), 1

    def measure(self, source: Any, data: Any, max_pixels: int) -> Header:
        content = _argument(source, data)
        nbytes = os.stat(content).st_size if isinstance(content, str | os.PathLike) else len(content)
        with _Guard(source, data, repr(self)):
            result = self.function(content)
            if is_pillow_image(result):
                import fastimg.pillow as pillow

                with result:
                    return pillow.header_of(result, max_pixels, nbytes)
            array = check_array(result)
            height, width, *channels = array.shape
            check_pixels(width, height, max_pixels)
            return make_header(width, height, *channels or (1,), nbytes=nbytes)

    def __repr__(self) -> str:
        function = self.function
        # Some have but one.
        names = (getattr(function, name, None) for name in ("__module__", "__qualname__"))
        return ".".join(filter(None, names)) if hasattr(function, "__qualname__") else type(function).__name__

    def __dask_tokenize__(self) -> tuple[str, Callable[[Any], Any]]:
        return "fastimg.fallback", self.function


# ---- sources


@contextmanager
def open_source(source: Any, data: Any = None) -> Iterator[BinaryIO]:
    """A source as a binary file.

    Files are read, not mapped: one that another process cuts short is an error then, and not the end of this process.
    """
    source = open_url(source) if data is None else data
    if isinstance(source, ReaderItem):
        source = source.read()
    elif isinstance(source, FileRange):
        with open(source.path, "rb") as file:
            file.seek(source.offset)
            content = file.read(source.size)
        if len(content) < source.size:
            raise FallbackError(f"the range of {source.size} bytes at offset {source.offset} leaves the file")
        source = content
    elif isinstance(source, str | os.PathLike):
        with open(source, "rb") as file:
            yield file
        return
    yield io.BytesIO(source)


def _argument(source: Any, data: Any) -> Any:
    """What a callable gets: a path as it was given, or else bytes."""
    source = open_url(source)
    if isinstance(source, str | os.PathLike):
        return source
    with open_source(source, data) as file:
        return file.read()


# ---- what a callable returns


def is_pillow_image(value: Any) -> bool:
    module = sys.modules.get("PIL.Image")  # whoever made one has imported it
    return module is not None and isinstance(value, module.Image)


# ---- errors


class _Guard:
    """Makes a FallbackError of every error but those of the machine, and of reading.

    Parameters
    ----------
    source : Source
    data : bytes-like or None
        Its content, if that is known.
    name : str
        Who decodes.
    """

    def __init__(self, source: Any, data: Any, name: str) -> None:
        self._source = source
        self._data = data
        self._name = name

    def __enter__(self) -> None:
        pass

    def __exit__(self, _kind: Any, error: BaseException | None, _traceback: Any) -> None:
        if error is None or is_machine_fault(error):
            return
        source = picklable_source(self._source)
        where = source_name(source)
        if type(error) is ImageTooLargeError:
            raise ImageTooLargeError(f"{where}: {error}", source) from error.__cause__
        cause: BaseException | None = error
        if type(error) is FallbackError:
            text, cause = str(error), error.__cause__
        elif isinstance(error, ImageError) or (self._name == "Pillow" and _is_about_file(error)):
            return
        else:
            text = f"{type(error).__name__}: {error}" if str(error) else type(error).__name__
        if self._name == "Pillow":
            _drop_frames(error)
        words = f"{where}: {self._found()}; the fallback failed, too: {self._name}: {text}"
        raise FallbackError(words, source) from cause

    def _found(self) -> str:
        """Why the core left the image to a fallback."""
        try:
            if self._data is None and isinstance(self._source, ReaderItem):
                return "not a JPEG file that is supported"  # it would be read once more
            with open_source(self._source, self._data) as file:
                head = file.read(128)
                jpeg = describe_jpeg(head + file.read()) if head.startswith(b"\xff\xd8") else None
        except Exception:
            return "not a JPEG file"
        if jpeg is not None:
            return f"a JPEG of {jpeg.precision} bits, {jpeg.components} components and type SOF{jpeg.sof}"
        kind = kind_of(head)
        return f"not a JPEG file, found {head[:4].hex(' ')}" + (f", {kind}" if kind else "")


def _drop_frames(error: BaseException | None) -> None:
    """Lets go of what the frames of Pillow hold: whoever collects errors would keep every bad file in memory."""
    while error is not None:
        error.__traceback__ = None
        error = error.__cause__ or error.__context__


def _is_about_file(error: BaseException) -> bool:
    """Whether a file could not be opened or read; what Pillow raises about images has no errno.

    Except if an image makes it seek to before the beginning of a file, which has been opened: that is EINVAL.
    """
    if not isinstance(error, OSError) or error.errno is None:
        return False
    return error.errno != errno.EINVAL or error.filename is not None
