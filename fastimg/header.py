# SPDX-License-Identifier: BSD-3-Clause
"""Headers: what a JPEG says before its first scan."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

import fastimg._decode as _decode
from fastimg.errors import make_error
from fastimg.fallback import Fallback, FallbackOption, parse_fallback
from fastimg.image_header import Header as Header
from fastimg.options import ANY_HEADER
from fastimg.other_headers import read_others
from fastimg.readers import DEFAULT
from fastimg.sources import Source, Sources, pack_with_originals, reject_single_source
from fastimg.threads import check_num_threads, run_batch

# The usual names, by luma's sampling factors (horizontal, vertical) where both chroma components have (1, 1).
_SUBSAMPLINGS = {
    (1, 1): "4:4:4",
    (2, 1): "4:2:2",
    (2, 2): "4:2:0",
    (1, 2): "4:4:0",
    (4, 1): "4:1:1",
    (4, 2): "4:1:0",
}


@lru_cache(maxsize=64)
def _subsampling(components: int, factors: tuple[tuple[int, int], ...]) -> str:
    if components == 1:
        return "4:0:0"
    (h, v), *rest = factors
    chroma = rest[:2]
    black = rest[2:]  # a combination has a name only if CMYK's fourth component is sampled like the first
    # Factors are relative: (2, 2) for all three is 4:4:4.
    if chroma and chroma[0] == chroma[-1] and all(f == (h, v) for f in black):
        ch, cv = chroma[0]
        if ch and cv and h % ch == 0 and v % cv == 0 and (h // ch, v // cv) in _SUBSAMPLINGS:
            return _SUBSAMPLINGS[h // ch, v // cv]
    return ",".join(f"{h}x{v}" for h, v in factors)


def read_header(source: Source, fallback: FallbackOption | None = None) -> Header:
    """Read an image's header, and nothing else of the file.

    Parameters
    ----------
    source : str, os.PathLike, bytes-like or FileRange
        The JPEG.
    fallback : {"pillow"} or callable, optional
        What measures an image that is not JPEG, as for `load`.

    Returns
    -------
    Header
        Also for kinds that `decode` does not support, such as 12-bit files, and for images of any size.

    Raises
    ------
    JpegError
        If there is no JPEG header, or only a part of one.
    FallbackError
        If the fallback cannot measure the image either; like `JpegError` an `ImageError`.
    OSError
        If the file cannot be read.
    ImportError
        If Pillow is asked for and not installed.
    ValueError, TypeError
        If `source` or `fallback` is something else.

    Examples
    --------
    >>> header = fastimg.read_header("cat.jpg")
    >>> header.height, header.width, header.orientation
    (375, 500, 1)
    """
    decoder = parse_fallback(fallback)
    if decoder is None:
        return _header(*_decode.read_header(source))
    batch, measured = _read_all([source], 1, decoder, batched=False)
    return measured.get(0) or _header(*batch.headers()[0])


def read_headers(
    sources: Sources, num_threads: int | None = None, fallback: FallbackOption | None = None
) -> list[Header]:
    """Read many headers in threads, and nothing else of the files.

    Parameters
    ----------
    sources : iterable of str, os.PathLike, bytes-like or FileRange, or reader
        The images, as for `load`.
    num_threads : int, optional
        As for `load`.
    fallback : {"pillow"} or callable, optional
        What measures images that are not JPEG, as for `load`.

    Returns
    -------
    list of Header
        As `read_header` gives them.

    Raises
    ------
    ImageError, OSError
        The error of the first source, by index, whose header cannot be read; its attribute `index` says which.
    ImportError
        If Pillow is asked for and not installed.
    ValueError, TypeError
        If `num_threads`, `fallback` or a source is wrong.

    Examples
    --------
    >>> headers = fastimg.read_headers(fastimg.find_images("photos"))
    >>> max(header.height * header.width for header in headers)
    65536
    """
    batch, measured = _read_all(sources, num_threads, parse_fallback(fallback))
    return [measured.get(i) or _header(*fields) for i, fields in enumerate(batch.headers())]


def read_sizes(
    sources: Sources, num_threads: int | None = None, fallback: FallbackOption | None = None
) -> npt.NDArray[np.int64]:
    """Heights and widths of the upright images, (N, 2), as `read_headers` reads them."""
    batch, measured = _read_all(sources, num_threads, parse_fallback(fallback))
    sizes: npt.NDArray[np.int64] = batch.sizes()
    for i, header in measured.items():
        sizes[i] = header.height, header.width
    return sizes


def _read_all(
    sources: Sources, num_threads: int | None, fallback: Fallback | None, *, batched: bool = True
) -> tuple[_decode.Batch, dict[int, Header]]:
    """The headers of JPEGs, and by position those of other images."""
    reject_single_source(sources)
    check_num_threads(num_threads)
    items, packed = pack_with_originals(sources)
    batch = _decode.Batch(packed, None, ANY_HEADER, None, False, fallback is None)
    if len(batch):
        run_batch(batch, num_threads, DEFAULT.start(batch.by_caller))
    measured = read_others(batch, items, None, fallback, 0)
    for failure in batch.failures():
        if failure.error is not None and failure.is_machine_fault:
            raise failure.error
        raise make_error(failure, items[failure.position], failure.position if batched else None)
    return batch, measured


def _header(
    width: int,
    height: int,
    components: int,
    color: str,
    sof: int,
    precision: int,
    interval: int,
    orientation: int,
    nbytes: int,
    factors: tuple[tuple[int, int], ...],
) -> Header:
    if orientation >= 5:
        width, height = height, width
    return Header(
        width=width,
        height=height,
        components=components,
        color_space=color,
        subsampling=_subsampling(components, factors),
        progressive=sof in (2, 6, 10, 14),
        precision=precision,
        restart_interval=interval,
        orientation=orientation,
        nbytes=nbytes,
    )
