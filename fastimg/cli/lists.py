# SPDX-License-Identifier: BSD-3-Clause
"""Lists of files: a CSV table with the columns path and label, or paths in a text file or on standard input."""

import codecs
import csv
import io
import math
import os
import re
import sys
from collections.abc import Callable, Iterable, Sequence
from typing import NamedTuple, TypeAlias

from fastimg.remote import is_url
from fastimg.wording import counted

STDIN = "-"

Labels: TypeAlias = list[int] | list[float]

_WORDS = {"prefix": r"([^._-]+)[._-]"}


class FileList(NamedTuple):
    """What a list holds.

    Attributes
    ----------
    paths : list of str
        In the order of the list.
    labels : list of str or None
        The label of each, as it is written there; None if the list has none.
    """

    paths: list[str]
    labels: list[str] | None


def is_list_name(name: str) -> bool:
    """Whether an argument names a list: ``-``, or the end of its name is ``.csv`` or ``.txt``."""
    return name == STDIN or (name.lower().endswith((".csv", ".txt")) and not os.path.isdir(name))


def read_list(name: str, labelled: bool = False) -> FileList:
    """Read a list.

    Parameters
    ----------
    name : str
        A CSV table whose first line names its columns, path and maybe label; or paths, one per line, or with a null
        character after each as ``find -print0`` writes them. A relative path is one below the list's folder if there is
        such a file, else below the working directory; on standard input, always the latter.
    labelled : bool
        Whether each row of a table that has labels must have one.

    Returns
    -------
    FileList

    Raises
    ------
    OSError
        The list cannot be read.
    ValueError
        It is no such list, it is empty, or none of its files exists.
    """
    title = "standard input" if name == STDIN else name
    if name == STDIN:
        if sys.stdin is None:
            raise ValueError("-: there is no standard input")
        data, folder = sys.stdin.buffer.read(), ""
    else:
        with open(name, "rb") as file:
            data, folder = file.read(), os.path.dirname(name)
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        raise ValueError(f"{title}: expected UTF-8, or the system's bytes, found UTF-16")
    data = data.removeprefix(codecs.BOM_UTF8)
    listed = _read_table(name, data, labelled) if name.lower().endswith(".csv") else _read_lines(data)
    if not listed.paths:
        raise ValueError(f"{title}: expected paths, found none")
    if bad := next((path for path in listed.paths if "\0" in path), None):
        raise ValueError(f"{title}: a path with a null character: {bad!r}")
    paths = [_find(path, folder) for path in listed.paths]
    if not any(is_url(path) or os.path.lexists(path) for path in paths):
        raise ValueError(f"{title}: none of {counted(len(paths), 'file')} exists; the first: {paths[0]}")
    return listed._replace(paths=paths)


def _find(path: str, folder: str) -> str:
    if not folder or os.path.isabs(path) or is_url(path):
        return path
    below = os.path.join(folder, path)
    return path if os.path.lexists(path) and not os.path.lexists(below) else below


def _read_lines(data: bytes) -> FileList:
    if b"\0" in data:
        return FileList([os.fsdecode(path) for path in data.split(b"\0") if path], None)
    lines = [line.removesuffix(b"\r") for line in data.split(b"\n")]
    return FileList([os.fsdecode(line) for line in lines if line], None)


def _read_table(name: str, data: bytes, labelled: bool) -> FileList:
    text = io.StringIO(data.decode("utf-8", "surrogateescape"), newline="")
    rows = csv.reader(text, strict=True)
    paths: list[str] = []
    labels: list[str] = []
    try:
        columns = [column.strip().lower() for column in next(rows, [])]
        if "path" not in columns:
            raise ValueError(
                f"{name}: expected columns path and label in the first line, found {', '.join(columns) or 'none'}"
            )
        at, label_at = columns.index("path"), columns.index("label") if "label" in columns else None
        for row in rows:
            if not row:  # a line without anything
                continue
            if len(row) <= at or not row[at]:
                raise ValueError(f"{name}: line {rows.line_num}: no path")
            paths.append(row[at])
            if label_at is not None:
                labels.append(row[label_at].strip() if label_at < len(row) else "")
                if labelled and not labels[-1]:
                    raise ValueError(f"{name}: line {rows.line_num}: no label")
    except csv.Error as error:
        raise ValueError(f"{name}: line {rows.line_num}: {error}") from None
    return FileList(paths, None if label_at is None else labels)


def to_numbers(labels: Sequence[str]) -> Labels | None:
    """Return labels as numbers, if all are: int64 values if all are integers, else floats."""
    if all(re.fullmatch(r"[+-]?[0-9]{1,18}", label) for label in labels):
        return [int(label) for label in labels]
    pattern = r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]+)?"
    if all(re.fullmatch(pattern, label) and math.isfinite(float(label)) for label in labels):
        return [float(label) for label in labels]
    return None


def numbers_of(lists: dict[str, FileList], inputs: Iterable[str]) -> Labels | None:
    """Return the labels of all inputs if they are numbers, and None if none of them are.

    Raises
    ------
    ValueError
        Some are numbers and others are not.
    """
    found = {name: to_numbers(listed.labels) for name, listed in lists.items() if listed.labels}
    numbered = [name for name in inputs if found.get(name) is not None]
    if not numbered:
        return None
    other = next((name for name in inputs if found.get(name) is None), None)
    if other is not None:
        raise ValueError(f"labels of one kind: those of {numbered[0]} are numbers, those of {other} are not")
    joined: list[float] = [label for name in numbered for label in found[name] or ()]
    return joined


def parse_label_from(text: str) -> Callable[[str], str]:
    """Return the function that takes the class out of a path.

    Parameters
    ----------
    text : str
        ``prefix``: what comes before the first ``.``, ``_`` or ``-`` of the file's name. Otherwise a regular expression
        with one group, which is searched for in the file's name.

    Raises
    ------
    ValueError
        It is neither. So does the function if a name does not match.
    """
    try:
        pattern = re.compile(_WORDS.get(text, text))
    except re.error as error:
        raise ValueError(f"--label-from: {text!r} is no regular expression: {error}") from None
    if pattern.groups != 1:
        raise ValueError(
            f"--label-from: expected prefix, or a regular expression with one group such as '(.+)_[0-9]+', "
            f"found {text!r}"
        )

    def label_of(path: str) -> str:
        found = (pattern.match if text in _WORDS else pattern.search)(os.path.basename(path))
        if found is None or not found[1]:
            raise ValueError(f"{path}: no class: its name does not match --label-from {text}")
        return found[1]

    return label_of
