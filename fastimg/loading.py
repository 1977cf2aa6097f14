# SPDX-License-Identifier: BSD-3-Clause
"""Many images into one array."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from typing import Any, Literal, TypeAlias, Unpack, overload

import numpy as np
import numpy.typing as npt

import fastimg._decode as _decode
from fastimg.batch_decode import BatchDecode
from fastimg.crops import Crops, Flips, parse_crops, parse_flips
from fastimg.fallback import FallbackOption, parse_fallback
from fastimg.limits import MAX_PIXELS, MAX_SCANS
from fastimg.load_options import LoadOptions
from fastimg.on_error import OnError, parse_on_error
from fastimg.options import PadValue, Size, Statistic, options_of
from fastimg.readers import READ_AHEAD, ReadAhead, parse_reading
from fastimg.sources import Sources, pack_with_originals, reject_single_source
from fastimg.threads import Progress, check_num_threads, check_progress, resolve_num_threads
from fastimg.views import ViewOptions, ViewsDecode, parse_views

__all__ = ["load"]


_Array: TypeAlias = npt.NDArray[Any]
_Mask: TypeAlias = npt.NDArray[np.bool_]
_Geometry: TypeAlias = npt.NDArray[np.float64]


@overload
def load(
    sources: Sources,
    out: Any = None,
    *,
    views: None = None,
    return_mask: Literal[False] = False,
    return_geometry: Literal[False] = False,
    **options: Unpack[LoadOptions],
) -> _Array: ...
@overload
def load(
    sources: Sources,
    out: Any = None,
    *,
    views: None = None,
    return_mask: Literal[True],
    return_geometry: Literal[False] = False,
    **options: Unpack[LoadOptions],
) -> tuple[_Array, _Mask]: ...
@overload
def load(
    sources: Sources,
    out: Any = None,
    *,
    views: None = None,
    return_mask: Literal[False] = False,
    return_geometry: Literal[True],
    **options: Unpack[LoadOptions],
) -> tuple[_Array, _Geometry]: ...
@overload
def load(
    sources: Sources,
    out: Any = None,
    *,
    views: None = None,
    return_mask: Literal[True],
    return_geometry: Literal[True],
    **options: Unpack[LoadOptions],
) -> tuple[_Array, _Mask, _Geometry]: ...
@overload
def load(
    sources: Sources,
    out: Any = None,
    *,
    views: Sequence[ViewOptions],
    return_mask: Literal[False] = False,
    return_geometry: Literal[False] = False,
    **options: Unpack[LoadOptions],
) -> list[_Array]: ...
@overload
def load(
    sources: Sources,
    out: Any = None,
    *,
    views: Sequence[ViewOptions],
    return_mask: bool = False,
    return_geometry: bool = False,
    **options: Unpack[LoadOptions],
) -> tuple[Any, ...]: ...
def load(
    sources: Sources,
    out: Any = None,
    *,
    mode: str = "RGB",
    layout: str = "CHW",
    size: Size | None = None,
    resize_shorter: int | None = None,
    resize_longer: int | None = None,
    center_crop: Size | None = None,
    fit: str = "stretch",
    resample: str = "bilinear",
    reducing_gap: float | None = 2.0,
    pad_value: PadValue = 0,
    crop: Crops | None = None,
    flip: Flips = False,
    orient: bool = True,
    dtype: npt.DTypeLike = "uint8",
    mean: Statistic = 0,
    std: Statistic = 1,
    strict: bool = True,
    max_pixels: int = MAX_PIXELS,
    max_scans: int = MAX_SCANS,
    num_threads: int | None = None,
    progress: Progress = False,
    on_error: OnError = "raise",
    return_mask: bool = False,
    return_geometry: bool = False,
    read_threads: int | None = None,
    read_ahead: ReadAhead = READ_AHEAD,
    fallback: FallbackOption | None = None,
    views: Sequence[ViewOptions] | None = None,
) -> _Array | list[_Array] | tuple[Any, ...]:
    """Decode many JPEGs into one array, on all cores, with the GIL released.

    Parameters
    ----------
    sources : iterable of str, os.PathLike, bytes-like or FileRange, or reader
        N images of one size, or of any with `size`, `center_crop` or `crop`. A reader is an object with a length and
        a method ``read(i)`` that returns the data of image i, a bytes-like object: see Notes.
    out : array, optional
        As for `decode`, with a first axis of N: an ndarray, a memmap, ``tensor.numpy()``. With `views`, a list of them.
    mode, layout, size, resize_shorter, resize_longer, center_crop, fit, resample, reducing_gap, pad_value
        As for `decode`, the same for every image.
    crop : (top, left, height, width) or (N, 4) array, optional
        One box for all or one per image, of one height and width without `size`; floats if the result is resampled.
    flip : bool or (N,) bool array
        For all, or one per image.
    orient, dtype, mean, std, strict, max_pixels, max_scans
        As for `decode`, too.
    num_threads : int, optional
        None: the CPUs that this process may use, or FASTIMG_NUM_THREADS; 1 in a daemonic process. The result does not
        depend on it. Threads that find no image left help others with theirs, if these have two megapixels or more.
    progress : bool or callable
        True: a tqdm bar. A callable gets (done, total), in the calling thread.
    on_error : "raise", "fill" or callable
        "raise" stops at the first image that fails. "fill" zeroes it, continues, and warns once at the end. A callable
        gets every error, in order of index, and the images are zeroed (``on_error=failures.append``); in a worker of a
        DataLoader, where what it collects would be lost, it is refused at the first error. There are always N images:
        a bad file never shifts the others. Whatever this is, a machine that runs out of memory or of file descriptors
        stops the batch, and so do 32 images in a row that cannot be read: an input or output error, or whatever a
        reader of the caller's raises but an ImageError or a FileNotFoundError.
    return_mask : bool
        Whether to say also which images are good.
    return_geometry : bool
        Whether to say also where output pixels come from.
    read_threads : int, optional
        How many files may be read at the same time, in threads of their own, while others are decoded. None: as many as
        decoding would wait for, none where files come from memory, and up to 64, or 8 in a daemonic process, where
        storage is slow. 0: each thread reads a file and then decodes it.
    read_ahead : int or str
        How many bytes may have been read and not yet been decoded, such as 1000000 or "64 MiB"; a larger file is read
        alone.
    fallback : "pillow" or callable, optional
        As for `decode`. It is called in the threads that decode, several at a time.
    views : list of dict, optional
        Several results of each image, in one read and one decode: for each, the options that differ from the other
        arguments, as ``[{"size": 224}, {"size": 96, "crop": boxes}]``. All but `mode`, `orient`, `strict`,
        `max_pixels` and `max_scans` may. Each view says its size: `size`, `center_crop`, or crops of one size.

    Returns
    -------
    ndarray
        (N, C, height, width) or (N, height, width, C) of `dtype`; `out` itself if given. With `views`, a list of them.
    mask : (N,) bool array
        Only with `return_mask`. True: the image was decoded; False: it failed, and is zero, in all views.
    geometry : (N, 2, 3) float64 array
        Only with `return_geometry`. ``geometry[i] @ (x, y, 1)`` is the point (x, y) of upright image i that the centre
        of output pixel (x, y) shows, flip, crop and padding included; NaN for an image that failed. As in OpenCV,
        centres of pixels are whole numbers, from 0 on: for the edges of boxes, subtract 0.5 before and add it after.
        With `views`, a list of arrays.

    Raises
    ------
    ImageError, OSError
        With ``on_error="raise"``: the error of the first image, by index, that cannot be loaded.
    MemoryError, OSError
        If there is no memory, no file can be opened, or 32 images in a row cannot be read, whatever `on_error` is.
    RuntimeError
        If `on_error` is a callable, and an image fails in a worker of a DataLoader.
    ValueError, TypeError
        As for `decode`; if there are not as many crops or flips as images; or if images or boxes differ in size without
        `size`, in which case nothing has been decoded.
    ImportError
        As for `decode`.
    KeyboardInterrupt
        On Ctrl-C, within 0.1 s, or when the reads and the caller's functions that are under way have ended; no thread
        is left running.

    Notes
    -----
    The method ``read`` of a reader is called from the threads that read, several at a time unless the reader has an
    attribute ``thread_safe`` that is False. What it raises is that image's error, with attributes `index` and `source`.
    Further methods are used if it has them: ``name(i)``, what errors call an image, and ``nbytes(i)``, its size if that
    is known before it is read (-1 if not), without which `read_ahead` goes by the largest so far. A reader must pickle:
    each process, forked or not, makes its own from a pickle before it reads, so files and connections are opened anew;
    one with an attribute ``fork_safe`` that is True is kept in forked processes.

    Views that are resampled come of one pass over the image, in which the inverse DCT reduces as far as each of them
    allows by its `reducing_gap`: one that would be reduced further by a call of its own is nearer to the exact image.

    Examples
    --------
    >>> data = fastimg.load(fastimg.find_images("photos"), size=64)
    >>> data.shape, data.dtype
    ((72, 3, 64, 64), dtype('uint8'))
    """
    reject_single_source(sources)
    given = (
        mode, layout, size, resize_shorter, resize_longer, center_crop, fit, resample, reducing_gap, pad_value,
        orient, dtype, mean, std, strict, max_pixels, max_scans,
    )  # fmt: skip
    options = options_of(given)
    originals, packed = pack_with_originals(sources)
    parsed = None if views is None else parse_views(views, options, crop, flip, len(packed))
    check_num_threads(num_threads)
    check_progress(progress)
    reading = parse_reading(read_threads, read_ahead)
    on_error = parse_on_error(on_error)
    other = parse_fallback(fallback)
    returns = [bool(return_mask), bool(return_geometry)]
    alone = len(packed) == 1 and on_error == "raise" and progress is False and not any(returns)
    if parsed is None:
        boxes, flips = parse_crops(crop, len(packed), options), parse_flips(flip, len(packed))
    if alone and parsed is None and isinstance(originals, list | tuple):
        box: Any = tuple(boxes[0].tolist()) if isinstance(boxes, np.ndarray) else boxes
        mirror = flips if isinstance(flips, bool) else bool(flips[0])
        threads = resolve_num_threads(num_threads)
        return _decode.decode(originals[0], out, options, box, mirror, True, other, threads)
    how: dict[str, Any] = {
        "num_threads": num_threads,
        "on_error": on_error,
        "progress": progress,
        "originals": originals,
        "reading": reading,
        "return_geometry": returns[1],
        "fallback": other,
    }
    if parsed is None:
        batch = BatchDecode(packed, None, options, crop=boxes, flip=flips, **how)
    else:
        batch = ViewsDecode(packed, None, parsed, **how)
    images: Any = batch.load(out)
    if not any(returns):
        return images  # type: ignore[no-any-return]
    return images, *itertools.compress((batch.good(), batch.result_geometry()), returns)
