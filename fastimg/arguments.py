# SPDX-License-Identifier: BSD-3-Clause
"""The options of decoding as arguments of the command line."""

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
    """Give what was asked for with them, as keyword arguments of `fastimg.decode`."""
    return {option.name: getattr(args, option.name) for option in OPTIONS}
