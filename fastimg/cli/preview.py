# SPDX-License-Identifier: BSD-3-Clause
"""``fastimg preview``: a contact sheet of files, or of rows of an array."""

import argparse
import io
import math
import os
from typing import Any

import numpy as np

import fastimg
from fastimg.cli.array_rows import cells_of, open_rows
from fastimg.cli.inputs import list_images
from fastimg.cli.options import add_fallback_option, add_index_option, check_fallback, formats_of
from fastimg.cli.sheet import PAPER, Cell, import_pillow, write_sheet
from fastimg.cli.words import complain_of, reason_of, say
from fastimg.wording import counted
from fastimg.working_files import write_whole


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the subcommand and its arguments."""
    parser = commands.add_parser(
        "preview",
        help="draw images, or rows of an .npy file, on a contact sheet",
        description="Draw images on a contact sheet, with their names. Those that fail are marked with the reason. "
        "Of many, some are drawn that are evenly spread over all. It needs Pillow.",
        epilog="exit status: 0 fine, 1 some images on the sheet are broken, 2 wrong use or no image",
    )
    parser.set_defaults(run=run)
    parser.add_argument(
        "inputs",
        nargs="+",
        metavar="INPUT",
        help="folders, archives, lists and files as for load, or one .npy file: NAME.files.csv, NAME.labels.npy and "
        "NAME.classes.txt beside it are used if they are there",
    )
    parser.add_argument("-o", "--output", required=True, metavar="NAME.png", help="the sheet")
    parser.add_argument("--max", type=_count, default=100, metavar="N", help="images at most (%(default)s)")
    parser.add_argument("--rows", type=_count, metavar="N", help="rows of the sheet")
    parser.add_argument(
        "--columns", type=_count, metavar="N", help="columns of the sheet; with --rows, not --max counts"
    )
    parser.add_argument(
        "--size", type=_count, default=128, metavar="N", help="pixels of an image's longer side (%(default)s)"
    )
    parser.add_argument("--labels", action="store_true", help="write the class below each image")
    parser.add_argument("--random", action="store_true", help="draw random images")
    parser.add_argument("--seed", type=int, help="the same random images each time")
    add_fallback_option(parser)
    add_index_option(parser)


def _count(text: str) -> int:
    value = int(text)
    if not 1 <= value <= 16384:
        raise argparse.ArgumentTypeError(f"expected 1 to 16384, found {text}")
    return value


_count.__name__ = "integer"  # in argparse's messages


def run(args: argparse.Namespace) -> int:
    """Run the subcommand; return the exit status."""
    _check_output(args)
    import_pillow()
    check_fallback(args)
    if any(name.lower().endswith(".npy") and os.path.isfile(name) for name in args.inputs):
        if len(args.inputs) > 1:
            raise ValueError(f"expected a single .npy file, or others, found {', '.join(args.inputs)}")
        rows = open_rows(args.inputs[0])
        total = len(rows.array)
        cells, how = cells_of(rows, _choose(total, args), args.labels)
        shown = f"{rows.layout} {rows.array.dtype}" + (f", {how}" if how else "")
        words = f"{counted(total, 'row')}, {shown}"
    else:
        cells, total = _cells_of_files(args)
        words = counted(total, "image")
    sheet = io.BytesIO()
    height, width = write_sheet(sheet, cells, _columns(len(cells), args), args.size)
    write_whole(args.output, sheet.getvalue())
    broken = sum(bool(cell.error) for cell in cells)
    say(f"{args.output}: {len(cells):,} of {words}, {broken} broken, {height} x {width} pixels")
    return 1 if broken else 0


def _check_output(args: argparse.Namespace) -> None:
    folder, name = os.path.split(args.output)
    if not name.lower().endswith(".png"):
        raise ValueError(f"--output: expected a name that ends in .png, found {args.output!r}")
    if not os.path.isdir(folder or "."):
        raise ValueError(f"--output: the folder {folder!r} does not exist")
    if os.path.isdir(args.output):
        raise ValueError(f"--output: {args.output!r} is a folder")
    for path in args.inputs:
        if os.path.exists(path) and os.path.exists(args.output) and os.path.samefile(path, args.output):
            raise ValueError(f"{path} is an input, and --output would replace it")


def _number(total: int, args: argparse.Namespace) -> int:
    """How many images are drawn."""
    most = args.rows * args.columns if args.rows and args.columns else args.max
    return int(min(total, most))


def _columns(count: int, args: argparse.Namespace) -> int:
    if args.columns:
        return min(int(args.columns), count)
    if args.rows:
        return int(-(-count // args.rows))
    return min(count, math.ceil(math.sqrt(count * 4 / 3)))  # as wide as a screen


def _choose(total: int, args: argparse.Namespace) -> list[int]:
    count = _number(total, args)
    if args.random or args.seed is not None:
        return sorted(np.random.default_rng(args.seed).choice(total, count, replace=False).tolist())
    return [i * total // count for i in range(count)]


def _cells_of_files(args: argparse.Namespace) -> tuple[list[Cell], int]:
    closed: list[OSError] = []
    try:
        listing = list_images(
            args.inputs,
            labelled=args.labels,
            on_error=closed.append,
            index=args.index,
            formats=formats_of(args),
        )
    finally:
        complain_of([str(error) for error in closed])
    chosen = _choose(len(listing.sources), args)
    sources = [listing.sources[i] for i in chosen]
    failures: list[Any] = []
    pictures = fastimg.load(
        sources,
        size=args.size,
        fit="contain",
        pad_value=PAPER,
        layout="HWC",
        on_error=failures.append,
        fallback=args.fallback,
    )
    reasons = {e.index: reason_of(e, str(sources[e.index]), e.index) for e in failures}
    cells = []
    for row, (i, source) in enumerate(zip(chosen, sources, strict=True)):
        label = ""
        if args.labels:
            label = str(listing.labels[i])
            if listing.classes is not None:
                label += f" {listing.classes[int(listing.labels[i])]}"
        name = os.path.basename(str(source))
        cells.append(Cell(None if row in reasons else pictures[row], name, label, reasons.get(row, "")))
    return cells, len(listing.sources)
