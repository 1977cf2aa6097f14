# SPDX-License-Identifier: BSD-3-Clause
"""The ``fastimg`` command: load, info, check."""

import argparse
import contextlib
import dataclasses
import io
import json
import os
import sys
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

import numpy as np
from tqdm import tqdm

import fastimg
import fastimg._decode as _decode
import fastimg.find as find
import fastimg.npy_file as npy_file
from fastimg.archives import archive_members, is_archive_name
from fastimg.arguments import add_decode_options, decode_options
from fastimg.options import make_options
from fastimg.sources import FileRange
from fastimg.threads import check_num_threads, default_num_threads

Row = dict[str, str]  # what `check` says of one file: path, kind, reason

STRICT = make_options()  # what `check` decodes with


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line.

    Parameters
    ----------
    argv : sequence of str, optional
        The arguments; ``sys.argv[1:]`` without it.

    Returns
    -------
    int
        Exit status: 0 fine, 1 something failed, 2 wrong use, 130 interrupted.

    Raises
    ------
    SystemExit
        By argparse: help, version, or arguments that it refuses (status 2).
    """
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a name outside the terminal's character set
    args = None
    try:
        args = _parser().parse_args(argv)
        status: int = args.run(args)
        if sys.stdout is not None:
            sys.stdout.flush()
        return status
    except SystemExit:  # argparse has said what there is to say
        _silence_stdout()
        raise
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        _silence_stdout()
        return 0 if args is None else 1  # nobody reads the help: nothing failed
    except (fastimg.JpegError, OSError, MemoryError) as error:
        _complain(f"error: {error}")
        _silence_stdout()
        return 1
    except (ValueError, OverflowError) as error:
        _complain(f"error: {error}")
        return 2


# ---- load


def _load(args: argparse.Namespace) -> int:
    npy, table, labels_npy = _outputs(args.output)
    options = {**decode_options(args), "num_threads": args.num_threads}
    fastimg.load([], **options)  # refuses a bad option before anything is touched

    sources, roots = _images(args.inputs)
    labels, class_names = find.class_labels(sources, roots) if args.labels else ([], [])
    shape = (len(sources), *npy_file.row_shape(sources, options, args.on_error))
    failures: list[Any] = []
    options["on_error"] = failures.append if args.on_error == "fill" else "raise"
    options["progress"] = _wants_bar(args)

    with npy_file.FileSet() as files:
        array = npy_file.create_array(files.create(npy), shape, np.dtype(args.dtype), npy)
        start = time.perf_counter()
        fastimg.load(sources, array, **options)
        seconds = time.perf_counter() - start
        array.flush()
        errors: dict[int, str] = {error.index: str(error) for error in failures}
        npy_file.write_table(files.create(table), sources, labels, errors)
        if args.labels:
            np.save(files.create(labels_npy), np.array(labels, np.int64))
        files.publish()

    for row in sorted(errors)[:10]:
        _complain(errors[row])
    if len(errors) > 10:
        _complain(f"{len(errors) - 10} more failures: see {table}")
    if not args.labels and os.path.lexists(labels_npy):
        _complain(f"warning: {labels_npy} is from an earlier run; its labels may be of other rows")
    nbytes = sum(_file_size(source) for row, source in enumerate(sources) if row not in errors)
    count = len(sources) - len(errors)
    _say(f"{npy}: shape {shape}, dtype {array.dtype}, {array.nbytes:,} bytes")
    _say(
        f"{count} images in {seconds:.2f} s: {count / seconds:.1f} images/s, "
        f"{nbytes / seconds / 1e6:.1f} MB/s of JPEG, {len(errors)} failures"
    )
    if args.labels:
        _say(f"{len(class_names)} classes: " + ", ".join(f"{i} {name}" for i, name in enumerate(class_names)))
    return 1 if errors else 0


def _outputs(npy: str) -> tuple[str, str, str]:
    """Give the names of all that `load` may write, after a look at whether it can."""
    folder, name = os.path.split(npy)
    if not name.endswith(".npy"):
        raise ValueError(f"--output: expected a name that ends in .npy, found {npy!r}")
    if not os.path.isdir(folder or "."):
        raise ValueError(f"--output: the folder {folder!r} does not exist")
    stem = npy.removesuffix(".npy")
    outputs = (npy, stem + ".files.csv", stem + ".labels.npy")
    for path in outputs:
        if os.path.isdir(path):
            raise ValueError(f"--output: {path!r} is a folder")
    return outputs


def _images(inputs: Sequence[str]) -> tuple[list[str | FileRange], list[str | None]]:
    """Give the images that the arguments name, and for each the folder among them that it was found in."""
    sources: list[str | FileRange] = []
    roots: list[str | None] = []
    for name in inputs:
        if _is_folder(name):
            sources += find.find_images(name)
            roots += [name] * (len(sources) - len(roots))
        else:
            sources += _files_of(name)
            roots += [None] * (len(sources) - len(roots))
    if not sources:
        raise ValueError(f"no {', '.join(find.SUFFIXES)} file below {', '.join(inputs)}")
    return sources, roots


def _is_folder(name: str) -> bool:
    return os.path.isdir(name) or name.endswith(os.sep)


def _files_of(name: str) -> list[str | FileRange]:
    """Give the images of an archive, or else the file itself."""
    if is_archive_name(name) and not _is_folder(name):
        return list(archive_members(name))
    return [name]


def _file_size(source: str | FileRange) -> int:
    if isinstance(source, FileRange):
        return source.size
    try:
        return os.stat(source).st_size
    except OSError:
        return 0


# ---- info


def _info(args: argparse.Namespace) -> int:
    records: list[dict[str, Any]] = []
    for name in args.inputs:
        try:
            sources = _files_of(name)
        except (ValueError, OSError) as error:
            records.append({"path": name, "error": _reason(error, name)})
            continue
        for source in sources:
            path = str(source)
            try:
                records.append({"path": path, **dataclasses.asdict(fastimg.read_header(source))})
            except (fastimg.JpegError, OSError) as error:
                records.append({"path": path, "error": _reason(error, path)})
    if args.json:
        _say_json(records)
    else:
        titles = ["path", *(field.name for field in dataclasses.fields(fastimg.Header))]
        rows = [titles]
        for record in records:
            if "error" in record:
                rows.append([record["path"], "error: " + record["error"]])
            else:
                rows.append([_cell(record[title]) for title in titles])
        _say_table(rows)
    return 1 if any("error" in record for record in records) else 0


def _cell(value: object) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


# ---- check


def _check(args: argparse.Namespace) -> int:
    check_num_threads(args.num_threads)
    rows: list[Row] = []
    sources: list[str | FileRange] = []
    for name in args.inputs:
        if _is_folder(name):
            sources += find.find_files(name, on_error=lambda error: rows.append(_unreadable(error)))
            continue
        try:
            sources += _files_of(name)
        except (ValueError, OSError) as error:
            rows.append({"path": name, "kind": "unreadable", "reason": _reason(error, name)})
    unreadable = len(rows)  # folders and archives: none of the files
    num_threads = args.num_threads or default_num_threads()
    examined = _examined(sources, num_threads)
    for row in tqdm(examined, total=len(sources), disable=not _wants_bar(args), unit="file"):
        if row is not None:
            rows.append(row)
    if args.json:
        _say_json(rows)
    else:
        _say_table([[row["kind"], row["path"], row["reason"]] for row in rows])
        counts = Counter(row["kind"] for row in rows)
        fine = len(sources) + unreadable - len(rows)
        _say(f"{len(sources)} files: {fine} fine" + "".join(f", {counts[kind]} {kind}" for kind in counts))
    return 1 if rows else 0


def _examined(sources: Sequence[str | FileRange], num_threads: int) -> Iterator[Row | None]:
    """Examine files in threads; the answers come in the files' order."""
    pool = ThreadPoolExecutor(num_threads)
    pending: deque[Future[Row | None]] = deque()
    try:
        for source in sources:
            if len(pending) == 16 * num_threads:  # a million files need not wait in memory as a million tasks
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
        kind, reason = "unreadable", _reason(error, path)
    except fastimg.JpegError as error:
        kind, reason = "broken", _reason(error, path)
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
    return {"path": path, "kind": "unreadable", "reason": _reason(error, path)}


# ---- words


def _reason(error: Exception, path: str) -> str:
    """Give an error's text without the name of the file, which has a column of its own."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror
    return str(error).removeprefix(path).removeprefix(": ")


def _shown(text: str) -> str:
    """Spell out what would break a line or drive a terminal: file names may hold any byte but one."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def _say(text: str) -> None:
    print(_shown(text))


def _say_json(value: object) -> None:
    print(json.dumps(value, indent=2))


def _say_table(rows: Sequence[Sequence[str]]) -> None:
    """Print rows in columns; the last cell of a row may be of any width."""
    cells = [[_shown(cell) for cell in row] for row in rows]
    widths: dict[int, int] = {}
    for row in cells:
        for column, cell in enumerate(row[:-1]):
            widths[column] = max(widths.get(column, 0), len(cell))
    for row in cells:
        print("  ".join([*(cell.ljust(widths[i]) for i, cell in enumerate(row[:-1])), row[-1]]))


def _complain(text: str) -> None:
    if sys.stderr is not None:
        print(f"fastimg: {_shown(text)}", file=sys.stderr)


def _wants_bar(args: argparse.Namespace) -> bool:
    return not args.quiet and sys.stderr is not None and sys.stderr.isatty()


def _silence_stdout() -> None:
    """Point a stdout that cannot be written to nowhere, or Python complains once more at its exit."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)


# ---- arguments


def _version() -> str:
    info = {key: value for key, value in fastimg.build_info().items() if key != "version"}
    return f"fastimg {fastimg.__version__}\n" + "\n".join(f"{key}: {value}" for key, value in info.items())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="fastimg",
        description="JPEG files straight into NumPy arrays.",
        epilog="exit status: 0 fine, 1 something failed, 2 wrong use, 130 interrupted",
        formatter_class=argparse.RawDescriptionHelpFormatter,  # keeps the lines of the version
    )
    parser.add_argument(
        "--version", action="version", version=_version(), help="print the version and the build"
    )
    commands = parser.add_subparsers(title="commands", required=True, metavar="COMMAND")

    load = commands.add_parser("load", help="load images into one .npy file that NumPy can memory-map")
    load.set_defaults(run=_load)
    load.add_argument(
        "inputs",
        nargs="+",
        metavar="INPUT",
        help="folders of JPEG files, .tar or .zip archives of them, or files",
    )
    load.add_argument("-o", "--output", required=True, metavar="NAME.npy", help="also writes NAME.files.csv")
    load.add_argument(
        "--labels", action="store_true", help="take classes from folder names into NAME.labels.npy"
    )
    add_decode_options(load)
    load.add_argument(
        "--on-error", choices=("raise", "fill"), default="fill", help="stop, or leave zeros (%(default)s)"
    )

    info = commands.add_parser("info", help="print what the headers of files say")
    info.set_defaults(run=_info)
    info.add_argument(
        "inputs", nargs="+", metavar="FILE", help="JPEG files, or .tar or .zip archives of them"
    )

    check = commands.add_parser("check", help="decode every file, list what is broken, odd or not JPEG")
    check.set_defaults(run=_check)
    check.add_argument("inputs", nargs="+", metavar="INPUT", help="files, folders, .tar or .zip archives")

    for command in (info, check):
        command.add_argument("--json", action="store_true", help="print a list of objects")
    for command in (load, check):
        command.add_argument("--num-threads", type=int, help="threads (the CPUs this process may use)")
        command.add_argument("-q", "--quiet", action="store_true", help="no progress bar")
    return parser
