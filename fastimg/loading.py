# SPDX-License-Identifier: BSD-3-Clause
"""One image, or many, into an array."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Sequence
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from fastimg import _decode
from fastimg.errors import Failure, describe, make_error, portable
from fastimg.options import MAX_PIXELS, Crop, Statistic, make_options, parse_crop, parse_flip
from fastimg.sources import Source, SourceList, check_many
from fastimg.threads import Progress, check_num_threads, check_progress, default_num_threads, run_batch

__all__ = ["decode", "default_num_threads", "load", "verify"]

OnError: TypeAlias = "Literal['raise', 'fill'] | Callable[[Exception], object]"


def decode(
    source: Source,
    out: Any = None,
    *,
    mode: str = "RGB",
    layout: str = "CHW",
    crop: Crop | None = None,
    flip: bool = False,
    orient: bool = True,
    dtype: npt.DTypeLike = "uint8",
    mean: Statistic = 0,
    std: Statistic = 1,
    strict: bool = True,
    max_pixels: int = MAX_PIXELS,
) -> npt.NDArray[Any]:
    """Decodes one JPEG.

    Parameters
    ----------
    source : str, os.PathLike, bytes-like or FileRange
        The JPEG: a file, its bytes, or a part of a file. `bytes` is data, never a path.
    out : array, optional
        Where the pixels go: any object with a writable buffer of exactly the right shape and dtype. The pixels of a
        row must be contiguous; rows and planes may lie anywhere.
    mode : {"RGB", "BGR", "L"}
        The channels of the result; "L" (luma) has one.
    layout : {"CHW", "HWC"}
        Planes, or interleaved pixels.
    crop : (top, left, height, width), optional
        A box in pixels of the upright image.
    flip : bool
        Mirror left-right, after cropping.
    orient : bool
        Apply the EXIF orientation.
    dtype : {"uint8", "float32", "float16"}
        Floats are ``(pixel / 255 - mean) / std``, each step in float32; float16 is that, rounded to nearest even.
    mean, std : float or sequence of float
        For all channels, or one value a channel.
    strict : bool
        Whether an image that lost data is an error; if not, what libjpeg-turbo recovers is kept.
    max_pixels : int
        Larger headers are refused before anything is allocated.

    Returns
    -------
    ndarray
        (C, height, width) or (height, width, C) of `dtype`; `out` itself if that was given.

    Raises
    ------
    JpegError
        If the data is not a JPEG, damaged, cut short, too large or of an unsupported kind. It has attributes `source`
        and `index`; so has every error about an image.
    OSError
        If the file cannot be read (FileNotFoundError, IsADirectoryError, ...), with errno and filename.
    ValueError
        If an option or the shape of `out` is wrong, `out` is read-only, or the crop leaves the image.
    TypeError
        If the source, an option or the dtype of `out` has the wrong type.

    Examples
    --------
    >>> image = fastimg.decode("cat.jpg")
    >>> image.shape, image.dtype
    ((3, 375, 500), dtype('uint8'))
    """
    options = make_options(mode, layout, orient, dtype, mean, std, strict, max_pixels)
    return _decode.decode(source, out, options, parse_crop(crop), parse_flip(flip), ())


def load(
    sources: Iterable[Source],
    out: Any = None,
    *,
    mode: str = "RGB",
    layout: str = "CHW",
    crop: Crop | None = None,
    flip: bool = False,
    orient: bool = True,
    dtype: npt.DTypeLike = "uint8",
    mean: Statistic = 0,
    std: Statistic = 1,
    strict: bool = True,
    max_pixels: int = MAX_PIXELS,
    num_threads: int | None = None,
    progress: Progress = False,
    on_error: OnError = "raise",
) -> npt.NDArray[Any]:
    """Decodes many JPEGs into one array, on all cores, with the GIL released.

    Parameters
    ----------
    sources : iterable of str, os.PathLike, bytes-like or FileRange
        N images of one size (or cropped to one).
    out : array, optional
        Where they go, as for `decode`, with a first axis of N: an ndarray, a memmap, ``tensor.numpy()``.
    mode, layout, crop, flip, orient, dtype, mean, std, strict, max_pixels
        As for `decode`, the same for every image.
    num_threads : int, optional
        None: the CPUs that this process may use, or FASTIMG_NUM_THREADS; 1 in a daemonic process. The result does not
        depend on it.
    progress : bool or callable
        True: a tqdm bar. A callable gets (done, total), in the calling thread.
    on_error : "raise", "fill" or callable
        "raise" stops at the first image that fails. "fill" makes it zeros, goes on, and warns once at the end. A
        callable gets every error, in order of index, and the images become zeros (``on_error=failures.append``).
        There are always N images: a bad file never shifts the others.

    Returns
    -------
    ndarray
        (N, C, height, width) or (N, height, width, C) of `dtype`; `out` itself if that was given.

    Raises
    ------
    JpegError, OSError
        With ``on_error="raise"``: the error of the first image, by index, that cannot be had.
    ValueError, TypeError
        As for `decode`, and if images differ in size: nothing has been decoded then.
    KeyboardInterrupt
        On Ctrl-C, within 0.1 s and an image's time; no thread is left behind.

    Examples
    --------
    >>> paths = fastimg.find_images("photos")
    >>> data = fastimg.load(paths, num_threads=8)
    """
    check_many(sources)
    items = sources if isinstance(sources, (list, tuple)) else list(sources)
    options = make_options(mode, layout, orient, dtype, mean, std, strict, max_pixels)
    box, mirror = parse_crop(crop), parse_flip(flip)
    check_num_threads(num_threads)
    check_progress(progress)
    check_on_error(on_error)
    if len(items) == 1 and on_error == "raise" and progress is False:
        return _decode.decode(items[0], out, options, box, mirror, (1,))
    task = Task(SourceList(items), None, options, box, mirror, num_threads, on_error, progress, items)
    array: npt.NDArray[Any] = task.load(out)
    return array


def verify(source: Source) -> tuple[str, ...]:
    """Decodes an image in strict mode and keeps nothing of it.

    Returns
    -------
    tuple of str
        What is odd about it, in libjpeg's words, although every pixel is there.

    Raises
    ------
    JpegError, OSError, TypeError
        As `decode`.
    """
    return _decode.verify(source, make_options("RGB", "CHW", True, "uint8", 0, 1, True, MAX_PIXELS))


def check_on_error(on_error: Any) -> None:
    """Refuses what is none of the ways to treat an error."""
    if callable(on_error):
        return
    if not isinstance(on_error, str):
        raise TypeError(f"on_error must be 'raise', 'fill' or a callable, found {on_error!r}")
    if on_error not in ("raise", "fill"):
        raise ValueError(f"on_error must be 'raise', 'fill' or a callable, found {on_error!r}")


class Task:
    """Some images of a list of sources, to be decoded.

    Parameters
    ----------
    sources : SourceList
    indices : ndarray of int64, (n,), or None
        Which; None: all.
    options, crop, flip, num_threads, on_error, progress
        Checked already.
    originals : sequence, optional
        The sources as the caller gave them, for errors to carry.
    """

    def __init__(
        self,
        sources: SourceList,
        indices: npt.NDArray[np.int64] | None,
        options: _decode.Options,
        crop: Crop | None,
        flip: bool,
        num_threads: int | None,
        on_error: OnError,
        progress: Progress = False,
        originals: Sequence[Any] | None = None,
    ) -> None:
        self.indices = indices
        self.options = options
        self.crop = crop
        self.num_threads = num_threads
        self.on_error = on_error
        self.progress = progress
        self.originals: Any = sources if originals is None else originals
        self.batch = _decode.Batch(sources, indices, options, crop, flip, on_error == "raise")

    def load(self, out: Any = None, size: tuple[int, int] | None = None) -> Any:
        """Images of one size into one array; `size` (height, width) if that is known beforehand."""
        shape = (len(self.batch), *self.options.shape(*(size or self._common_size(out))))
        if out is None:
            out = np.empty(shape, self.options.dtype)
        self._decode_into(out, shape)
        return out

    def load_list(self, outs: list[Any] | None = None) -> list[Any]:
        """Images of any sizes into a list of arrays. One whose size cannot be known is empty."""
        sizes = self.read_sizes()
        shapes = [self.options.shape(max(h, 0), max(w, 0)) for h, w in sizes.tolist()]
        if outs is None:
            outs = [np.empty(shape, self.options.dtype) for shape in shapes]
        self._decode_into(outs, shapes)
        return outs

    def read_sizes(self) -> npt.NDArray[np.int64]:
        """Heights and widths, (n, 2), from the headers; -1 where there is none to be had."""
        sizes = np.empty((len(self.batch), 2), np.int64)
        if self.crop and self.on_error == "raise":
            sizes[:] = self.crop[2:]
        elif len(sizes):
            run_batch(self.batch, self.num_threads)
            failures = self.batch.failures()
            if failures and self.on_error == "raise":
                self._raise_lowest(failures[0])
            self.batch.sizes(sizes)
        return sizes

    def _common_size(self, out: Any) -> tuple[int, int]:
        if self.crop:
            return self.crop[2:]
        sizes = self.read_sizes()
        known = np.flatnonzero(sizes[:, 0] >= 0)
        if not len(known):
            if out is None:
                self._raise_first(self.batch.failures())
            return self._size_of(out)
        different = np.flatnonzero((sizes[known] != sizes[known[0]]).any(axis=1))
        if len(different):
            self._refuse_sizes(sizes, int(known[0]), int(known[different[0]]))
        height, width = sizes[known[0]].tolist()
        return height, width

    def _size_of(self, out: Any) -> tuple[int, int]:
        """What `out` would hold; no image says otherwise."""
        shape: tuple[int, ...] = np.shape(out) if out is not None else ()
        axes = shape[2:4] if self.options.planar else shape[1:3]
        return (axes[0], axes[1]) if len(shape) == 4 else (0, 0)

    def _refuse_sizes(self, sizes: npt.NDArray[np.int64], first: int, other: int) -> None:
        (h0, w0), (h1, w1) = sizes[first].tolist(), sizes[other].tolist()
        source, index = portable(self._source(other)), self._index(other)
        error: Any = ValueError(
            "images must have one size to share an array: "
            f"image {self._index(first)}, {describe(portable(self._source(first)))}, has height {h0} and width {w0}; "
            f"image {index}, {describe(source)}, has height {h1} and width {w1}. "
            "Give a crop, or use NonUniformImageFileAccessor"
        )
        error.source, error.index = source, index
        raise error

    def _decode_into(self, out: Any, shape: Any) -> None:
        batch = self.batch
        batch.set_output(out, shape)
        if len(batch):
            run_batch(batch, self.num_threads, self.progress)
        elif callable(self.progress):
            self.progress(0, 0)
        self._settle(batch.failures())

    def _index(self, position: int) -> int:
        return position if self.indices is None else int(self.indices[position])

    def _source(self, position: int) -> Any:
        return self.originals[self._index(position)]

    def _error(self, failure: Failure) -> Exception:
        return make_error(failure, self._source(failure.position), self._index(failure.position))

    def _raise_lowest(self, failure: Failure) -> None:
        """Raises what a loop over the images would raise first: an image before this one may be damaged."""
        self.batch.set_output(None, failure.position)
        if failure.position:
            run_batch(self.batch, self.num_threads)
        self._raise_first([*self.batch.failures(), failure])

    def _raise_first(self, failures: list[Failure]) -> None:
        if failures:
            raise self._error(failures[0])

    def _settle(self, failures: list[Failure]) -> None:
        on_error = self.on_error
        if not failures:
            return
        if callable(on_error):
            for failure in failures:
                on_error(self._error(failure))
        elif on_error == "raise":
            self._raise_first(failures)
        else:
            warnings.warn(
                f"{len(failures)} of {len(self.batch)} images failed and are zeros; the first: "
                f"{self._error(failures[0])}",
                stacklevel=4,
            )
