# SPDX-License-Identifier: BSD-3-Clause
"""What Pillow does for ``fallback="pillow"``; imported only when it is asked for."""

from __future__ import annotations

import io
import logging
import os
import struct
import threading
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from importlib import import_module
from importlib.util import find_spec
from typing import Any, BinaryIO

import numpy as np
from PIL import ExifTags, Image, ImageFile
from PIL import __version__ as PILLOW_VERSION

from fastimg.errors import FallbackError, ImageTooLargeError
from fastimg.fallback_pixels import Pixels, blend, check_pixels
from fastimg.image_header import Header, make_header
from fastimg.image_sizes import embedded_sizes, jxl_header
from fastimg.jpeg_kinds import JpegKind, check_precise, decode_precise, describe_jpeg
from fastimg.signatures import advice_for, kind_of

# Formats that start programs, that Pillow can only name, or whose images hold others of any size.
_REFUSED = {
    "EPS": "would run Ghostscript",
    "WMF": "is drawn by Windows only",
    **dict.fromkeys(("BUFR", "GRIB", "HDF5", "MPEG"), "is a format that Pillow names and does not decode"),
    **dict.fromkeys(("BLP", "FPX", "MIC"), "is a format that holds other images"),
}

# Plugins in packages of their own, which add formats when they are imported.
_PLUGINS = ("pillow_avif", "pillow_jxl")

# Modes of one channel, and the bits of a sample where those are not 8.
_GREY = {"1": 1, "L": 8, "I;16": 16, "I;16L": 16, "I;16B": 16, "I;16N": 16, "I": 32, "F": 32}
_COLOR_SPACES = {"CMYK": "CMYK", "YCbCr": "YCbCr", "LAB": "unknown", "HSV": "unknown"}

_BOUNDS = tuple(range(2, 9))


# ---- without a sound


class _Quiet(threading.local):
    """Whether this thread is in a call of Pillow. Pillow warns of odd files, which are errors here or none.

    warnings.catch_warnings would silence other threads, too, and two threads that leave it in another order than they
    entered it leave the filters wrong. This is part of a filter that matches in threads that decode, and nowhere else.
    """

    active = False

    def match(self, _text: str, *_: Any) -> bool:
        return self.active

    def __reduce__(self) -> str:
        """Pickled by name: scikit-learn sends the filters of warnings to its processes."""
        return "_quiet"


_quiet = _Quiet()
_FILTER: Any = ("ignore", _quiet, Warning, None, 0)


@contextmanager
def _silence() -> Iterator[None]:
    filters: Any = warnings.filters
    # Tests and the like put others in front, and take ours away. Nothing that was warned of changes by it, so the
    # registries of past warnings stay as they are.
    if not filters or filters[0] is not _FILTER:
        with suppress(ValueError):
            filters.remove(_FILTER)
        filters.insert(0, _FILTER)
    _quiet.active = True
    try:
        yield
    finally:
        _quiet.active = False


# ---- formats


# A fork waits for it: what is being imported then could never be imported in the child.
_lock = threading.RLock()
if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_lock.acquire, after_in_parent=_lock.release, after_in_child=_lock.release)
_formats: list[tuple[str, Any, Any]] = []


def _all_formats() -> list[tuple[str, Any, Any]]:
    """(format, class, test of the first bytes) of all that Pillow and its plugins know."""
    if not _formats:
        with _lock:
            if not _formats:
                logging.getLogger("PIL").addHandler(logging.NullHandler())  # else errors go to stderr
                for name in _PLUGINS:
                    if find_spec(name) is not None:
                        with suppress(ImportError):
                            import_module(name)
                if find_spec("pillow_heif") is not None:
                    with suppress(ImportError):
                        import_module("pillow_heif").register_heif_opener()
                Image.preinit()
                Image.init()
                _formats.extend(
                    [(name, *Image.OPEN[name]) for name in Image.ID]
                )  # all at once, for other threads
    return _formats


def _open(file: BinaryIO, max_pixels: int) -> ImageFile.ImageFile:
    """Opens an image, which decodes nothing, and checks its size.

    Not by Image.open, which has a limit of its own. Nor by a path, which Pillow would map.
    """
    start = file.read(128)
    head = start[:16]
    reasons: list[str] = []
    for name, factory, accept in _all_formats():
        try:
            accepted = accept is None or accept(head)
            if isinstance(accepted, str):  # why it is not
                reasons.append(accepted)
                continue
            if not accepted:
                continue
            if name in _REFUSED and accept is not None:
                raise FallbackError(f"{name} {_REFUSED[name]}: refused")
            for width, height in embedded_sizes(file, name):
                check_pixels(width, height, max_pixels)
            file.seek(0)
            image: ImageFile.ImageFile = factory(file, "")
        except (SyntaxError, IndexError, TypeError, struct.error) as error:
            if (
                accept is not None and isinstance(error, SyntaxError) and str(error)
            ):  # others are no sentences
                reasons.append(f"{name}: {error}")
            continue
        if isinstance(image, ImageFile.StubImageFile) or name in _REFUSED:
            image.close()
            raise FallbackError(
                f"{name} {_REFUSED.get(name, 'is a format that Pillow does not decode')}: refused"
            )
        return image
    kind = kind_of(start)
    advice = advice_for(kind, fallback=True)
    more = f" ({reasons[0]})" if reasons else ""
    raise FallbackError(
        f"cannot identify {kind or 'the image'}{more}{advice}; this is Pillow {PILLOW_VERSION}"
    )


# ---- decoding


def decode(
    content: bytes, max_pixels: int, background: tuple[int, int, int], mode: str
) -> tuple[Pixels, int]:
    """Decodes an image.

    Parameters
    ----------
    content : bytes
        The whole file.
    max_pixels : int
        As for `load`.
    background : tuple of int
        What shows through where the image is transparent, (R, G, B).
    mode : {"RGB", "BGR", "L"}

    Returns
    -------
    pixels : uint8 ndarray, (H, W, 3) or (H, W)
    orientation : int

    Raises
    ------
    FallbackError, ImageTooLargeError
        Without the source.
    Exception
        Whatever Pillow raises.
    """
    jpeg = describe_jpeg(content)
    if jpeg is not None and jpeg.precision != 8:
        check_pixels(jpeg.width, jpeg.height, max_pixels)
        return decode_precise(content, jpeg), _orientation_of_jpeg(jpeg)
    with _silence(), _limit_as_error(), _open(io.BytesIO(content), max_pixels) as image:
        if image.format == "PNG":
            _check_png(content)
        pixels, orientation = _convert(image, max_pixels, background, mode)
        return pixels, 1 if image.format == "JXL" else orientation


def _check_png(content: bytes) -> None:
    """Refuses a PNG with damage in its pixels, of which Pillow makes up what is missing, such as a tail of zeros."""
    at = 8
    view = memoryview(content)
    while at + 12 <= len(content):
        end = at + 8 + int.from_bytes(view[at : at + 4], "big")
        kind = content[at + 4 : at + 8]
        if kind == b"IDAT" and end + 4 <= len(content):  # Pillow finds what is cut short
            if zlib.crc32(view[at + 4 : end]) != int.from_bytes(view[end : end + 4], "big"):
                raise FallbackError(f"damaged: wrong checksum of the chunk of pixels at byte {at}")
        elif kind == b"IEND":
            break
        at = end + 4


def convert(
    image: Image.Image, max_pixels: int, background: tuple[int, int, int], mode: str
) -> tuple[Pixels, int]:
    """Makes pixels of an image that someone else opened; otherwise `decode`."""
    with _silence(), _limit_as_error():
        return _convert(image, max_pixels, background, mode)


def _convert(
    image: Image.Image, max_pixels: int, background: tuple[int, int, int], mode: str
) -> tuple[Pixels, int]:
    _check_size(image, max_pixels)
    image.load()
    _check_size(image, max_pixels)
    # Pillow turns TIFF images, and pillow-heif HEIC, while it loads them, and removes the orientation.
    return _pixels(image, background, mode), _orientation(image)


def _check_size(image: Image.Image, max_pixels: int) -> None:
    width, height = image.size
    check_pixels(width, height, max_pixels)


def _pixels(image: Image.Image, background: tuple[int, int, int], mode: str) -> Pixels:
    """Pillow's ``convert("RGB")`` or ``convert("L")``, over a background where the image is transparent."""
    if image.mode == "La":
        image = image.convert("LA")
    if _is_transparent(image):
        if image.mode == "LA" and len(set(background)) == 1:
            return blend(np.asarray(image), background[:1])[:, :, 0]
        return blend(np.asarray(image.convert("RGBA")), background)
    # Where both are the same picture, a third of the memory does.
    return np.asarray(image.convert("L" if mode == "L" or image.mode in _GREY else "RGB"))


def _is_transparent(image: Image.Image) -> bool:
    if image.mode in ("I", "F") or image.mode.startswith("I;"):
        return False  # a transparent level is lost with the levels
    return bool(image.has_transparency_data)


def _orientation(image: Image.Image) -> int:
    """The orientation from Exif or else XMP, as ImageOps.exif_transpose sees it; 1 if it cannot be read."""
    try:
        # Not the method of PngImageFile, which decodes the image to look for metadata after the pixels.
        found = Image.Image.getexif(image).get(ExifTags.Base.Orientation, 1)
    except Exception:
        return 1
    return found if found in _BOUNDS else 1


def _orientation_of_jpeg(jpeg: JpegKind) -> int:
    image = Image.new("L", (1, 1))
    image.info.update(jpeg.metadata)
    return _orientation(image)


@contextmanager
def _limit_as_error() -> Iterator[None]:
    try:
        yield
    except Image.DecompressionBombError as error:
        raise ImageTooLargeError(f"more pixels than PIL.Image.MAX_IMAGE_PIXELS allows: {error}") from None


# ---- headers


def measure(file: BinaryIO, max_pixels: int) -> Header:
    """Reads a header, without decoding the image; errors as for `decode`, 0 for no limit."""
    nbytes = file.seek(0, io.SEEK_END)
    file.seek(0)
    with _silence(), _limit_as_error():
        head = file.read(128)
        if kind_of(head) == "JPEG XL" and any(name == "JXL" for name, *_ in _all_formats()):
            return _jxl_header(file, max_pixels, nbytes)
        jpeg = describe_jpeg(head + file.read()) if head.startswith(b"\xff\xd8") else None
        if jpeg is not None and jpeg.precision != 8:
            return _precise_header(jpeg, max_pixels, nbytes)
        file.seek(0)
        with _open(file, max_pixels) as image:
            return _header(image, max_pixels, nbytes)


def header_of(image: Image.Image, max_pixels: int, nbytes: int) -> Header:
    """The header of an image that someone else opened."""
    with _silence(), _limit_as_error():
        return _header(image, max_pixels, nbytes)


def _header(image: Image.Image, max_pixels: int, nbytes: int) -> Header:
    width, height = image.size
    check_pixels(width, height, max_pixels)
    file = getattr(image, "fp", None)
    if image.format == "PNG" and file and _has_late_metadata(file):
        image.load()
    orientation = _orientation(image)
    if hasattr(image, "tag_v2") and orientation != 1:
        # TIFF: `load` turns it. Newer versions of Pillow have the upright size before, older ones only after it.
        width, height = (int(image.tag_v2[tag]) for tag in (256, 257))
    if orientation >= 5:
        width, height = height, width
    mode = image.mode
    grey = mode in _GREY or mode in ("LA", "La")
    return make_header(
        width,
        height,
        len(image.getbands()),
        nbytes=nbytes,
        color_space="grayscale" if grey else _COLOR_SPACES.get(mode, "RGB"),
        orientation=1 if hasattr(image, "tag_v2") else orientation,
        format=image.format or "unknown",
        precision=_GREY.get(mode, 8),
        interlaced=bool(image.info.get("interlace")),
    )


def _has_late_metadata(file: Any) -> bool:
    """Whether chunks of a PNG that may have an orientation come after the pixels, where `load` finds them."""
    place = file.tell()
    file.seek(8)
    seen = False
    while len(head := file.read(8)) == 8:
        if seen and head[4:] in (b"eXIf", b"iTXt", b"zTXt", b"tEXt"):
            break
        seen |= head[4:] == b"IDAT"
        file.seek(int.from_bytes(head[:4], "big") + 4, io.SEEK_CUR)
    file.seek(place)
    return len(head) == 8


def _precise_header(jpeg: JpegKind, max_pixels: int, nbytes: int) -> Header:
    """The header of a JPEG file of other than 8 bits, which Pillow does not open."""
    width, height, orientation = jpeg.width, jpeg.height, _orientation_of_jpeg(jpeg)
    check_pixels(width, height, max_pixels)
    check_precise(jpeg)
    if orientation >= 5:
        width, height = height, width
    return make_header(
        width,
        height,
        jpeg.components,
        nbytes=nbytes,
        orientation=orientation,
        format="JPEG",
        precision=jpeg.precision,
    )


def _jxl_header(file: BinaryIO, max_pixels: int, nbytes: int) -> Header:
    """The header of a JPEG XL file, which its plugin decodes when it opens it."""
    file.seek(0)
    width, height, orientation = jxl_header(file.read())
    check_pixels(width, height, max_pixels)
    if orientation >= 5:
        width, height = height, width
    return make_header(width, height, 3, nbytes=nbytes, format="JXL")
