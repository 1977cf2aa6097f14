# SPDX-License-Identifier: BSD-3-Clause
"""The options of the library as arguments of the command line."""

import argparse
from typing import Any

from fastimg.options import OPTIONS


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
    parser.add_argument("--num-threads", type=int, help="threads (the CPUs this process may use)")
    parser.add_argument("-q", "--quiet", action="store_true", help="no progress bar")
