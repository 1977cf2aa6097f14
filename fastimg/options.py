# SPDX-License-Identifier: BSD-3-Clause
"""The vocabulary of options, checked once and turned into what the core takes."""

from __future__ import annotations

import math
import operator
from collections.abc import Sequence
from functools import lru_cache
from numbers import Real
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

import fastimg._decode as _decode

MODES = ("RGB", "BGR", "L")
LAYOUTS = ("CHW", "HWC")
DTYPES = ("uint8", "float32", "float16")
FITS = ("stretch", "cover", "contain")
FILTERS = ("bilinear", "box", "hamming", "bicubic", "lanczos")

#: Pillow's limit before it warns of a decompression bomb: a quarter GiB of 24-bit pixels, doubled.
MAX_PIXELS = 178_956_970

#: Nobody's encoder writes more than some 20; every further one costs a pass over the whole image.
MAX_SCANS = 500

#: The largest height or width that can be asked for.
MAX_SIDE = 2**20

Statistic: TypeAlias = "float | Sequence[float] | npt.NDArray[Any]"
Size: TypeAlias = "int | Sequence[int] | npt.NDArray[Any]"
PadValue: TypeAlias = "int | Sequence[int] | npt.NDArray[Any]"


def _choose(name: str, value: object, choices: tuple[str, ...]) -> int:
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a str, found {type(value).__name__}")
    if value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}, found {value!r}")
    return choices.index(value)


def parse_integer(name: str, value: Any, least: int) -> int:
    """An integer of at least `least`; ValueError or TypeError for anything else, also bools."""
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"{name} must be an integer, found {value!r}")
    value = operator.index(value)
    if value < least:
        raise ValueError(f"{name} must be at least {least}, found {value}")
    return int(value)


def parse_flag(name: str, value: object) -> bool:
    """Checks that it is a bool, Python's or NumPy's."""
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


def _normalization(dtype: int, mean: Any, std: Any, channels: int) -> tuple[bytes, bytes, bytes]:
    """Mean and std a channel; and what each pixel value becomes, a row of 256 a channel.

    The arithmetic is NumPy's in float32, a rounding a step, so that the result equals
    ``((x.astype("float32") / 255 - mean) / std)`` bit for bit, which is also torchvision's ToTensor and Normalize.
    """
    mean, std = _statistic("mean", mean, channels), _statistic("std", std, channels)
    statistics = mean.tobytes(), std.tobytes()
    if (std == 0).any():
        raise ValueError(f"std must not be 0, found {std.tolist()}")
    if DTYPES[dtype] == "uint8":
        if mean.any() or (std != 1).any():
            raise ValueError("mean and std need a floating-point dtype, found dtype 'uint8'")
        return *statistics, b""
    values = np.arange(256, dtype=np.float32) / np.float32(255)
    with np.errstate(over="ignore"):
        table = (values - mean[:, None]) / std[:, None]
        return *statistics, table.astype(DTYPES[dtype]).tobytes()


def _is_many(value: Any) -> bool:
    return isinstance(value, list | tuple) or bool(getattr(value, "ndim", 0))


def _integers(value: Any) -> tuple[int, ...]:
    """The integers of a list, tuple or array; of a single one, itself. TypeError for anything else, also bools."""
    values = tuple(value) if _is_many(value) else (value,)
    if any(isinstance(v, bool) for v in values):
        raise TypeError
    return tuple(map(operator.index, values))


def parse_size(size: Any) -> tuple[int, int] | None:
    """Height and width of the output, or None."""
    if size is None:
        return None
    try:
        sides = _integers(size)
    except TypeError:
        raise TypeError(f"size must be None, an integer or (height, width), found {size!r}") from None
    if not _is_many(size):
        sides *= 2
    if len(sides) != 2 or not 1 <= min(sides) <= max(sides) <= MAX_SIDE:
        raise ValueError(
            f"size must be None, an integer or (height, width), each from 1 to {MAX_SIDE}, found {size!r}"
        )
    return sides[0], sides[1]


def _parse_gap(gap: Any) -> float:
    """The core's number: 0 never reduces."""
    if gap is None:
        return 0.0
    number = isinstance(gap, Real) and not isinstance(gap, bool)
    if not number:
        raise TypeError(f"reducing_gap must be None or a number, found {gap!r}")
    if not gap >= 1:
        raise ValueError(f"reducing_gap must be None or a number of at least 1, found {gap!r}")
    try:
        return float(gap)
    except OverflowError:
        return math.inf


def _parse_pad(pad_value: Any) -> tuple[int, ...]:
    try:
        values = _integers(pad_value)
    except TypeError:
        raise TypeError(f"pad_value must be an integer or one a channel, found {pad_value!r}") from None
    if not all(0 <= value <= 255 for value in values):
        raise ValueError(f"pad_value must be from 0 to 255, found {pad_value!r}")
    return values


def _pad(values: tuple[int, ...], channels: int) -> bytes:
    if len(values) not in (1, channels):
        raise ValueError(f"pad_value must be an integer or {channels} of them, found {len(values)}")
    return bytes(values if len(values) > 1 else values * 3)


def _make(
    mode: str,
    layout: str,
    size: Any,
    fit: str,
    resample: str,
    reducing_gap: Any,
    pad_value: Any,
    orient: bool,
    dtype: Any,
    mean: Any,
    std: Any,
    strict: bool,
    max_pixels: int,
) -> _decode.Options:
    mode_code, layout_code, fit_code, resample_code, dtype_code = (
        _choose("mode", mode, MODES),
        _choose("layout", layout, LAYOUTS),
        _choose("fit", fit, FITS),
        _choose("resample", resample, FILTERS),
        _dtype(dtype),
    )
    channels = 1 if mode == "L" else 3
    if isinstance(max_pixels, bool) or not hasattr(max_pixels, "__index__"):
        raise TypeError(f"max_pixels must be an integer, found {max_pixels!r}")
    if not 1 <= max_pixels < 2**62:
        raise ValueError(f"max_pixels must be at least 1, found {max_pixels}")
    return _decode.Options(
        mode_code,
        layout_code,
        dtype_code,
        fit_code,
        resample_code,
        parse_size(size) or (0, 0),
        _parse_gap(reducing_gap),
        _pad(_parse_pad(pad_value), channels),
        parse_flag("orient", orient),
        parse_flag("strict", strict),
        operator.index(max_pixels),
        MAX_SCANS,
        *_normalization(dtype_code, mean, std, channels),
        np.dtype(DTYPES[dtype_code]),
    )


_make_once = lru_cache(maxsize=64, typed=True)(_make)


def _distinct(value: Any) -> Any:
    """A tuple that the cache takes for no other, else None: within tuples, 1.0 and True look like 1 to it."""
    return value if type(value) is tuple and set(map(type, value)) == {int} else None


def make_options(
    mode: str = "RGB",
    layout: str = "CHW",
    size: Any = None,
    fit: str = "stretch",
    resample: str = "bilinear",
    reducing_gap: Any = 2.0,
    pad_value: Any = 0,
    orient: bool = True,
    dtype: Any = "uint8",
    mean: Any = 0,
    std: Any = 1,
    strict: bool = True,
    max_pixels: int = MAX_PIXELS,
) -> _decode.Options:
    """Checked options; the same ones are made once, which matters to small images."""
    if size is not None and type(size) is not int:
        size = _distinct(size) or parse_size(size)
    if type(pad_value) is not int:
        pad_value = _distinct(pad_value) or _parse_pad(pad_value)
    try:
        return _make_once(
            mode, layout, size, fit, resample, reducing_gap, pad_value, orient, dtype, mean, std, strict, max_pixels
        )  # fmt: skip
    except TypeError:
        # Lists and arrays cannot be looked up; wrong types raise again, now with nothing in the way.
        return _make(
            mode, layout, size, fit, resample, reducing_gap, pad_value, orient, dtype, mean, std, strict, max_pixels
        )  # fmt: skip
