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
from fastimg.cli.inputs import Image, list_images, place_of
from fastimg.cli.journal import Plan
from fastimg.cli.options import (
    add_decode_options,
    add_index_option,
    add_reading_options,
    add_thread_options,
    decode_options,
    thread_options,
)
from fastimg.cli.words import complain, complain_of, count_endings, say, wants_bar
from fastimg.folders import OnError


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the subcommand and its arguments."""
    parser = commands.add_parser("load", help="load images into one .npy file that NumPy can memory-map")
    parser.set_defaults(run=run)
    parser.add_argument(
        "inputs",
        nargs="+",
        metavar="INPUT",
        help="folders of JPEG files, .tar or .zip archives of them, indices (.npz), or files",
    )
    parser.add_argument(
        "-o", "--output", required=True, metavar="NAME.npy", help="also writes NAME.files.csv"
    )
    parser.add_argument(
        "--labels",
        action="store_true",
        help="take classes from folder names into NAME.labels.npy and NAME.classes.txt",
    )
    add_decode_options(parser)
    parser.add_argument(
        "--on-error", choices=("raise", "fill"), default="fill", help="stop, or leave zeros (%(default)s)"
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
    npy, table, labels_npy, classes_txt = names = _outputs(args.output, args.labels)
    _reject_outputs_among(args.inputs, names)
    options = decode_options(args)
    # Refuses a bad option before anything is touched.
    threads = thread_options(args)
    fastimg.load([], **threads, **options)

    closed: list[OSError] = []  # of folders that cannot be listed
    on_closed: OnError = closed.append if args.on_error == "fill" else "raise"
    try:
        sources, labels, class_names, left_out = list_images(
            args.inputs, labelled=args.labels, on_error=on_closed, index=args.index
        )
    finally:
        complain_of([str(error) for error in closed])
    class_lines = _lines_of(class_names)
    failures: list[Any] = []

    with resume.Run(names, Plan(sources, options), args.resume) as files:
        array = files.open(lambda: output.row_shape(sources, options, args.on_error))
        start = time.perf_counter()
        on_error = failures.append if args.on_error == "fill" else "raise"
        files.load(threads, wants_bar(args), on_error)
        seconds = time.perf_counter() - start
        if len(failures) == len(sources):
            raise ValueError(f"none of {len(sources)} images can be loaded; the first: {failures[0]}")
        array.flush()
        errors: dict[int, str] = {error.index: str(error) for error in failures}
        output.write_table(files.create(table), sources, labels, errors)
        if args.labels:
            np.save(files.create(labels_npy), np.array(labels, np.int64))
            files.create(classes_txt).write(class_lines)
        files.publish()

    complain_of([errors[row] for row in sorted(errors)], f": see {table}")
    for name in (labels_npy, classes_txt):
        if not args.labels and os.path.lexists(name):
            complain(f"warning: {name} is from an earlier run; its labels may be of other rows")
    decoded = [row for row in range(len(sources)) if row not in errors and not files.taken_up[row]]
    nbytes = sum(_file_size(sources[row]) for row in decoded)
    count = len(decoded)
    bits = "" if array.dtype.name == args.dtype else f" (the bits of {args.dtype})"
    say(f"{npy}: shape {array.shape}, dtype {array.dtype}{bits}, {array.nbytes:,} bytes")
    say(
        f"{count} images in {seconds:.2f} s: {count / seconds:.1f} images/s, "
        f"{nbytes / seconds / 1e6:.1f} MB/s of JPEG, {len(errors)} failures"
    )
    if files.taken_up.any():
        say(f"{files.taken_up.sum()} rows were finished by an earlier run")
    if args.labels:
        say(f"{len(class_names)} classes: " + ", ".join(f"{i} {name}" for i, name in enumerate(class_names)))
    if left_out:
        say(count_endings(left_out))
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


def _file_size(source: Image) -> int:
    if not isinstance(source, str):
        return place_of(source)[2]
    try:
        return os.stat(source).st_size
    except OSError:
        return 0
