# SPDX-License-Identifier: BSD-3-Clause
"""Rows of a ``.npy`` file as pictures."""

import csv
import os
import re
from collections.abc import Sequence
from tokenize import TokenError
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fastimg.cli.sheet import Cell

_CHANNELS = (1, 3, 4)


class Rows(NamedTuple):
    """A ``.npy`` file, mapped, and what is known of its rows.

    Attributes
    ----------
    array : ndarray, (N, H, W) or (N, H, W, C)
    layout : str
        What the file holds, such as "NCHW".
    table : dict of int to (path, error)
        What ``NAME.files.csv`` says of the rows that are asked for; empty without it.
    labels : ndarray or None
    classes : list of str or None
    """

    array: npt.NDArray[Any]
    layout: str
    table: dict[int, tuple[str, str]]
    labels: npt.NDArray[Any] | None
    classes: list[str] | None


def open_rows(path: str) -> Rows:
    """Map a ``.npy`` file of images into memory.

    Parameters
    ----------
    path : str
        Of shape (N, C, H, W), (N, H, W, C), (N, H, W), or of one image. What `fastimg load` writes beside it is read
        as well.

    Raises
    ------
    OSError
        It cannot be read.
    ValueError
        It holds no images.
    """
    array, layout = _as_images(_open_array(path), path)
    stem = path.removesuffix(".npy")
    labels = classes = None
    if os.path.exists(stem + ".labels.npy"):
        labels = _open_array(stem + ".labels.npy")
        labels = labels if labels.ndim == 1 and len(labels) == len(array) else None
    if os.path.exists(stem + ".classes.txt"):
        with open(stem + ".classes.txt", encoding="utf-8", errors="surrogateescape") as file:
            classes = file.read().split("\n")[:-1]
    return Rows(array, layout, _read_table(stem + ".files.csv"), labels, classes)


def _open_array(path: str) -> npt.NDArray[Any]:
    """Map an array; ValueError if the file is none, whatever NumPy raises then."""
    try:
        with open(path, "rb") as file:
            np.lib.format.read_magic(file)  # np.load takes archives and pickles, too
        return np.lib.format.open_memmap(path, mode="r")
    except (ValueError, EOFError, SyntaxError, TokenError) as error:
        raise ValueError(f"{path}: no .npy file that can be mapped: {error}") from None


def _as_images(array: npt.NDArray[Any], path: str) -> tuple[npt.NDArray[Any], str]:
    """Return (N, H, W) or (N, H, W, C), and the layout as it was; channels first if both could be."""
    single = array.ndim == 2 or (
        array.ndim == 3 and (array.shape[0] in _CHANNELS or array.shape[2] in _CHANNELS)
    )
    images = array[None] if single else array
    layout = "NHW"
    if images.ndim == 4 and images.shape[1] in _CHANNELS:
        images, layout = images.transpose(0, 2, 3, 1), "NCHW"
    elif images.ndim == 4 and images.shape[3] in _CHANNELS:
        layout = "NHWC"
    fits = images.ndim == 3 or (images.ndim == 4 and layout != "NHW")
    if not fits or not images.size or images.dtype.kind not in "biuf":
        raise ValueError(
            f"{path}: expected images (N, C, H, W), (N, H, W, C) or (N, H, W) with 1, 3 or 4 channels, "
            f"found shape {array.shape}, dtype {array.dtype}"
        )
    if images.ndim == 4 and images.shape[3] == 1:
        images = images[..., 0]
    return images, layout[1:] if single else layout


def _read_table(path: str) -> dict[int, tuple[str, str]]:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape", newline="") as file:
            rows = csv.DictReader(file)
            return {int(row["row"]): (row["path"], row["error"]) for row in rows if row.get("row")}
    except FileNotFoundError:
        return {}
    except (KeyError, ValueError, csv.Error) as error:
        raise ValueError(f"{path}: no table of fastimg load: {error}") from None


def to_uint8(images: npt.NDArray[Any]) -> tuple[npt.NDArray[np.uint8], str]:
    """Scale images to 0 ... 255.

    Parameters
    ----------
    images : ndarray
        (N, H, W) or (N, H, W, C), of any kind of number.

    Returns
    -------
    images : ndarray of uint8
    how : str
        What the values were, in words; empty for uint8.
    """
    if images.dtype == np.uint8:
        return images, ""
    if images.dtype == np.uint16:
        floats = (images.astype(np.uint32) << 16).view(np.float32)
        # 16-bit integers that are pixels would be far from 1 as bfloat16, and most floats that are pixels are not.
        seen = np.abs(floats[images != 0])
        if seen.size and np.mean((seen > 1e-4) & (seen < 1e3)) > 0.95:
            scaled, how = to_uint8(floats)
            return scaled, f"the bits of bfloat16{how and ', ' + how}"
    lows, highs = _ranges(images)
    low, high = float(lows.min()), float(highs.max())
    if low > high:
        return np.zeros(images.shape, np.uint8), "no finite value"
    how = f"{low:.3g} to {high:.3g}"
    floating = images.dtype.kind in "fb"
    if low >= 0 and high <= 1 and floating:
        low, high, how = 0.0, 1.0, "0 to 1"
    elif low >= 0 and high <= 255:
        low, high, how = 0.0, 255.0, "0 to 255"
    elif (
        images.ndim == 4 and images.shape[3] > 1 and floating
    ):  # normalised with a mean and deviation per channel
        return _scaled(images, lows, highs), f"{how}, each channel scaled"
    return _scaled(images, low, high), how


def _ranges(images: npt.NDArray[Any]) -> tuple[npt.NDArray[np.float64], npt.NDArray[np.float64]]:
    """Return the least and the greatest finite value of each channel; inf and -inf if there is none."""
    channels = images.shape[3] if images.ndim == 4 else 1
    lows, highs = np.full(channels, np.inf), np.full(channels, -np.inf)
    for image in images:
        values = image.reshape(-1, channels)
        finite = np.isfinite(values)
        for channel in range(channels):
            some = values[finite[:, channel], channel]
            if some.size:
                lows[channel] = min(lows[channel], float(some.min()))
                highs[channel] = max(highs[channel], float(some.max()))
    return lows, highs


def _scaled(images: npt.NDArray[Any], low: Any, high: Any) -> npt.NDArray[np.uint8]:
    """Return images from 0 at `low` to 255 at `high`, one by one: as floats all would take much memory."""
    span = np.where(high > low, high - low, 1)
    scaled = np.empty(images.shape, np.uint8)
    for image, out in zip(images, scaled, strict=True):
        with np.errstate(invalid="ignore"):
            levels = np.rint((image.astype(np.float64) - low) / span * 255).clip(0, 255)
        out[...] = np.where(np.isfinite(image), levels, 0)
    return scaled


def cells_of(rows: Rows, chosen: Sequence[int], labelled: bool) -> tuple[list[Cell], str]:
    """Return rows as cells of a contact sheet, and how their values were scaled."""
    pixels, how = to_uint8(rows.array[list(chosen)])
    cells = []
    for row, picture in zip(chosen, pixels, strict=True):
        path, error = rows.table.get(row, ("", ""))
        if error:
            error = _reason(error, path)
        label = _label(rows, row) if labelled else ""
        name = os.path.basename(path)
        cells.append(Cell(None if error else picture, f"{row} {name}".strip(), label, error))
    return cells, how


def _reason(error: str, path: str) -> str:
    """The part of an error's text that is neither the name of the file nor its number."""
    found = re.fullmatch(r"\[Errno \d+\] (?:image \d+: )?(.*): '.*'", error, re.DOTALL)
    return found[1] if found else error.rpartition(f"{path}: ")[2]


def _label(rows: Rows, row: int) -> str:
    if rows.labels is None:
        return ""
    label = rows.labels[row].item()
    if rows.classes and isinstance(label, int) and 0 <= label < len(rows.classes):
        return f"{label} {rows.classes[label]}"
    return str(label)
