# SPDX-License-Identifier: BSD-3-Clause
"""``fastimg bench``: how fast the user's own files can be loaded on this machine."""

import argparse
import io
import os
import platform
import re
from collections import Counter
from typing import Any

import fastimg
import fastimg.benchmarking.own_files as own_files
from fastimg.benchmarking.advice import advise
from fastimg.benchmarking.machine import cpu_model, usable_cpus
from fastimg.benchmarking.tables import draw, report
from fastimg.cli.inputs import list_images
from fastimg.cli.words import complain_of, say, say_json, wants_bar
from fastimg.wording import counted
from fastimg.working_files import write_whole

_RATES = "images/s: {rate:.0f} | min: {min:.0f} | max: {max:.0f}"


def add_parser(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the subcommand and its arguments."""
    parser = commands.add_parser(
        "bench",
        help="measure how fast your files can be loaded on this machine, and say what to set",
        description="Load some of the files with 1 to n threads, with and without reading ahead, at several sizes, and "
        "with other libraries that are installed: Pillow, OpenCV, simplejpeg, PyTurboJPEG, torchvision, imagecodecs. "
        "Contestants take turns; figures are medians of the rounds, and ratios those of single turns.",
        epilog="exit status: 0 fine, 1 some files are broken and were left out, 2 wrong use or no image",
    )
    parser.set_defaults(run=run)
    parser.add_argument(
        "inputs", nargs="+", metavar="INPUT", help="folders, archives, lists and files as for load"
    )
    parser.add_argument(
        "--size", type=_positive, default=224, metavar="N", help="load to N x N pixels (%(default)s)"
    )
    parser.add_argument(
        "--threads", type=_threads, metavar="N,...", help="numbers of threads (1, 2, 4 ... the CPUs)"
    )
    parser.add_argument("--seconds", type=_seconds, default=30.0, help="take about so long (%(default)s)")
    parser.add_argument(
        "--max", type=_positive, default=256, metavar="N", help="files that are used (%(default)s)"
    )
    parser.add_argument(
        "--cold",
        action="store_true",
        help="ask the system to forget the files before each load, as if they were read for the first time",
    )
    parser.add_argument(
        "--plot", metavar="F.png", help="draw the speed of threads and of decoders; needs matplotlib"
    )
    parser.add_argument("--json", action="store_true", help="print all figures as an object, and no table")
    parser.add_argument("-q", "--quiet", action="store_true", help="no progress bar")


def _positive(text: str) -> int:
    value = int(text)
    if not 1 <= value <= 65500:
        raise argparse.ArgumentTypeError(f"expected 1 to 65500, found {text}")
    return value


def _threads(text: str) -> list[int]:
    return sorted({_positive(word) for word in text.split(",")})


def _seconds(text: str) -> float:
    value = float(text)
    if not 0 < value < 86400:
        raise argparse.ArgumentTypeError(f"expected seconds, found {text}")
    return value


for _function, _name in ((_positive, "integer"), (_threads, "list of integers"), (_seconds, "number")):
    _function.__name__ = _name  # in argparse's messages


def run(args: argparse.Namespace) -> int:
    """Run the subcommand; return the exit status."""
    if args.plot is not None:
        _check_plot(args.plot)
    if args.cold and not hasattr(os, "posix_fadvise"):
        raise ValueError("--cold: this system has no way to forget a file")
    closed: list[OSError] = []
    try:
        sources = list_images(args.inputs, on_error=closed.append).sources
    finally:
        complain_of([str(error) for error in closed])
    corpus = own_files.look_at(sources, args.max, args.size)
    plan = own_files.Plan(
        args.size, args.threads or own_files.thread_counts(), args.seconds, args.cold, wants_bar(args)
    )
    facts = corpus.facts()
    lines = _describe(facts, plan)
    if not args.json:
        for line in lines:
            say(line)
    complain_of([str(error) for error in corpus.broken])
    found = own_files.Bench(corpus, plan).measure()
    advice = advise(found, plan.size, corpus.listed)
    if args.json:
        rows = {
            name: [{"setting": key, **row} for key, row in table.items()] for name, table in found.items()
        }
        setting = {"size": plan.size, "threads": plan.threads, "seconds": plan.seconds, "cold": plan.cold}
        say_json(
            {
                "environment": lines,
                "files": facts,
                "options": setting,
                "tables": _plain(rows),
                "advice": advice,
            }
        )
    else:
        _print_tables(found, plan)
        for text in advice["text"]:
            say(text)
    if args.plot is not None:
        figure = io.BytesIO()
        draw(figure, 11, 4.5, lambda axes: _draw(axes, found, plan), 2)
        write_whole(args.plot, figure.getvalue())
        if not args.json:
            say(f"wrote {args.plot}")
    return 1 if corpus.broken or closed else 0


def _check_plot(path: str) -> None:
    if not path.lower().endswith(".png"):
        raise ValueError(f"--plot: expected a name that ends in .png, found {path!r}")
    if not os.path.isdir(os.path.dirname(path) or "."):
        raise ValueError(f"--plot: the folder {os.path.dirname(path)!r} does not exist")
    try:
        import matplotlib  # noqa: F401
    except ImportError:
        raise ValueError("--plot needs matplotlib: pip install 'fastimg[bench]'") from None


def _plain(value: Any) -> Any:
    """NumPy's numbers as Python's, for JSON."""
    if isinstance(value, dict):
        return {key: _plain(each) for key, each in value.items()}
    if isinstance(value, list):
        return [_plain(each) for each in value]
    return value.item() if hasattr(value, "item") else value


def _describe(facts: dict[str, Any], plan: own_files.Plan) -> list[str]:
    build = fastimg.build_info()
    good = facts["tried"] - facts["broken"]
    sizes = ", ".join(f"{size} ({count})" for size, count in facts["sizes"].items())
    cache = "cold: the system is asked to forget the files before each load"
    if not plan.cold:
        cache = "warm: the files have been read before"
    load = f", load {os.getloadavg()[0]:.2f}" if hasattr(os, "getloadavg") else ""
    busy = hasattr(os, "getloadavg") and os.getloadavg()[0] > 0.5 * usable_cpus()
    warning = ["other work runs on this machine: figures are lower, and scatter more"] if busy else []
    return [
        f"{cpu_model()}, {counted(usable_cpus(), 'usable CPU')}, {platform.system()} {platform.machine()}{load}",
        f"fastimg {build['version']}, libjpeg-turbo {build['libjpeg_turbo']}",
        f"{counted(good, 'file')} of {facts['listed']:,}: {facts['kilobytes']:.0f} kB and {facts['megapixels']:.2f} "
        f"megapixels each, {facts['progressive']} progressive; most are {sizes}",
        f"left out: {facts['broken']} broken of {facts['tried']}",
        f"cache {cache}",
        *warning,
    ]


def _print_tables(found: dict[str, dict[Any, dict[str, Any]]], plan: own_files.Plan) -> None:
    size = f"{plan.size} x {plan.size}"
    names = {None: "default", 0: "none"}
    report(f"Threads: to {size}", f"{_RATES} | scaling: {{ratio:.2f}} x", found["threads"], "num_threads")
    rows = {key: {"label": names.get(key, str(key)), **row} for key, row in found["readers"].items()}
    report(f"Reading ahead: to {size}", f"{_RATES} | of the default: {{ratio:.2f}} x", rows, "read_threads")
    print_decoders(found["decoders"])
    rows = {key: {"label": f"{key} x {key}" if key else "full", **row} for key, row in found["sizes"].items()}
    report("Sizes", f"{_RATES} | of {size}: {{ratio:.2f}} x", rows, "size")
    rows = {key: {"label": str(key), **row} for key, row in found["gaps"].items()}
    report(
        f"How far the DCT reduces: to {size}",
        f"{_RATES} | of the default: {{ratio:.2f}} x",
        rows,
        "reducing_gap",
    )


def print_decoders(decoders: dict[Any, dict[str, Any]]) -> None:
    """Print the table of `Bench.decoders`, and what was not compared."""
    missing: Counter[str] = Counter()
    for group in dict.fromkeys(row.get("group", "") for row in decoders.values()):
        rows = {
            key: {"label": row.get("name", key), **row}
            for key, row in decoders.items()
            if row.get("group", "") == group and not row.get("reason")
        }
        if rows:
            report(
                f"Decoders: {group}, one thread", f"{_RATES} | fastimg is: {{times:.2f}} x", rows, "library"
            )
    absent: set[str] = set()
    for key, row in decoders.items():
        reason = row.get("reason")
        if reason and (module := re.search(r"No module named '(\w+)", reason)):
            absent.add(module[1])
        elif reason:
            missing[f"{row.get('name', key)} ({reason})"] += 1
    if absent:
        say("Not installed: " + ", ".join(sorted(absent)))
    if missing:
        say("Not compared: " + ", ".join(missing))


def _draw(axes: Any, found: dict[str, dict[Any, dict[str, Any]]], plan: own_files.Plan) -> None:
    left, right = axes
    threads = found["threads"]
    rates = [row["rate"] for row in threads.values()]
    left.plot(list(threads), rates, "o-", color="tab:orange", label="fastimg.load")
    first = min(threads)
    left.plot(
        list(threads),
        [threads[first]["rate"] * n / first for n in threads],
        ":",
        color="gray",
        label="linear",
    )
    left.set(xlabel="threads", ylabel="images/s", ylim=(0, None), xticks=list(threads))
    left.set_title(f"to {plan.size} x {plan.size}")
    left.legend(frameon=False)
    group = f"to {plan.size} x {plan.size}"
    rows = [row for row in found["decoders"].values() if row.get("group") == group and "rate" in row][::-1]
    colors = ["tab:orange" if row["name"] == "fastimg" else "tab:blue" for row in rows]
    right.barh([row["name"] for row in rows], [row["rate"] for row in rows], color=colors)
    right.set(xlabel="images/s, one thread", title=group)
