# SPDX-License-Identifier: BSD-3-Clause
"""The arguments of `load`, for type checkers."""

from __future__ import annotations

from typing import TypedDict

import numpy.typing as npt

from fastimg.crops import Crops, Flips
from fastimg.fallback import FallbackOption
from fastimg.on_error import OnError
from fastimg.options import PadValue, Size, Statistic
from fastimg.readers import ReadAhead
from fastimg.threads import Progress


class LoadOptions(TypedDict, total=False):
    """The arguments of `load` that do not change what it returns."""

    mode: str
    layout: str
    size: Size | None
    resize_shorter: int | None
    resize_longer: int | None
    center_crop: Size | None
    fit: str
    resample: str
    reducing_gap: float | None
    pad_value: PadValue
    crop: Crops | None
    flip: Flips
    orient: bool
    dtype: npt.DTypeLike
    mean: Statistic
    std: Statistic
    strict: bool
    max_pixels: int
    max_scans: int
    num_threads: int | None
    progress: Progress
    on_error: OnError
    read_threads: int | None
    read_ahead: ReadAhead
    fallback: FallbackOption | None
