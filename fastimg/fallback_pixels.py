# SPDX-License-Identifier: BSD-3-Clause
"""Pixels that other decoders make: checked, and without their alpha channel."""

from __future__ import annotations

from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from fastimg.errors import FallbackError, ImageTooLargeError

Pixels: TypeAlias = npt.NDArray[np.uint8]
PadValue: TypeAlias = "int | tuple[int, ...]"

#: FI_MAX_SIDE of the core, which counts rows and columns in 32 bits.
MAX_SIDE = 2**20


def check_array(value: Any) -> Pixels:
    """Refuses all but uint8 arrays of pixels."""
    expected = "a uint8 array of shape (H, W), (H, W, 1), (H, W, 3) or (H, W, 4), or a PIL image"
    if not isinstance(value, np.ndarray):
        if not hasattr(value, "__array__"):
            raise FallbackError(f"expected {expected}, found {type(value).__name__}")
        value = np.asarray(value)
    fits = value.ndim == 2 or (value.ndim == 3 and value.shape[2] in (1, 3, 4))
    if value.dtype != np.uint8 or not fits or 0 in value.shape:
        raise FallbackError(f"expected {expected}, found {value.dtype} of shape {value.shape}")
    array: Pixels = value
    return array


def flatten(array: Pixels, background: tuple[int, int, int]) -> Pixels:
    """Checked pixels without their alpha channel, (H, W, 3) or (H, W)."""
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    elif array.ndim == 3 and array.shape[2] == 4:
        array = blend(array, background)
    return np.ascontiguousarray(array)


def blend(array: Pixels, background: tuple[int, ...]) -> Pixels:
    """Composites colours with a last channel of alpha over a background: Pillow's ``paste`` with a mask, exactly."""
    colors, alpha = array[:, :, :-1], array[:, :, -1:]
    if alpha.min() == 255:
        return np.ascontiguousarray(colors)
    # round(x / 255) of x = alpha color + (255 - alpha) background, at most 65025: all of it fits into 16 bits.
    total = np.multiply(colors, alpha, dtype=np.uint16)
    total += np.multiply(255 - alpha, np.array(background, np.uint8), dtype=np.uint16)
    total += 128
    total += total >> 8
    total >>= 8
    return total.astype(np.uint8)


def background_of(pad_value: PadValue, mode: str) -> tuple[int, int, int]:
    """`pad_value`, one number or one per channel of `mode`, as (R, G, B)."""
    values = (pad_value,) if isinstance(pad_value, int) else tuple(pad_value)
    red, green, blue = values * 3 if len(values) == 1 else values
    return (blue, green, red) if mode == "BGR" else (red, green, blue)


def check_pixels(width: int, height: int, max_pixels: int) -> None:
    """Refuses images of more than `max_pixels`, unless that is 0, or with sides that the core does not take."""
    if max_pixels and width * height > max_pixels:
        raise ImageTooLargeError(f"{width} x {height} pixels, more than max_pixels = {max_pixels}")
    if max(width, height) > MAX_SIDE:
        raise ImageTooLargeError(f"{width} x {height} pixels, a side of more than 2**20")
