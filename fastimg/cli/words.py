# SPDX-License-Identifier: BSD-3-Clause
"""What the command prints."""

import argparse
import json
import os
import sys
from collections.abc import Mapping, Sequence

from fastimg.wording import counted


def reason_of(error: Exception, path: str, index: int | None = None) -> str:
    """Return an error's text without the name of the file and its number, which are in other columns."""
    where = "" if index is None else f"image {index}: "
    if isinstance(error, OSError) and error.strerror:
        return error.strerror.removeprefix(where)
    return str(error).removeprefix(where).removeprefix(path).removeprefix(": ")


def _shown(text: str) -> str:
    """Escape what would break a line or control a terminal: file names may hold nearly any byte."""
    return "".join(c if c.isprintable() else c.encode("unicode_escape").decode("ascii") for c in text)


def count_endings(left_out: Mapping[str, int]) -> str:
    """Say how many files were left out: "left out: 12 .png, 3 .txt, 1 without an ending"."""
    order = sorted(left_out.items(), key=lambda item: (-item[1], item[0]))
    parts = [f"{count:,} {ending or 'without an ending'}" for ending, count in order[:10]]
    if len(order) > 10:
        parts.append(f"{sum(count for _, count in order[10:]):,} with other endings")
    return "left out: " + ", ".join(parts)


def say(text: str) -> None:
    print(_shown(text))


def say_json(value: object) -> None:
    print(json.dumps(value, indent=2))


def say_table(rows: Sequence[Sequence[str]]) -> None:
    """Print rows in columns; the last cell of a row does not widen its column."""
    cells = [[_shown(cell) for cell in row] for row in rows]
    widths: dict[int, int] = {}
    for row in cells:
        for column, cell in enumerate(row[:-1]):
            widths[column] = max(widths.get(column, 0), len(cell))
    for row in cells:
        print("  ".join([*(cell.ljust(widths[i]) for i, cell in enumerate(row[:-1])), row[-1]]))


def say_fields(rows: Sequence[Sequence[str]]) -> None:
    """Print rows for other programs: a tab between fields, and none in them."""
    for row in rows:
        print("\t".join(map(_shown, row)))


def complain(text: str) -> None:
    if sys.stderr is not None:
        print(f"fastimg: {_shown(text)}", file=sys.stderr)


def complain_of(failures: Sequence[str], more: str = "") -> None:
    """Print the first ten failures, and how many there are besides."""
    for text in failures[:10]:
        complain(text)
    if len(failures) > 10:
        complain(f"{counted(len(failures) - 10, 'more failure')}{more}")


def wants_bar(args: argparse.Namespace) -> bool:
    return not args.quiet and sys.stderr is not None and sys.stderr.isatty()


def silence_stdout() -> None:
    """Redirect a stdout that cannot be written to /dev/null, or Python complains again at exit."""
    try:
        if sys.stdout is not None:
            sys.stdout.flush()
    except OSError:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, sys.stdout.fileno())
        os.close(null)
