# SPDX-License-Identifier: BSD-3-Clause
"""The options of the library as arguments of the command line."""

import argparse
import os
import re
from collections.abc import Sequence
from typing import Any

from fastimg.fallback import parse_fallback
from fastimg.folders import Formats
from fastimg.options import OPTIONS
from fastimg.readers import READ_AHEAD


def _takes_list(argument: dict[str, Any]) -> bool:
    try:
        return isinstance(argument["type"]("1,1"), tuple)
    except (KeyError, ValueError):
        return False


#: The options whose value may be several numbers in one word: --size 8,8
_LISTS = [f"--{option.name.replace('_', '-')}" for option in OPTIONS if _takes_list(option.argument)]


def add_decode_options(parser: argparse.ArgumentParser) -> None:
    """Give a command all options of `fastimg.decode`, with the same defaults."""
    for option in OPTIONS:
        words = option.name.replace("_", "-")
        if option.default is True:
            parser.add_argument(f"--no-{words}", dest=option.name, action="store_false", **option.argument)
        elif option.default is False:
            parser.add_argument(f"--{words}", action="store_true", **option.argument)
        else:
            parser.add_argument(f"--{words}", default=option.default, **option.argument)


def decode_options(args: argparse.Namespace) -> dict[str, Any]:
    """Return their values, as keyword arguments of `fastimg.decode`."""
    return {option.name: getattr(args, option.name) for option in OPTIONS}


def add_thread_options(parser: argparse.ArgumentParser) -> None:
    """Give a command the options for threads and the progress bar."""
    parser.add_argument(
        "--num-threads", type=int, help="threads, for all files (the CPUs this process may use)"
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="no progress bar")


def add_reading_options(parser: argparse.ArgumentParser) -> None:
    """Give a command the options for reading ahead, with the defaults of `fastimg.load`."""
    parser.add_argument(
        "--read-threads",
        type=int,
        metavar="N",
        help="files that are read at once (as many as pay; 0: never ahead)",
    )
    parser.add_argument(
        "--read-ahead",
        default=READ_AHEAD,
        metavar="SIZE",
        help="what may have been read and not yet decoded, such as 64MiB (%(default)s)",
    )


def add_index_option(parser: argparse.ArgumentParser) -> None:
    """Add the option to keep the listings of archives."""
    parser.add_argument(
        "--index",
        action="store_true",
        help="keep what each archive holds in ARCHIVE.index, and list it from there while the archive is the same",
    )


def add_fallback_option(
    parser: argparse.ArgumentParser,
    text: str = "list images of all formats, and decode those with Pillow that are not JPEG",
) -> None:
    """Give a command the option for images that are no JPEG; `text` is its help."""
    parser.add_argument("--fallback", choices=("pillow",), help=text)


def check_fallback(args: argparse.Namespace) -> None:
    """Refuse a fallback that is not installed."""
    try:
        parse_fallback(args.fallback)
    except ImportError as error:
        raise ValueError(f"--fallback: {error}") from None


def formats_of(args: argparse.Namespace) -> Formats:
    """Return which images a command lists, as `fastimg.find_images` takes it."""
    return "all" if args.fallback else "jpeg"


def thread_options(args: argparse.Namespace) -> dict[str, Any]:
    """Return how `fastimg.load` shall use threads, as its keyword arguments."""
    return {name: getattr(args, name) for name in ("num_threads", "read_threads", "read_ahead")}


def reject_split_lists(words: Sequence[str]) -> None:
    """Refuse ``--size 8 8``, of which the second 8 would be taken for a file.

    Parameters
    ----------
    words : sequence of str
        The arguments of a command that has the options of `add_decode_options`. A number after the value of an option
        that takes a list may only be a folder's name.

    Raises
    ------
    ValueError
        The text says how to write the list.
    """
    for start, word in enumerate(words):
        if word == "--":
            break
        name, given, value = word.partition("=")
        if len(name) < 3 or not any(option.startswith(name) for option in _LISTS):
            continue
        rest = words[start + 1 :]
        values = [value] if given else [*rest[:1]]
        for number in rest[len(values) - bool(given) :]:
            if not re.fullmatch(r"[-+]?[\d.]+", number) or os.path.isdir(number):
                break
            values.append(number)
        if len(values) > 1:
            raise ValueError(f"{name}: expected {name} {','.join(values)}, found {name} {' '.join(values)}")
