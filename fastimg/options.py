# SPDX-License-Identifier: BSD-3-Clause
"""The options of decoding: one table, checked once and turned into what the core takes."""

from __future__ import annotations

import functools
import math
import operator
from collections.abc import Callable, Iterable, Sequence
from numbers import Real
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

import fastimg._decode as _decode
from fastimg.limits import MAX_PIXELS, MAX_SCANS, core_limits

#: The largest height or width that can be asked for.
MAX_SIDE = 2**20

Statistic: TypeAlias = "float | Sequence[float] | npt.NDArray[Any]"
Size: TypeAlias = "int | Sequence[int] | npt.NDArray[Any]"
PadValue: TypeAlias = "int | Sequence[int] | npt.NDArray[Any]"


# ---- values -----------------------------------------------------------------------------------------


def parse_choice(name: str, value: Any, choices: Iterable[str]) -> str:
    """One of `choices`; TypeError or ValueError for anything else."""
    if not isinstance(value, str):
        raise TypeError(f"{name} must be a str, found {type(value).__name__}")
    for choice in choices:
        if value == choice:
            return choice  # itself, whatever subclass of str the value is
    raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}, found {value!r}")


def parse_integer(name: str, value: Any, least: int, most: float = math.inf) -> int:
    """An integer from `least` to `most`; TypeError or ValueError for anything else, bools included."""
    if isinstance(value, bool) or not hasattr(value, "__index__"):
        raise TypeError(f"{name} must be an integer, found {value!r}")
    value = operator.index(value)
    if value < least:
        raise ValueError(f"{name} must be at least {least}, found {value}")
    if value > most:
        raise ValueError(f"{name} must be at most {most}, found {value}")
    return int(value)


def parse_flag(name: str, value: object) -> bool:
    """A bool, Python's or NumPy's; TypeError for anything else."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} must be True or False, found {value!r}")
    return bool(value)


def _is_sequence(value: Any) -> bool:
    return isinstance(value, list | tuple) or bool(getattr(value, "ndim", 0))


def integers(value: Any) -> tuple[int, ...]:
    """One or more integers as a tuple; TypeError for anything else, bools included."""
    values = tuple(value) if _is_sequence(value) else (value,)
    if any(isinstance(v, bool) for v in values):
        raise TypeError
    return tuple(map(operator.index, values))


def _parse_size(name: str, value: Any) -> tuple[int, int] | None:
    if value is None:
        return None
    try:
        sides = integers(value)
    except TypeError:
        raise TypeError(f"{name} must be None, an integer or (height, width), found {value!r}") from None
    if not _is_sequence(value):
        sides *= 2
    if len(sides) != 2 or not 1 <= min(sides) <= max(sides) <= MAX_SIDE:
        raise ValueError(
            f"{name} must be None, an integer or (height, width), each from 1 to {MAX_SIDE}, found {value!r}"
        )
    return sides[0], sides[1]


def _parse_side(name: str, value: Any) -> int | None:
    return None if value is None else parse_integer(name, value, 1, MAX_SIDE)


def _parse_gap(name: str, value: Any) -> float | None:
    if value is None:
        return None
    number = isinstance(value, Real) and not isinstance(value, bool)
    if not number:
        raise TypeError(f"{name} must be None or a number, found {value!r}")
    if not value >= 1:
        raise ValueError(f"{name} must be None or a number of at least 1, found {value!r}")
    try:
        return float(value)
    except OverflowError:
        return math.inf


def _parse_pad(name: str, value: Any) -> tuple[int, ...]:
    try:
        values = integers(value)
    except TypeError:
        raise TypeError(f"{name} must be an integer or one per channel, found {value!r}") from None
    if not all(0 <= v <= 255 for v in values):
        raise ValueError(f"{name} must be from 0 to 255, found {value!r}")
    return values


def _parse_dtype(name: str, value: Any) -> str:
    names = ", ".join(_decode.DTYPES)
    if isinstance(value, str) and value == "bfloat16":  # NumPy knows it after ml_dtypes is imported alone
        return value
    try:
        dtype = np.dtype(value)
    except TypeError:
        raise TypeError(f"{name} must be one of {names}, found {value!r}") from None
    if value is None or dtype.name not in _decode.DTYPES or not dtype.isnative:
        raise ValueError(f"{name} must be one of {names}, found {value!r}")
    return str(dtype.name)


def _parse_statistic(name: str, value: Any) -> tuple[float, ...]:
    """Numbers, rounded to float32, in which they are used."""
    try:
        array = np.asarray(value)
    except ValueError:
        array = np.array(None)  # ragged
    if array.dtype.kind not in "iuf":
        raise TypeError(f"{name} must be a number or one per channel, found {value!r}")
    if array.ndim > 1:
        raise ValueError(f"{name} must be a number or one per channel, found shape {array.shape}")
    with np.errstate(over="ignore"):
        array = array.astype(np.float32)
    if not np.isfinite(array).all():
        raise ValueError(f"{name} must be finite, found {value!r}")
    return tuple(array.ravel().tolist())


# ---- the table --------------------------------------------------------------------------------------


class Option(NamedTuple):
    """An option of `decode`, `load`, the accessors and the command line.

    Attributes
    ----------
    name : str
    default : object
    parse : callable (name, value) -> value, or None
        Checks a value and returns it in plain, hashable Python; raises TypeError or ValueError. None: checked by
        crops.py, as `load` takes one per image.
    argument : dict
        What ``argparse`` takes besides name and default.
    per_channel : bool
        Whether the parsed value is a tuple of one value, or of one per channel.
    """

    name: str
    default: Any
    parse: Callable[[str, Any], Any] | None
    argument: dict[str, Any]
    per_channel: bool = False


def _choice(name: str, choices: Iterable[str], **argument: Any) -> Option:
    """An option whose values are words; the first is the default."""
    parse = functools.partial(parse_choice, choices=choices)
    return Option(name, next(iter(choices)), parse, {"choices": tuple(choices), **argument})


def _list_of(convert: type, word: str) -> Callable[[str], Any]:
    """Returns a function that converts an argument into a value, or into a tuple of several."""

    def parse(text: str) -> Any:
        values = tuple(convert(value) for value in text.split(","))
        return values if len(values) > 1 else values[0]

    parse.__name__ = word  # argparse: "invalid integer value: 'x'"
    return parse


def number(text: str) -> float:
    """An int if that is what an argument is, else a float."""
    try:
        return int(text)
    except ValueError:
        return float(text)


def _number_or_none(text: str) -> float | None:
    return None if text.lower() == "none" else float(text)


_number_or_none.__name__ = "number"

OPTIONS = (
    _choice("mode", _decode.MODES),
    _choice("layout", _decode.LAYOUTS),
    Option(
        "size", None, _parse_size,
        {"type": _list_of(int, "integer"), "metavar": "N|H,W",
         "help": "resample to N x N pixels, or height H and width W"},
    ),
    Option(
        "resize_shorter", None, _parse_side,
        {"type": int, "metavar": "N", "help": "resample until the shorter side has N pixels, as torchvision's Resize"},
    ),
    Option(
        "resize_longer", None, _parse_side,
        {"type": int, "metavar": "N", "help": "resample until the longer side has N pixels"},
    ),
    Option(
        "center_crop", None, _parse_size,
        {"type": _list_of(int, "integer"), "metavar": "N|H,W",
         "help": "cut the centre after resampling, as torchvision's CenterCrop; smaller images are padded"},
    ),
    _choice("fit", _decode.FITS, help="how images meet a size of another shape (%(default)s)"),
    _choice("resample", _decode.FILTERS, help="Pillow's antialiased filters (%(default)s)"),
    Option(
        "reducing_gap", 2.0, _parse_gap,
        {"type": _number_or_none, "metavar": "F|none",
         "help": "the DCT may reduce an image that stays F times larger than the result (%(default)s)"},
    ),
    Option(
        "pad_value", 0, _parse_pad,
        {"type": _list_of(int, "integer"), "metavar": "V|R,G,B",
         "help": "around smaller images (--fit contain, --center-crop); a number, or one a channel: 124,116,104"},
        per_channel=True,
    ),
    Option(
        "crop", None, None,
        {"nargs": 4, "type": number, "metavar": ("TOP", "LEFT", "HEIGHT", "WIDTH"), "help": "cut before resampling"},
    ),
    Option("flip", False, None, {"help": "mirror left-right"}),
    Option("orient", True, parse_flag, {"help": "ignore the EXIF orientation"}),
    Option("dtype", "uint8", _parse_dtype, {"choices": tuple(_decode.DTYPES)}),
    Option(
        "mean", 0, _parse_statistic,
        {"type": _list_of(float, "number"), "help": "a number, or one for each channel: 0.5,0.5,0.5"},
        per_channel=True,
    ),
    Option(
        "std", 1, _parse_statistic,
        {"type": _list_of(float, "number"), "help": "a number, or one for each channel: 0.5,0.5,0.5"},
        per_channel=True,
    ),
    Option("strict", True, parse_flag, {"help": "keep what damaged files still hold"}),
    Option(
        "max_pixels", MAX_PIXELS, functools.partial(parse_integer, least=1, most=2**62 - 1),
        {"type": int, "help": "refuse larger images (%(default)s)"},
    ),
    Option(
        "max_scans", MAX_SCANS, functools.partial(parse_integer, least=1, most=2**31 - 1),
        {"type": int, "help": "refuse images of more scans (%(default)s)"},
    ),
)  # fmt: skip

DEFAULTS = {option.name: option.default for option in OPTIONS}

_SHARED = tuple(option for option in OPTIONS if option.parse)  # by all images of a call


# ---- all of them ------------------------------------------------------------------------------------


class Options(_decode.Options):
    """Options that have been checked; they never change.

    Attributes
    ----------
    values : dict
        Names and values in plain Python, from which the same options can be made again.
    dtype, size, channels, planar
        As in the base class.
    """

    values: dict[str, Any]

    def __reduce__(self) -> tuple[Any, ...]:
        return _make_from, (self.values,)

    def replace(self, **changes: Any) -> Options:
        """The same options except for `changes`."""
        return parse_options({**self.values, **changes})


def _make_from(values: dict[str, Any]) -> Options:
    return parse_options(values)


def _make(*given: Any) -> Options:
    values = {
        option.name: option.parse(option.name, value)
        for option, value in zip(_SHARED, given, strict=False)
        if option.parse
    }
    return _to_core(values)


def _to_core(values: dict[str, Any]) -> Options:
    channels = 1 if values["mode"] == "L" else 3
    for option in _SHARED:
        if option.per_channel and len(values[option.name]) not in (1, channels):
            found = values[option.name]
            raise ValueError(f"{option.name} must be one value or {channels} of them, found {found}")
    _check_ways_to_size(values)
    table = _table(values["dtype"], values["mean"], values["std"])
    limits = core_limits(values["max_pixels"], values["max_scans"])
    options = Options(table=table, **limits._asdict(), **values)
    options.values = values
    return options


#: The options that say how large the results are: `size`, or some of the others.
WAYS_TO_SIZE = ("resize_shorter", "resize_longer", "center_crop")

#: Changes that make results as large as images or crops are.
OWN_SIZE = dict.fromkeys(("size", *WAYS_TO_SIZE))


def _check_ways_to_size(values: dict[str, Any]) -> None:
    given = [name for name in WAYS_TO_SIZE if values[name] is not None]
    if given and values["size"] is not None:
        raise ValueError(f"give either size or {given[0]}, found size={values['size']} with it")
    needs_size = "fit"
    if given and values[needs_size] != DEFAULTS[needs_size]:
        raise ValueError(f"{needs_size} needs size, found {values[needs_size]!r} with {given[0]}")
    if len(given) > 1 and given[1] == "resize_longer":
        raise ValueError("give either resize_shorter or resize_longer, found both")


def _table(dtype: str, mean: tuple[float, ...], std: tuple[float, ...]) -> bytes:
    """The output for each pixel value: 256 per channel.

    The arithmetic is NumPy's in float32, rounded at each step, so that the result equals
    ``((x.astype("float32") / 255 - mean) / std)`` bit for bit, and torchvision's ToTensor and Normalize.
    """
    if 0 in std:
        raise ValueError(f"std must not be 0, found {std}")
    if dtype == "uint8":
        if any(mean) or set(std) != {1}:
            raise ValueError("mean and std need a floating-point dtype, found dtype 'uint8'")
        return b""
    means, stds = (np.broadcast_to(np.array(each, np.float32), 3)[:, None] for each in (mean, std))
    values = np.arange(256, dtype=np.float32) / np.float32(255)
    with np.errstate(over="ignore"):
        floats = (values - means) / stds
    if dtype == "bfloat16":  # the upper half of a float32, to nearest even; there is no NaN
        bits = floats.view(np.uint32)
        return ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16).astype(np.uint16).tobytes()
    with np.errstate(over="ignore"):
        return floats.astype(dtype).tobytes()


_make_once = functools.lru_cache(maxsize=64, typed=True)(_make)


def _find(*given: Any) -> Options:
    # Inside tuples, 1.0 and True look like 1 to the cache.
    kinds = [tuple(map(type, value)) for value in given if type(value) is tuple]
    try:
        return _make_once(*given, *kinds)
    except TypeError:
        # A list or an array, which the cache cannot look up; or a wrong type, which raises again.
        return _make(*given)


#: Checks values of all options in the order of the table, but for `crop` and `flip`. The same ones are made once, and
#: those of the last call are recognised by identity, which matters to small images.
options_of: Callable[[tuple[Any, ...]], Options] = _decode.Memo(_find)

_pick = operator.itemgetter(*(option.name for option in _SHARED))


def parse_options(arguments: dict[str, Any]) -> Options:
    """Checks the values of all options, which `arguments` names among other things."""
    return options_of(_pick(arguments))


def make_options(**changes: Any) -> Options:
    """The default options except for `changes`."""
    return parse_options({**DEFAULTS, **changes})


#: Refuses no image: to read headers with, also of files that cannot be decoded. The public `max_pixels` begins at 1.
ANY_HEADER = _to_core({**make_options().values, "max_pixels": 0})
