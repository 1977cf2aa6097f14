# SPDX-License-Identifier: BSD-3-Clause
"""Boxes and flips: one for all images or one per image, checked; and random boxes."""

from __future__ import annotations

import math
import operator
import reprlib
from collections.abc import Iterable, Sequence
from numbers import Real
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

import fastimg._decode as _decode
from fastimg.fallback import FallbackOption
from fastimg.header import Header, read_sizes
from fastimg.options import parse_flag
from fastimg.sources import Source, is_packed_or_reader, reject_single_source

Crop: TypeAlias = "tuple[float, float, float, float]"
Crops: TypeAlias = "Crop | Sequence[Sequence[float]] | npt.NDArray[Any]"
Flips: TypeAlias = "bool | Sequence[bool] | npt.NDArray[np.bool_]"
Boxes: TypeAlias = npt.NDArray[Any]  # float64, or int64 where they are drawn
Sizes: TypeAlias = "Iterable[Source] | Iterable[Header] | Iterable[Sequence[int]] | npt.NDArray[Any]"

#: How often torchvision draws before it takes the centre of the image.
ATTEMPTS = 10

_FAR = 2**31


def parse_crop(crop: Any, options: _decode.Options) -> Crop | None:
    """Checks a crop as far as possible without its image."""
    if crop is None:
        return None
    box = _parse_box(crop, "crop")
    if not options.resizes and any(side != math.floor(side) for side in box):
        raise _not_whole("crop", box)
    return box


def _not_whole(name: str, box: Any) -> ValueError:
    return ValueError(
        f"{name} must be whole numbers where nothing is resized (size, resize_shorter, resize_longer), "
        f"found {reprlib.repr(box)}"
    )


def _parse_side(side: Any) -> float:
    if isinstance(side, float | np.floating):
        return float(side)
    return operator.index(side)


def _parse_box(box: Any, name: str) -> Crop:
    try:
        top, left, height, width = (_parse_side(side) for side in box)
    except (TypeError, ValueError):
        text = f"{name} must be four numbers (top, left, height, width), found {reprlib.repr(box)}"
        wrong_length = isinstance(box, Sequence | np.ndarray) and len(box) != 4
        raise ValueError(text) if wrong_length else TypeError(text) from None
    if not (0 <= top <= _FAR and 0 <= left <= _FAR and 0 < height <= _FAR and 0 < width <= _FAR):
        raise ValueError(
            f"{name} must be (top, left, height, width) with top, left >= 0 and height, width > 0, "
            f"none above 2**31, found {box!r}"
        )
    return top, left, height, width


def parse_crops(crop: Any, count: int, options: _decode.Options) -> Crop | Boxes | None:
    """One crop for all of `count` images, or one per image, (count, 4) and C-contiguous."""
    if not _has_rows(crop):
        return parse_crop(crop, options)
    try:
        array = np.asarray(crop)
    except (ValueError, OverflowError):
        array = np.empty((len(crop), 0), object)  # ragged
    if len(array) != count:
        raise ValueError(f"crop must have one box for each of {count} images, found {len(array)} boxes")
    if not count:
        return np.empty((0, 4), np.float64)
    if isinstance(crop, np.ndarray) and array.shape != (count, 4):
        raise ValueError(f"crop must have shape ({count}, 4), one box an image, found {array.shape}")
    if array.shape == (count, 4) and array.dtype.kind in "iuf":
        boxes = np.ascontiguousarray(array, np.float64)
        right = (boxes >= 0) & (boxes <= _FAR) & (boxes > [-1, -1, 0, 0])  # and not NaN
        if not right.all():
            i = int(np.flatnonzero(~right.all(axis=1))[0])
            _parse_box(crop[i], f"crop of image {i}")
    else:  # a row is wrong, or holds numbers that NumPy takes for objects
        boxes = np.array([_parse_box(row, f"crop of image {i}") for i, row in enumerate(crop)], np.float64)
    if not options.resizes and (boxes != np.floor(boxes)).any():
        i = int(np.flatnonzero((boxes != np.floor(boxes)).any(axis=1))[0])
        raise _not_whole(f"crop of image {i}", crop[i])
    return boxes


def parse_flip(flip: Any) -> bool:
    """One bool; TypeError for anything else."""
    return parse_flag("flip", flip)


def parse_flips(flip: Any, count: int) -> bool | npt.NDArray[np.bool_]:
    """One flip for all of `count` images, or one per image, (count,) and contiguous."""
    if not isinstance(flip, list | tuple) and not getattr(flip, "ndim", 0):
        return parse_flag("flip", flip)
    if len(flip) != count:
        raise ValueError(f"flip must have one bool for each of {count} images, found {len(flip)}")
    try:
        array = np.asarray(flip)
    except ValueError:
        array = np.array(None)  # ragged
    if array.ndim > 1:
        raise ValueError(f"flip must have shape ({count},), one bool an image, found {array.shape}")
    if count and array.dtype != np.bool_:
        raise TypeError(f"flip must be True, False or one of them for each image, found {reprlib.repr(flip)}")
    return np.ascontiguousarray(array, np.bool_)


def _has_rows(crop: Any) -> bool:
    """Whether there is one box per image."""
    if hasattr(crop, "ndim"):
        return bool(crop.ndim > 1)
    return isinstance(crop, list | tuple) and (not crop or hasattr(crop[0], "__len__"))


def random_crops(
    sizes_or_sources: Sizes,
    rng: np.random.Generator | np.random.RandomState | int | None = None,
    scale: tuple[float, float] = (0.08, 1.0),
    ratio: tuple[float, float] = (3 / 4, 4 / 3),
    *,
    fallback: FallbackOption | None = None,
) -> npt.NDArray[np.int64]:
    """Draw a box for each image: Inception's random resized crop, without the resizing.

    A box is drawn up to ten times, until it fits into the image: its area is uniform in `scale` times the image's, the
    logarithm of its width / height is uniform between those of `ratio`, and its place is uniform. If none fits, the box
    is the largest central one with a permitted ratio. This is the distribution of torchvision's
    ``RandomResizedCrop.get_params`` (after Szegedy et al., "Going deeper with convolutions", 2015, section 6).

    Parameters
    ----------
    sizes_or_sources : (N, 2) integer array or sequence of pairs, of `Header`, or of sources
        Height and width of the upright images. For sources (paths, bytes-like objects, `FileRange` objects), headers
        are read.
    rng : numpy.random.Generator, numpy.random.RandomState, int or None
        Source of the numbers; an int is the seed of a new generator.
    scale : (float, float)
        Smallest and largest part of the image's area.
    ratio : (float, float)
        Smallest and largest width / height.
    fallback : {"pillow"} or callable, optional
        What measures sources that are not JPEG, as for `load`.

    Returns
    -------
    int64 ndarray, (N, 4)
        (top, left, height, width) in pixels of the upright image, as `load` takes them for `crop`.

    Raises
    ------
    ValueError
        If `scale` or `ratio` is not 0 < least <= largest, or sizes are not pairs of at least 1.
    TypeError
        If an argument has the wrong type.
    ImageError, OSError
        If a header cannot be read.
    ImportError
        If Pillow is asked for and not installed.

    Examples
    --------
    >>> paths = fastimg.find_images("photos")
    >>> rng = np.random.default_rng(12345)
    >>> boxes = fastimg.random_crops(paths, rng)
    >>> boxes.shape, boxes.dtype
    ((72, 4), dtype('int64'))
    >>> batch = fastimg.load(paths, crop=boxes, flip=rng.random(len(paths)) < 0.5, size=64)
    """
    scale, ratio = parse_interval("scale", scale), parse_interval("ratio", ratio)
    generator = _generator(rng)
    sizes = _sizes(sizes_or_sources, fallback)
    formula = (scale, ratio, 0.0, 0)
    boxes, _ = _decode.fit_boxes(sizes, None, formula)
    pending = np.arange(len(sizes))
    for _ in range(ATTEMPTS):
        if not len(pending):
            break
        draws = np.ascontiguousarray(generator.random((4, len(pending))).T)
        found, fits = _decode.fit_boxes(sizes[pending], draws, formula)
        boxes[pending[fits]] = found[fits]
        pending = pending[~fits]
    return boxes


def parse_interval(name: str, value: Any) -> tuple[float, float]:
    """Two numbers with 0 < least <= largest; TypeError or ValueError for anything else."""
    if isinstance(value, str) or not isinstance(value, Sequence | np.ndarray):
        raise TypeError(f"{name} must be two numbers (least, largest), found {value!r}")
    if any(isinstance(v, bool) or not isinstance(v, Real) for v in value):
        raise TypeError(f"{name} must be two numbers (least, largest), found {value!r}")
    if len(value) != 2 or not 0 < value[0] <= value[1] < math.inf:
        raise ValueError(
            f"{name} must be two finite numbers (least, largest) with 0 < least <= largest, found {value!r}"
        )
    return float(value[0]), float(value[1])


def _generator(rng: Any) -> np.random.Generator | np.random.RandomState:
    if isinstance(rng, np.random.Generator | np.random.RandomState):
        return rng
    if rng is not None and (isinstance(rng, bool) or not isinstance(rng, int | np.integer)):
        raise TypeError(f"rng must be a Generator, a RandomState, an integer seed or None, found {rng!r}")
    if rng is not None and rng < 0:
        raise ValueError(f"rng must be a seed of at least 0, found {rng}")
    return np.random.default_rng(rng)


def _is_pair(item: Any) -> bool:
    return isinstance(item, list | tuple) or (isinstance(item, np.ndarray) and item.shape == (2,))


def _sizes(given: Any, fallback: FallbackOption | None) -> npt.NDArray[np.int64]:
    """Heights and widths, (N, 2)."""
    reject_single_source(given)
    if is_packed_or_reader(given):
        return read_sizes(given, fallback=fallback)
    items = given if isinstance(given, np.ndarray) else list(given)
    if not len(items):
        return np.empty((0, 2), np.int64)
    first = items[0]
    if isinstance(first, Header):
        if not all(isinstance(item, Header) for item in items):
            raise TypeError("sizes_or_sources must be all headers, all sizes or all sources, found a mixture")
        items = np.array([(header.height, header.width) for header in items])
    elif not isinstance(given, np.ndarray) and not _is_pair(first):
        items = read_sizes(items, fallback=fallback)
    try:
        sizes = np.asarray(items)
    except ValueError:
        raise ValueError("sizes must be pairs (height, width), found rows of different lengths") from None
    if sizes.dtype.kind not in "iu":
        raise TypeError(f"sizes must be integers, found dtype {sizes.dtype}")
    if sizes.ndim != 2 or sizes.shape[1] != 2:
        raise ValueError(f"sizes must have shape (N, 2), heights and widths, found {sizes.shape}")
    if sizes.min() < 1 or sizes.max() > _FAR:
        i = int(np.flatnonzero(((sizes < 1) | (sizes > _FAR)).any(axis=1))[0])
        raise ValueError(
            f"sizes must be at least 1, found height {sizes[i, 0]} and width {sizes[i, 1]} for image {i}"
        )
    return np.ascontiguousarray(sizes, np.int64)
