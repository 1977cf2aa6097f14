# SPDX-License-Identifier: BSD-3-Clause
"""The options of decoding as arguments of the command line."""

import argparse
from typing import Any

from fastimg.options import DTYPES, FILTERS, FITS, LAYOUTS, MAX_PIXELS, MODES

_NAMES = (
    *("mode", "layout", "size", "fit", "resample", "reducing_gap", "pad_value", "crop", "flip", "orient"),
    *("dtype", "mean", "std", "strict", "max_pixels"),
)


def add_decode_options(parser: argparse.ArgumentParser) -> None:
    """Give a command all options of `fastimg.decode`, with the same defaults."""
    per_channel = "a number, or one for each channel: "
    add = parser.add_argument
    add("--mode", choices=MODES, default="RGB")
    add("--layout", choices=LAYOUTS, default="CHW")
    add("--size", type=_integers, metavar="N|H,W", help="resample to N x N pixels, or height H and width W")
    add(
        "--fit", choices=FITS, default="stretch", help="how images meet a size of another shape (%(default)s)"
    )
    add("--resample", choices=FILTERS, default="bilinear", help="Pillow's antialiased filters (%(default)s)")
    add(
        "--reducing-gap",
        type=_gap,
        default=2.0,
        metavar="F|none",
        help="the DCT may reduce an image that stays F times larger than the result (%(default)s)",
    )
    add(
        "--pad-value",
        type=_integers,
        default=0,
        metavar="V|R,G,B",
        help="around images with --fit contain; " + per_channel + "124,116,104",
    )
    add("--crop", nargs=4, type=int, metavar=("TOP", "LEFT", "HEIGHT", "WIDTH"), help="cut before resampling")
    add("--flip", action="store_true", help="mirror left-right")
    add("--no-orient", dest="orient", action="store_false", help="ignore the EXIF orientation")
    add("--dtype", choices=DTYPES, default="uint8")
    add("--mean", type=_numbers, default=0.0, help=per_channel + "0.5,0.5,0.5")
    add("--std", type=_numbers, default=1.0, help=per_channel + "0.5,0.5,0.5")
    add("--no-strict", dest="strict", action="store_false", help="keep what damaged files still hold")
    add("--max-pixels", type=int, default=MAX_PIXELS, help="refuse larger images (%(default)s)")


def decode_options(args: argparse.Namespace) -> dict[str, Any]:
    """Give what was asked for with them, as keyword arguments of `fastimg.decode`."""
    return {name: getattr(args, name) for name in _NAMES}


def _numbers(text: str) -> float | tuple[float, ...]:
    values = tuple(float(value) for value in text.split(","))
    return values if len(values) > 1 else values[0]


def _integers(text: str) -> int | tuple[int, ...]:
    values = tuple(int(value) for value in text.split(","))
    return values if len(values) > 1 else values[0]


def _gap(text: str) -> float | None:
    return None if text.lower() == "none" else float(text)


# What argparse calls them in "invalid ... value: 'x'".
_numbers.__name__ = "number"
_integers.__name__ = "integer"
_gap.__name__ = "number"
