# SPDX-License-Identifier: BSD-3-Clause
"""``fastimg load``: images into one .npy file."""

import argparse
import os
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

import fastimg
import fastimg.cli.output as output
import fastimg.cli.resume as resume
from fastimg.cli.inputs import list_images
from fastimg.cli.journal import Plan
from fastimg.cli.lists import parse_label_from
from fastimg.cli.options import (
    add_decode_options,
    add_fallback_option,
    add_index_option,
    add_reading_options,
    add_thread_options,
    check_fallback,
    decode_options,
    formats_of,
    thread_options,
)
from fastimg.cli.summary import Summary
from fastimg.cli.words import complain, complain_of, wants_bar
from fastimg.folders import OnError
from fastimg.wording import counted


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the subcommand and its arguments."""
    parser = commands.add_parser("load", help="load images into one .npy file that NumPy can memory-map")
    parser.set_defaults(run=run)
    parser.add_argument(
        "inputs",
        nargs="+",
        metavar="INPUT",
        help="folders of JPEG files, .tar or .zip archives of them, indices (.npz), lists (.csv with columns path and "
        "label, .txt with one path per line, - for such lines or null-separated paths on standard input), or files",
    )
    parser.add_argument(
        "-o", "--output", required=True, metavar="NAME.npy", help="also writes NAME.files.csv"
    )
    parser.add_argument(
        "--labels",
        action="store_true",
        help="take classes from folder names, or from the column label of a list, into NAME.labels.npy and "
        "NAME.classes.txt",
    )
    parser.add_argument(
        "--label-from",
        metavar="PATTERN",
        help="take classes from file names: a regular expression with one group, such as '(.+)_[0-9]+', or prefix for "
        "what comes before the first . _ or -",
    )
    add_decode_options(parser)
    add_fallback_option(parser)
    parser.add_argument(
        "--on-error", choices=("raise", "fill"), default="fill", help="stop, or leave zeros (%(default)s)"
    )
    parser.add_argument(
        "--drop-failed",
        action="store_true",
        help="leave images that fail out of the array, the labels and the numbered rows of the table",
    )
    parser.add_argument(
        "--json",
        action="store_true",
        help="print a summary as an object, and nothing else to standard output",
    )
    parser.add_argument(
        "--resume",
        action="store_true",
        help="go on where an interrupted run of the same command ended, and if interrupted, leave what is finished",
    )
    add_index_option(parser)
    add_thread_options(parser)
    add_reading_options(parser)


def run(args: argparse.Namespace) -> int:
    """Run the subcommand; return the exit status."""
    label_of = parse_label_from(args.label_from) if args.label_from is not None else None
    labelled = args.labels or label_of is not None
    if args.drop_failed and args.on_error == "raise":
        raise ValueError(
            "--drop-failed: nothing fails that --on-error raise does not stop at; give one of them"
        )
    names = _outputs(args.output, labelled)
    npy, table, labels_npy, classes_txt = names
    _reject_outputs_among(args.inputs, names)
    options = decode_options(args)
    # Refuses a bad option before anything is touched.
    threads = thread_options(args)
    check_fallback(args)
    fastimg.load([], **threads, **options)

    closed: list[OSError] = []  # of folders that cannot be listed
    on_closed: OnError = closed.append if args.on_error == "fill" else "raise"
    try:
        listing = list_images(
            args.inputs,
            labelled=labelled,
            label_of=label_of,
            on_error=on_closed,
            index=args.index,
            formats=formats_of(args),
        )
    finally:
        complain_of([str(error) for error in closed])
    sources, labels, class_names, _ = listing
    written = {"array": npy, "table": table}
    if labelled:
        written["labels"] = labels_npy
        if class_names is not None:
            written["classes"] = classes_txt
    class_lines = _lines_of(class_names or ())
    failures: list[Any] = []
    summary = Summary(args, written, listing)

    with resume.Run(names, Plan(sources, options, args.fallback), args.resume) as files:
        files.open(lambda: output.row_shape(sources, options, args.on_error, args.fallback), summary.announce)
        start = time.perf_counter()
        on_error = failures.append if args.on_error == "fill" else "raise"
        files.load(threads, wants_bar(args), on_error)
        seconds = time.perf_counter() - start
        if len(failures) == len(sources):
            raise ValueError(
                f"none of {counted(len(sources), 'image')} can be loaded; the first: {failures[0]}"
            )
        errors: dict[int, str] = {error.index: str(error) for error in failures}
        if args.drop_failed:
            files.drop(sorted(errors))
        files.array.flush()
        output.write_table(files.create(table), sources, labels, errors, args.drop_failed)
        if labelled:
            kept = [row for row in range(len(sources)) if not (args.drop_failed and row in errors)]
            dtype = np.int64 if class_names is not None else None
            np.save(files.create(labels_npy), np.array(labels, dtype)[kept])
        if "classes" in written:
            files.create(classes_txt).write(class_lines)
        files.publish()

    taken_up = np.flatnonzero(files.taken_up).tolist()
    summary.report(files.array, failures, taken_up, seconds)
    for name in (labels_npy, classes_txt):
        if name not in written.values() and os.path.lexists(name):
            complain(f"warning: {name} is from an earlier run; its labels may be of other rows")
    return 1 if errors or closed else 0


def _outputs(npy: str, labelled: bool) -> tuple[str, str, str, str]:
    """Return the names of all files that `load` may write, after checking that it can."""
    folder, name = os.path.split(npy)
    if not name.endswith(".npy"):
        raise ValueError(f"--output: expected a name that ends in .npy, found {npy!r}")
    if not os.path.isdir(folder or "."):
        raise ValueError(f"--output: the folder {folder!r} does not exist")
    stem = npy.removesuffix(".npy")
    outputs = (npy, stem + ".files.csv", stem + ".labels.npy", stem + ".classes.txt")
    for path in outputs[: 4 if labelled else 2]:
        try:
            os.lstat(path)
        except FileNotFoundError:
            pass
        except OSError as error:  # a name that is too long would be refused when all images are decoded
            raise ValueError(f"--output: {path!r}: {error.strerror}") from None
    for path in outputs:
        if os.path.isdir(path):
            raise ValueError(f"--output: {path!r} is a folder")
    return outputs


def _reject_outputs_among(inputs: Sequence[str], outputs: Sequence[str]) -> None:
    existing = [name for name in outputs if os.path.exists(name)]
    for path in inputs:
        for name in existing:
            if os.path.exists(path) and os.path.samefile(path, name):
                raise ValueError(f"{path} is an input, and --output would replace it")


def _lines_of(class_names: Sequence[str]) -> bytes:
    """The content of NAME.classes.txt: each class in a line of its own, in the order of the labels."""
    for name in class_names:
        if name.splitlines() != [name]:
            raise ValueError(f"class {name!r}: expected a name of one line")
    return "".join(f"{name}\n" for name in class_names).encode("utf-8", "surrogateescape")
