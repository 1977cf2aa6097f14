# SPDX-License-Identifier: BSD-3-Clause
"""Headers: what a JPEG says before its first scan."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

import fastimg._decode as _decode
from fastimg.errors import make_error
from fastimg.image_header import Header as Header
from fastimg.options import ANY_HEADER
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


def read_header(source: Source) -> Header:
    """Reads a JPEG's header, and nothing else of the file.

    Parameters
    ----------
    source : str, os.PathLike, bytes-like or FileRange
        The JPEG.

    Returns
    -------
    Header
        Also for kinds that `decode` does not support, such as 12-bit files, and for images of any size.

    Raises
    ------
    JpegError
        If there is no JPEG header, or only a part of one.
    OSError
        If the file cannot be read.
    TypeError
        If `source` is something else.
    """
    return _header(*_decode.read_header(source))


def read_headers(sources: Sources, num_threads: int | None = None) -> list[Header]:
    """Reads many headers in threads, and nothing else of the files.

    Parameters
    ----------
    sources : iterable of str, os.PathLike, bytes-like or FileRange, or reader
        The JPEGs, as for `load`.
    num_threads : int, optional
        As for `load`.

    Returns
    -------
    list of Header
        As `read_header` gives them.

    Raises
    ------
    JpegError, OSError
        The error of the first source, by index, whose header cannot be read; its attribute `index` says which.
    ValueError, TypeError
        If `num_threads` or a source is wrong.

    Examples
    --------
    >>> headers = fastimg.read_headers(fastimg.find_images("photos"))
    >>> max(header.height * header.width for header in headers)
    187500
    """
    return [_header(*fields) for fields in _read_all(sources, num_threads).headers()]


def read_sizes(sources: Sources, num_threads: int | None = None) -> npt.NDArray[np.int64]:
    """Heights and widths of the upright images, (N, 2), as `read_headers` reads them."""
    return _read_all(sources, num_threads).sizes()


def _read_all(sources: Sources, num_threads: int | None) -> _decode.Batch:
    reject_single_source(sources)
    check_num_threads(num_threads)
    items, packed = pack_with_originals(sources)
    batch = _decode.Batch(packed, None, ANY_HEADER, None, False, True)
    if len(batch):
        run_batch(batch, num_threads, DEFAULT.start(batch.by_caller))
    for failure in batch.failures():
        raise make_error(failure, items[failure.position], failure.position)
    return batch


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
