# SPDX-License-Identifier: BSD-3-Clause
"""``fastimg index``: what is known of a folder's images into one .npz file."""

import argparse
import os
import time
from collections import Counter
from typing import Any

import fastimg
from fastimg.cli.options import add_fallback_option, check_fallback, formats_of
from fastimg.cli.words import complain_of, count_endings, say, wants_bar
from fastimg.file_scan import THREADS
from fastimg.folders import suffixes_of
from fastimg.index_file import Listed
from fastimg.wording import counted


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the subcommand and its arguments."""
    parser = commands.add_parser(
        "index",
        help="keep paths, classes and image sizes of a folder in one file",
        description="Write paths, classes, image sizes, byte counts and times of a folder's images into one file, "
        "which fastimg.FileIndex.load reads without looking at the folder.",
        epilog="exit status: 0 fine, 1 some files cannot be read, 2 wrong use or no file",
    )
    parser.set_defaults(run=run)
    parser.add_argument("folder", metavar="FOLDER", help="a folder of images")
    parser.add_argument("-o", "--output", required=True, metavar="NAME.npz", help="usually NAME.index.npz")
    parser.add_argument(
        "--no-labels",
        dest="labels",
        action="store_false",
        help="do not take classes from folder names; otherwise they are, unless images lie beside the folders",
    )
    parser.add_argument("--no-sizes", dest="sizes", action="store_false", help="do not read headers")
    add_fallback_option(
        parser, "list images of all formats, and read sizes with Pillow where they are not JPEG"
    )
    parser.add_argument(
        "--refresh",
        action="store_true",
        help="if NAME.npz exists, read only headers of files that are new or have changed since",
    )
    parser.add_argument(
        "--on-error",
        choices=("raise", "fill"),
        default="fill",
        help="stop at a file that cannot be read, or keep it without a size (%(default)s)",
    )
    parser.add_argument(
        "--num-threads", type=int, help=f"threads, most of which wait for the disk ({THREADS})"
    )
    parser.add_argument("-q", "--quiet", action="store_true", help="no progress bar")


def run(args: argparse.Namespace) -> int:
    """Run the subcommand; return the exit status."""
    _check_names(args.folder, args.output)
    check_fallback(args)
    failures: list[Any] = []
    left_out: Counter[str] = Counter()
    options = {
        "fallback": args.fallback,
        "on_error": failures.append if args.on_error == "fill" else "raise",
        "num_threads": args.num_threads,
        "progress": wants_bar(args),
    }
    start = time.perf_counter()
    if args.refresh and os.path.lexists(args.output):
        index = _load(args).refresh(**options)
    else:
        labels = None if args.labels else False
        index = fastimg.FileIndex.from_folder(
            args.folder, labels=labels, sizes=args.sizes, left_out=left_out, **options
        )
    seconds = time.perf_counter() - start

    complain_of([str(error) for error in failures])
    more = f"; {count_endings(left_out)}" if left_out else ""
    if not len(index):
        suffixes = suffixes_of(formats_of(args))
        raise ValueError(f"no {', '.join(suffixes)} file below {args.folder}{more}")
    if sum(hasattr(error, "index") for error in failures) == len(index):  # others are of folders
        raise ValueError(f"none of {counted(len(index), 'file')} can be read")
    index.save(args.output)
    classes = f"{counted(len(index.classes), 'class')}, " if index.classes else ""
    nbytes = index.nbytes[index.nbytes > 0].sum()
    say(
        f"{args.output}: {counted(len(index), 'file')}, {classes}{counted(int(nbytes), 'byte')}, {seconds:.2f} s, "
        f"{counted(len(failures), 'failure')}{more}"
    )
    return 1 if failures else 0


def _check_names(folder: str, output: str) -> None:
    """Refuse names that cannot be, before any work."""
    parent, name = os.path.split(output)
    if not name.endswith(".npz"):
        raise ValueError(f"--output: expected a name that ends in .npz, found {output!r}")
    if not os.path.isdir(parent or "."):
        raise ValueError(f"--output: the folder {parent!r} does not exist")
    if os.path.isdir(output):
        raise ValueError(f"--output: {output!r} is a folder")
    try:
        os.lstat(output)
    except FileNotFoundError:
        pass
    except OSError as error:
        raise ValueError(f"--output: {output!r}: {error.strerror}") from None
    try:
        os.stat(folder)
    except OSError as error:
        raise ValueError(f"{folder}: {error.strerror}") from None
    if not os.path.isdir(folder):
        raise ValueError(f"{folder}: expected a folder")


def _load(args: argparse.Namespace) -> fastimg.FileIndex:
    """The index to refresh, of the folder wherever it is now."""
    if not (args.labels and args.sizes):
        raise ValueError(
            "--refresh keeps what the index has: expected no --no-labels and no --no-sizes with it"
        )
    index = fastimg.FileIndex.load(args.output, root=args.folder)
    if index._content.listed == Listed.GIVEN:
        raise ValueError(f"{args.output}: expected the index of a folder, found one of paths or of a part")
    return index
