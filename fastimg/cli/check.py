# SPDX-License-Identifier: BSD-3-Clause
"""``fastimg check``: which files are broken, odd or not JPEG."""

import argparse
import contextlib
import os
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from tqdm import tqdm

import fastimg
import fastimg._decode as _decode
import fastimg.folders as folders
from fastimg.cli.inputs import files_of, is_folder
from fastimg.cli.options import add_thread_options
from fastimg.cli.words import reason_of, say, say_json, say_table, wants_bar
from fastimg.options import make_options
from fastimg.sources import FileRange
from fastimg.threads import check_num_threads, default_num_threads

Row = dict[str, str]  # path, kind, reason

STRICT = make_options()  # what files are decoded with


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the subcommand and its arguments."""
    parser = commands.add_parser("check", help="decode every file, list what is broken, odd or not JPEG")
    parser.set_defaults(run=run)
    parser.add_argument("inputs", nargs="+", metavar="INPUT", help="files, folders, .tar or .zip archives")
    parser.add_argument("--json", action="store_true", help="print a list of objects")
    add_thread_options(parser)


def run(args: argparse.Namespace) -> int:
    """Run the subcommand; return the exit status."""
    check_num_threads(args.num_threads)
    rows: list[Row] = []
    sources: list[str | FileRange] = []
    for name in args.inputs:
        if is_folder(name):
            sources += folders.find_files(name, on_error=lambda error: rows.append(_unreadable(error)))
            continue
        try:
            sources += files_of(name)
        except (ValueError, OSError) as error:
            rows.append({"path": name, "kind": "unreadable", "reason": reason_of(error, name)})
    unreadable = len(rows)  # folders and archives, which are not among the files
    num_threads = args.num_threads or default_num_threads()
    examined = _examined(sources, num_threads)
    for row in tqdm(examined, total=len(sources), disable=not wants_bar(args), unit="file"):
        if row is not None:
            rows.append(row)
    if args.json:
        say_json(rows)
    else:
        say_table([[row["kind"], row["path"], row["reason"]] for row in rows])
        counts = Counter(row["kind"] for row in rows)
        fine = len(sources) + unreadable - len(rows)
        say(f"{len(sources)} files: {fine} fine" + "".join(f", {counts[kind]} {kind}" for kind in counts))
    return 1 if rows else 0


def _examined(sources: Sequence[str | FileRange], num_threads: int) -> Iterator[Row | None]:
    """Examine files in threads; results come in the order of the files."""
    pool = ThreadPoolExecutor(num_threads)
    pending: deque[Future[Row | None]] = deque()
    try:
        for source in sources:
            if len(pending) == 16 * num_threads:  # a million files must not become a million tasks at once
                yield pending.popleft().result()
            pending.append(pool.submit(_examine, source))
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _examine(source: str | FileRange) -> Row | None:
    path = str(source)
    try:
        notes, *_ = _decode.verify(source, STRICT)
    except OSError as error:
        kind, reason = "unreadable", reason_of(error, path)
    except fastimg.JpegError as error:
        kind, reason = "broken", reason_of(error, path)
        if isinstance(error, fastimg.ImageTooLargeError):
            kind = "too large"
        elif isinstance(error, fastimg.UnsupportedJpegError):
            kind = "unsupported" if _starts_as_jpeg(source) else "not JPEG"
    else:
        if not notes:
            return None
        kind, reason = "odd", "; ".join(notes)
    return {"path": path, "kind": kind, "reason": reason}


def _starts_as_jpeg(source: str | FileRange) -> bool:
    path, offset = (source.path, source.offset) if isinstance(source, FileRange) else (source, 0)
    with contextlib.suppress(OSError), open(path, "rb") as file:
        file.seek(offset)
        return file.read(2) == b"\xff\xd8"
    return False


def _unreadable(error: OSError) -> Row:
    path = os.fsdecode(error.filename)
    return {"path": path, "kind": "unreadable", "reason": reason_of(error, path)}
