# SPDX-License-Identifier: BSD-3-Clause
"""The vocabulary of options, checked once and turned into what the core takes."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from functools import lru_cache
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from fastimg import _decode

MODES = ("RGB", "BGR", "L")
LAYOUTS = ("CHW", "HWC")
DTYPES = ("uint8", "float32", "float16")

#: Pillow's limit before it warns of a decompression bomb: a quarter GiB of 24-bit pixels, doubled.
MAX_PIXELS = 178_956_970

#: Nobody's encoder writes more than some 20; every further one costs a pass over the whole image.
MAX_SCANS = 500

Crop: TypeAlias = "tuple[int, int, int, int]"
Statistic: TypeAlias = "float | Sequence[float] | npt.NDArray[Any]"


def _choose(name: str, value: object, choices: tuple[str, ...]) -> int:
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a str, found {type(value).__name__}")
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}, found {value!r}")
    return choices.index(value)


def _flag(name: str, value: object) -> bool:
    if value is True or value is False:
        return bool(value)
    if not isinstance(value, np.bool_):
        raise TypeError(f"{name} must be True or False, found {value!r}")
    return bool(value)


def _dtype(value: Any) -> int:
    try:
        dtype = np.dtype(value)
    except TypeError:
        raise TypeError(f"dtype must be one of {', '.join(DTYPES)}, found {value!r}") from None
    if value is None or dtype.name not in DTYPES or not dtype.isnative:
        raise ValueError(f"dtype must be one of {', '.join(DTYPES)}, found {value!r}")
    return DTYPES.index(dtype.name)


def _statistic(name: str, value: Any, channels: int) -> np.ndarray[Any, np.dtype[np.float32]]:
    try:
        array = np.asarray(value)
    except ValueError:
        array = np.array(None)  # ragged
    if array.dtype.kind not in "iuf":
        raise TypeError(f"{name} must be a number or one a channel, found {value!r}")
    with np.errstate(over="ignore"):
        array = array.astype(np.float32)
    if array.shape not in ((), (1,), (channels,)):
        raise ValueError(f"{name} must be a number or {channels} of them, found shape {array.shape}")
    if not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite, found {value!r}")
    return np.broadcast_to(array, (channels,))


def _table(dtype: int, mean: Any, std: Any, channels: int) -> bytes:
    """What each pixel value becomes, a row of 256 a channel.

    The arithmetic is NumPy's in float32, a rounding a step, so that the result equals
    ``((x.astype("float32") / 255 - mean) / std)`` bit for bit, which is also torchvision's ToTensor and Normalize.
    """
    mean, std = _statistic("mean", mean, channels), _statistic("std", std, channels)
    if (std == 0).any():
        raise ValueError(f"std must not be 0, found {std.tolist()}")
    if DTYPES[dtype] == "uint8":
        if mean.any() or (std != 1).any():
            raise ValueError("mean and std need a floating-point dtype, found dtype 'uint8'")
        return b""
    values = np.arange(256, dtype=np.float32) / np.float32(255)
    with np.errstate(over="ignore"):
        table = (values - mean[:, None]) / std[:, None]
        encoded: bytes = table.astype(DTYPES[dtype]).tobytes()
        return encoded


def parse_crop(crop: Any) -> Crop | None:
    """Checks what can be checked of a crop without its image."""
    if crop is None:
        return None
    try:
        top, left, height, width = (operator.index(v) for v in crop)
    except (TypeError, ValueError):
        raise _crop_error(crop) from None
    if top < 0 or left < 0 or height < 1 or width < 1 or max(top, left, height, width) > 2**31:
        raise ValueError(
            "crop must be (top, left, height, width) with top, left >= 0 and height, width >= 1, "
            f"found {crop!r}"
        )
    return top, left, height, width


def parse_flip(flip: Any) -> bool:
    """Checks that it is a bool."""
    return _flag("flip", flip)


def _crop_error(crop: Any) -> Exception:
    text = f"crop must be None or four integers (top, left, height, width), found {crop!r}"
    return ValueError(text) if isinstance(crop, Sequence | np.ndarray) and len(crop) != 4 else TypeError(text)


def _make(
    mode: str, layout: str, orient: bool, dtype: Any, mean: Any, std: Any, strict: bool, max_pixels: int
) -> _decode.Options:
    mode_code, layout_code, dtype_code = (
        _choose("mode", mode, MODES),
        _choose("layout", layout, LAYOUTS),
        _dtype(dtype),
    )
    if isinstance(max_pixels, bool) or not hasattr(max_pixels, "__index__"):
        raise TypeError(f"max_pixels must be an integer, found {max_pixels!r}")
    if not 1 <= max_pixels < 2**62:
        raise ValueError(f"max_pixels must be at least 1, found {max_pixels}")
    table = _table(dtype_code, mean, std, 1 if mode == "L" else 3)
    return _decode.Options(
        mode_code,
        layout_code,
        dtype_code,
        _flag("orient", orient),
        _flag("strict", strict),
        operator.index(max_pixels),
        MAX_SCANS,
        table,
        np.dtype(DTYPES[dtype_code]),
    )


_make_once = lru_cache(maxsize=64, typed=True)(_make)


def make_options(
    mode: str, layout: str, orient: bool, dtype: Any, mean: Any, std: Any, strict: bool, max_pixels: int
) -> _decode.Options:
    """Checked options; the same ones are made once, which matters to small images."""
    try:
        return _make_once(mode, layout, orient, dtype, mean, std, strict, max_pixels)
    except TypeError:
        # Lists and arrays cannot be looked up; wrong types raise again, now with nothing in the way.
        return _make(mode, layout, orient, dtype, mean, std, strict, max_pixels)
