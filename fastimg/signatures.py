# SPDX-License-Identifier: BSD-3-Clause
"""What files are that are not JPEG, by their first bytes, and what to do about them."""

from __future__ import annotations

import codecs
from functools import lru_cache
from importlib.util import find_spec

# (first bytes, kind)
_SIGNATURES = (
    (b"\x89PNG", "PNG"),
    (b"GIF8", "GIF"),
    (b"II*\0", "TIFF"),
    (b"MM\0*", "TIFF"),
    (b"II+\0", "TIFF"),
    (b"MM\0+", "TIFF"),
    (b"FUJIFILMCCD-RAW", "camera raw"),
    (b"IIRO", "camera raw"),
    (b"IIU\0", "camera raw"),
    (b"II\x1a\0\0\0HEAPCCDR", "camera raw"),
    (b"II\xbc\x01", "JPEG XR"),
    (b"BM", "BMP"),
    (b"\0\0\x01\0", "ICO"),
    (b"8BPS", "PSD"),
    (b"DDS ", "DDS"),
    (b"qoif", "QOI"),
    (b"P4\n", "PNM"),
    (b"P5\n", "PNM"),
    (b"P6\n", "PNM"),
    (b"\x76\x2f\x31\x01", "OpenEXR"),
    (b"\xff\x0a", "JPEG XL"),
    (b"\0\0\0\x0cJXL ", "JPEG XL"),
    (b"\0\0\0\x0cjP", "JPEG 2000"),
    (b"\xff\x4f\xff\x51", "JPEG 2000"),
    (b"\x1a\x45\xdf\xa3", "Matroska or WebM"),
    (b"%PDF", "PDF"),
    (b"PK\x03\x04", "ZIP"),
    (b"PK\x05\x06", "ZIP"),
    (b"\x1f\x8b", "gzip"),
    (b"BZh", "bzip2"),
    (b"\xfd7zXZ\0", "xz"),
    (b"7z\xbc\xaf", "7z"),
    (b"\x28\xb5\x2f\xfd", "Zstandard"),
    (b"Rar!", "RAR"),
    (b"\x93NUMPY", "NumPy"),
    (b"\x89HDF", "HDF5"),
    (b"\0\x05\x16\x07", "AppleDouble (metadata of macOS)"),
    (b"/9j/", "base64 of a JPEG file"),
    (b"data:image/", "data: URI"),
)

# What an ISO base media file (ISO/IEC 14496-12) holds, by the brands in its ftyp box.
_BRANDS = {
    **dict.fromkeys((b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"hevm", b"hevs"), "HEIC"),
    **dict.fromkeys((b"avif", b"avis"), "AVIF"),
    b"crx ": "camera raw",
    b"jxl ": "JPEG XL",
    b"jp2 ": "JPEG 2000",
}
_HEIF = frozenset((b"mif1", b"mif2", b"msf1", b"miaf", b"avci", b"avcs", b"jpeg", b"jpgs"))

_BY_PILLOW = frozenset(
    ("PNG", "GIF", "TIFF", "BMP", "ICO", "PSD", "DDS", "QOI", "PNM", "JPEG 2000", "WebP", "AVIF")
)
# Formats that Pillow needs a package for: the module, and how to install it. Newer versions know AVIF by themselves.
_PLUGINS = {
    "HEIC": ("pillow_heif", "pillow-heif"),
    "HEIF (HEIC or AVIF?)": ("pillow_heif", "pillow-heif"),
    "JPEG XL": ("pillow_jxl", "pillow-jxl-plugin"),
}


@lru_cache(maxsize=256)
def advice_for(kind: str | None, *, fallback: bool = False) -> str:
    """What to do about a file of a kind, as the end of a sentence; empty if there is nothing.

    Parameters
    ----------
    kind : str or None
        As `kind_of` names it; or "JPEG of other than 8 bits" or "lossless JPEG".
    fallback : bool
        Whether Pillow has refused it already.
    """
    if kind == "Git LFS pointer":
        return "; git lfs pull fetches the image"
    if kind in _PLUGINS:
        missing = [f"{_PLUGINS[kind][1]}"] if find_spec(_PLUGINS[kind][0]) is None else []
    elif kind == "AVIF" and fallback:
        missing = ["'pillow>=11.3'"]
    elif kind == "JPEG of other than 8 bits":
        missing = ["imagecodecs"] if find_spec("imagecodecs") is None else []
    elif kind in _BY_PILLOW or kind == "lossless JPEG":
        missing = []
    else:
        return ""
    if fallback:
        return f"; pip install {' '.join(missing)}" if missing else ""
    if find_spec("PIL") is None:
        missing.insert(0, "'fastimg[pillow]'")
    install = f" (pip install {' '.join(missing)})" if missing else ""
    return f'; fallback="pillow"{install} decodes it'


def is_known_to_pillow(kind: str | None) -> bool:
    """Whether Pillow decodes files of a kind, with what is installed."""
    return (kind in _BY_PILLOW or kind in _PLUGINS) and not advice_for(kind, fallback=True)


def kind_of(head: bytes) -> str | None:
    """The kind of a file, such as "HEIC"; None if it is not known.

    Parameters
    ----------
    head : bytes
        The first bytes of the file: all that are there, up to a hundred or so.
    """
    if not head.strip(b"\0"):
        return "zero bytes" if head else None
    if head[4:8] == b"ftyp":
        return _media_kind(head)
    if head.startswith(b"RIFF"):
        return {b"WEBP": "WebP", b"AVI ": "AVI"}.get(head[8:12], "RIFF")
    kind = next((kind for magic, kind in _SIGNATURES if head.startswith(magic)), None)
    return kind or _text_kind(head)


def _media_kind(head: bytes) -> str:
    # The major brand may be that of any HEIF; then a compatible brand tells which.
    size = int.from_bytes(head[:4], "big")
    end = size if size >= 16 else len(head)
    brands = [head[8:12], *(head[at : at + 4] for at in range(16, min(end, len(head)), 4))]
    known = next((_BRANDS[brand] for brand in brands if brand in _BRANDS), None)
    if known:
        return known
    return "HEIF (HEIC or AVIF?)" if _HEIF.intersection(brands) else "MP4 or QuickTime"


def _text_kind(head: bytes) -> str | None:
    wide = head.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    text = head.decode("utf-16" if wide else "utf-8-sig", "ignore").lstrip().lower()
    if text.startswith("version https://git-lfs"):
        return "Git LFS pointer"
    if text.startswith("<"):
        if "<!doctype html" in text or "<html" in text:
            return "HTML"
        if "<svg" in text:
            return "SVG"
        return "XML" if text.startswith("<?xml") else "HTML or XML"
    return "JSON" if text.startswith("{") and text[1:].lstrip().startswith('"') else None
