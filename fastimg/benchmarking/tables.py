# SPDX-License-Identifier: BSD-3-Clause
"""Tables of figures in Markdown, and drawings."""

from collections.abc import Callable, Iterable, Mapping
from typing import Any, BinaryIO

RATES = "images/s: {rate:.0f} | min: {min:.0f} | max: {max:.0f}"
TIMES = "fastimg is: {times:.2f} x"


def shown(row: Mapping[str, Any], form: str) -> str:
    """Return a cell, or "-" if a figure is missing or None."""
    try:
        return form.format_map(row)
    except (KeyError, TypeError):
        return "-"


def lines(columns: str, rows: Mapping[Any, Mapping[str, Any]], first: str = "contestant") -> list[str]:
    """Return the lines of a Markdown table of {name: figures}.

    `columns` are "head: format of the figures", separated by " | "; a figure that is missing shows as "-". A row
    begins with its "label", or else its name, below the head `first`.
    """
    heads, forms = zip(*(column.split(": ", 1) for column in columns.split(" | ")), strict=True)
    cells = [[first, *heads]]
    cells += [
        [str(row.get("label", name)), *(shown(row, form) for form in forms)] for name, row in rows.items()
    ]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    cells.insert(1, ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])])
    return [
        "| "
        + " | ".join(
            [label.ljust(widths[0]), *(text.rjust(n) for text, n in zip(rest, widths[1:], strict=True))]
        )
        + " |"
        for label, *rest in cells
    ]


def report(
    title: str,
    columns: str,
    rows: Mapping[Any, Mapping[str, Any]],
    first: str = "contestant",
    headlines: Iterable[tuple[str, Callable[[Any, Any], bool]]] = (),
) -> Mapping[Any, Mapping[str, Any]]:
    """Print a titled Markdown table of {name: figures}, and below it why those with a "reason" are left out.

    The arguments are those of `lines`. `headlines` are arguments of `print_headline`. Returns the rows.
    """
    fit = {name: row for name, row in rows.items() if not row.get("reason")}
    print(f"\n{title}\n")
    print("\n".join(lines(columns, fit, first)))
    print(flush=True)
    for name in [name for name in rows if name not in fit]:
        print(f"{name} is left out: {rows[name]['reason']}")
    for words, accepts in headlines:
        print_headline(fit, words, accepts)
    return rows


def print_headline(
    rows: Mapping[Any, Mapping[str, Any]],
    words: str,
    accepts: Callable[[Any, Any], bool] = lambda name, row: True,
) -> None:
    """Print how fastimg compares with the fastest of the others for which accepts(name, row) is true."""
    for name, row in rows.items():  # fastest first
        if "times" in row and not name.startswith("fastimg") and accepts(name, row):
            print(f"fastimg is {row['times']:.2f} x {words}, {name}")
            return


def draw(
    file: str | BinaryIO | None, width: float, height: float, on: Callable[[Any], object], columns: int = 1
) -> Any:
    """Have on(axes) draw a figure, without a display, with text that is legible in a README; return the figure.

    It is written to `file`, unless that is None.
    """
    import matplotlib
    from matplotlib.figure import Figure

    style = {"font.size": 11, "axes.spines.top": False, "axes.spines.right": False}
    with matplotlib.rc_context(style):
        figure = Figure(figsize=(width, height), dpi=110, layout="constrained")
        on(figure.subplots(1, columns))
        if file is not None:
            figure.savefig(file)
    if isinstance(file, str):
        print(f"wrote {file}")
    return figure
