# SPDX-License-Identifier: BSD-3-Clause
"""The ``fastimg`` command: load, info, check, index, preview, bench."""

import argparse
import io
import sys
from collections.abc import Sequence

import fastimg
import fastimg.cli.bench as bench
import fastimg.cli.check as check
import fastimg.cli.index as index
import fastimg.cli.info as info
import fastimg.cli.load as load
import fastimg.cli.preview as preview
from fastimg.cli.options import reject_split_lists
from fastimg.cli.words import complain, silence_stdout


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv : sequence of str, optional
        The arguments; ``sys.argv[1:]`` without it.

    Returns
    -------
    int
        Exit status: 0 fine, 1 something failed, 2 wrong use or nothing to do, 130 interrupted.

    Raises
    ------
    SystemExit
        Raised by argparse: help, version, or arguments that it refuses (status 2).
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a name outside the terminal's character set
    args = None
    words = sys.argv[1:] if argv is None else argv
    try:
        if list(words[:1]) == ["load"]:
            reject_split_lists(words)
        args = _parser().parse_args(words)
        status: int = args.run(args)
        if sys.stdout is not None:
            sys.stdout.flush()
        return status
    except SystemExit:  # argparse has said what there is to say
        silence_stdout()
        raise
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        silence_stdout()
        return 0 if args is None else 1  # nobody reads the help: nothing failed
    except (fastimg.ImageError, OSError, MemoryError) as error:
        complain("; ".join([f"error: {error}", *getattr(error, "__notes__", ())]))
        silence_stdout()
        return 1
    except (ValueError, OverflowError) as error:
        complain(f"error: {error}")
        return 2


def _version() -> str:
    build = {key: value for key, value in fastimg.build_info().items() if key != "version"}
    return f"fastimg {fastimg.__version__}\n" + "\n".join(f"{key}: {value}" for key, value in build.items())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="fastimg",
        description="JPEG files straight into NumPy arrays.",
        epilog="exit status: 0 fine, 1 something failed, 2 wrong use or nothing to do, 130 interrupted",
        formatter_class=argparse.RawDescriptionHelpFormatter,  # keeps the lines of the version
    )
    parser.add_argument(
        "--version", action="version", version=_version(), help="print the version and the build"
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")
    for command in (load, info, check, index, preview, bench):
        command.add_parser(commands)
    return parser
