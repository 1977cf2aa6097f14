# SPDX-License-Identifier: BSD-3-Clause
"""``fastimg check``: which files are broken, odd or not JPEG."""

import argparse
import os
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import fastimg
import fastimg._decode as _decode
import fastimg.folders as folders
from fastimg.cli.inputs import Image, files_of, has_image_name, identity_of, is_folder
from fastimg.cli.kinds import describe_kinds, found_kind
from fastimg.cli.options import (
    add_fallback_option,
    add_index_option,
    add_thread_options,
    check_fallback,
    formats_of,
)
from fastimg.cli.words import complain, count_endings, reason_of, say, say_fields, say_json, wants_bar
from fastimg.fallback import Fallback, parse_fallback
from fastimg.folders import SUFFIXES, suffixes_of
from fastimg.options import make_options
from fastimg.progress import progress_bar
from fastimg.signatures import is_known_to_pillow
from fastimg.threads import check_num_threads, default_num_threads
from fastimg.wording import counted

Row = dict[str, str]  # path, kind, reason
Examined = tuple[Row | None, str]  # nothing to say of the file or a row, and what it is if it is no JPEG

STRICT = make_options()  # what files are decoded with


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the subcommand and its arguments."""
    parser = commands.add_parser(
        "check",
        help="decode every file, list what is broken, odd or not JPEG",
        description="Decode every file; print kind, reason and path of each that is broken, odd or not JPEG, "
        "with a tab between them, and then a count. A file that is named twice is one.",
        epilog="exit status: 0 all files load (odd ones, too), 1 some do not, 2 wrong use or no file",
    )
    parser.set_defaults(run=run)
    parser.add_argument(
        "inputs", nargs="+", metavar="INPUT", help="files, folders, .tar or .zip archives, indices (.npz)"
    )
    parser.add_argument(
        "--jpeg-only",
        action="store_true",
        help=f"leave out files whose names do not end in {', '.join(SUFFIXES)}, as load does, and count them",
    )
    add_fallback_option(
        parser, "decode images that are not JPEG with Pillow, and list those that it does not decode"
    )
    parser.add_argument("--json", action="store_true", help="print a list of objects")
    add_index_option(parser)
    add_thread_options(parser)


def run(args: argparse.Namespace) -> int:
    """Run the subcommand; return the exit status."""
    check_num_threads(args.num_threads)
    check_fallback(args)
    fallback = parse_fallback(args.fallback)
    sources, rows = _find(args.inputs, args.index, suffixes_of(formats_of(args)))
    sources, left_out = _leave_out(sources) if args.jpeg_only else (sources, None)
    unreadable = len(rows)  # folders and archives, which are not among the files
    nothing = not any(map(_exists, [*sources, *(row["path"] for row in rows)]))
    num_threads = args.num_threads or default_num_threads()
    examined = _examined(sources, fallback, num_threads)
    others: list[str] = []  # what the files are that are no JPEG
    for row, other in progress_bar(examined, total=len(sources), disable=not wants_bar(args), unit="file"):
        if row is not None:
            rows.append(row)
        if other:
            others.append(other)
    if args.json:
        say_json(rows)
    else:
        say_fields([[row["kind"], row["reason"], row["path"]] for row in rows])
        counts = Counter(row["kind"] for row in rows)
        fine = len(sources) + unreadable - len(rows)
        more = {"not JPEG": f" ({describe_kinds(others)})" if describe_kinds(others) else ""}
        parts = [f"{counts[kind]} {kind}{more.get(kind, '')}" for kind in counts]
        text = ", ".join([f"{counted(len(sources), 'file')}: {fine} fine", *parts])
        say(f"{text}; {count_endings(left_out)}" if left_out else text)
    if nothing:
        complain(f"error: no file below {', '.join(args.inputs)}")
        return 2
    return 1 if any(row["kind"] != "odd" for row in rows) else 0


def _find(inputs: Sequence[str], index: bool, suffixes: tuple[str, ...]) -> tuple[list[Image], list[Row]]:
    """Returns the files, each once, and a row for each folder or archive that cannot be listed.

    All files of folders, and of archives those with one of the suffixes.
    """
    sources: dict[object, Image] = {}
    rows: dict[object, Row] = {}
    real: dict[str, str] = {}

    def report(error: ValueError | OSError, path: str) -> None:
        row = {"path": path, "kind": "unreadable", "reason": reason_of(error, path)}
        rows.setdefault(identity_of(path, real), row)

    for name in inputs:
        try:
            found: Sequence[Image]
            if is_folder(name):
                found = folders.find_files(name, on_error=lambda error: report(error, error.filename))
            else:
                found = files_of(name, index=index, suffixes=suffixes)
        except (ValueError, OSError) as error:
            report(error, name)
            continue
        for source in found:
            sources.setdefault(identity_of(source, real), source)
    return list(sources.values()), list(rows.values())


def _leave_out(sources: Sequence[Image]) -> tuple[list[Image], Counter[str]]:
    """Returns the sources without the files that have no image's name, and the number of those."""
    kept = []
    left_out: Counter[str] = Counter()
    for source in sources:
        if not isinstance(source, str) or has_image_name(source) or not _exists(source):
            kept.append(source)
        else:
            left_out[folders.ending(source)] += 1
    return kept, left_out


def _exists(source: Image) -> bool:
    return not isinstance(source, str) or os.path.lexists(source)


def _examined(sources: Sequence[Image], fallback: Fallback | None, num_threads: int) -> Iterator[Examined]:
    """Examine files in threads; results come in the order of the files."""
    pool = ThreadPoolExecutor(num_threads)
    pending: deque[Future[Examined]] = deque()
    try:
        for source in sources:
            if len(pending) == 16 * num_threads:  # a million files must not become a million tasks at once
                yield pending.popleft().result()
            pending.append(pool.submit(_examine, source, fallback))
        while pending:
            yield pending.popleft().result()
    finally:
        pool.shutdown(cancel_futures=True)


def _examine(source: Image, fallback: Fallback | None) -> Examined:
    path = str(source)
    other = ""
    try:
        notes = _decoded(source, fallback)
    except OSError as error:
        kind, reason = "unreadable", reason_of(error, path)
    except fastimg.ImageError as error:
        kind, reason = "broken", reason_of(error, path)
        if isinstance(error, fastimg.ImageTooLargeError):
            kind = "too large"
        elif isinstance(error, fastimg.UnsupportedJpegError | fastimg.FallbackError):
            other = found_kind(source)
            if other == "JPEG":
                kind = "unsupported"
            elif fallback is None or not _is_known(source, other, fallback):
                kind = "not JPEG"
    else:
        if not notes:
            return None, ""
        kind, reason = "odd", "; ".join(notes)
    return {"path": path, "kind": kind, "reason": reason}, other if kind == "not JPEG" else ""


def _decoded(source: Image, fallback: Fallback | None) -> Sequence[str]:
    """Returns what is odd about an image that can be decoded."""
    try:
        notes, *_ = _decode.verify(source, STRICT)
    except fastimg.UnsupportedJpegError:
        if fallback is None:
            raise
        fallback.decode(source, None, STRICT.values["max_pixels"], 0, "RGB")
        return ()
    return notes


def _is_known(source: Image, kind: str, fallback: Fallback) -> bool:
    """Whether the fallback knows the format of an image that it cannot decode."""
    if is_known_to_pillow(kind):
        return True
    try:
        fallback.measure(source, None, 0)
    except (fastimg.ImageError, OSError):
        return False
    return True
