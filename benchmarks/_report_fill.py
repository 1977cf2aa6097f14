# SPDX-License-Identifier: BSD-3-Clause
"""The parts of README.md and docs/performance.md that a report writes: what is between two comments."""

import re
import textwrap

from benchmarks import _report_page as page

PART = re.compile(r"(<!-- report: ([\w ]+) -->\n\n).*?(\n\n<!-- end -->)", re.DOTALL)
# Whose figures other pages have.
ELSEWHERE = ("shares", "damage")


def value(report, name):
    """Return the figure of that name; KeyError unless it was measured."""
    figure = next(figure for figure in report["figures"] if figure["name"] == name)
    if figure["value"] is None:
        raise KeyError(f"{name}: {figure['reason']}")
    return figure


def wrapped(line):
    return textwrap.fill(line, 120, subsequent_indent="  " * line.startswith("- "), break_on_hyphens=False)


def first_screen(report):
    """Return the figures of README.md."""
    names = "decode, any route", "resize 256", "damage, baseline"
    decode, resize, damage = (value(report, name) for name in names)
    peer = decode["peer"].replace("cv2.split", "`cv2.split`")
    return [
        f"- **{decode['value']:.2f} times** as fast as {peer}, the fastest other way from bytes to a contiguous "
        "(3, H, W) array, on one thread, with equal pixels.",
        f"- **{resize['value']:.2f} times** as fast as {resize['peer']}, the fastest other antialiased way from files "
        "to (3, 256, 256).",
        f"- **{damage['value']:.0f} %** of visibly damaged photos are refused; the best of the other decoders refuse "
        f"{damage['its']:.0f} %.",
    ]


def conditions(report):
    """Return on what the tables were measured, and how."""
    machine, build, rounds = report["machine"], report["fastimg"], report["settings"]["rounds"]
    done = [report["benchmarks"][name] for name in ("decode", "resize")]
    clocks = sorted({"CPU" if "cpu" in found["arguments"] else "wall" for found in done})
    text = (
        f"{machine['cpu']}, {machine['usable CPUs']} CPUs, Python {machine['python']}, libjpeg-turbo "
        f"{build['libjpeg_turbo']}; medians of {rounds} interleaved rounds by {' or '.join(clocks)} time. "
    )
    loads = [found["load"] for found in done if found["load"] is not None]
    if loads:
        text += f"The load average was {' and '.join(f'{load:.1f}' for load in loads)} before the two benchmarks. "
    if "CPU" in clocks:
        text += (
            "CPU time leaves out what a thread waits for, but not what other programs do to its caches: on a busy "
            "machine, figures differ by some percent from run to run."
        )
    return [text.rstrip()]


def rest(report):
    """Return a line for each other figure."""
    shown = [
        figure
        for figure in report["figures"]
        if figure["benchmark"] not in ELSEWHERE and not figure["reason"]
    ]
    return page.sentences({"figures": shown})


PARTS = {
    "first screen": first_screen,
    "conditions": conditions,
    "decode": lambda report: page.plain(page.decode_table(report["benchmarks"]["decode"])),
    "resize": lambda report: page.plain(page.resize_table(report["benchmarks"]["resize"])),
    "figures": rest,
}


def fill(text, report):
    """Return a page with its parts as that report has them."""

    def write(part):
        lines = PARTS[part[2]](report)
        return (
            part[1] + "\n".join(line if line.startswith("|") else wrapped(line) for line in lines) + part[3]
        )

    return PART.sub(write, text)
