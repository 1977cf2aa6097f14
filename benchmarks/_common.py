# SPDX-License-Identifier: BSD-3-Clause
"""What all benchmarks share: command line, environment, interleaved timing, tables, JSON and figures.

Every contestant does the same work in every round, in blocks that take turns, and the order rotates from block to
block, so a machine that slows down for a while slows all of them down. A rate is the median of the rounds; "min" and
"max" are the slowest and the fastest round. A ratio is the median, over all blocks of all rounds, of two contestants'
times for the same block in the same round. Ratios carry over to other machines; absolute figures do not.
"""

import argparse
import gc
import importlib
import json
import os
import pathlib
import platform
import re
import subprocess
import sys
import time

import numpy as np
from tqdm import tqdm

from benchmarks._peers import available

CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
PHOTOS = 8  # photos in a block: about 20 ms, short compared with most disturbances

RATES = "images/s: {rate:.0f} | min: {min:.0f} | max: {max:.0f}"
TIMES = "fastimg is: {times:.2f} x"


def positive_int(text):
    """Parse an argparse value that must be 1 or more."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected 1 or more, got {value}")
    return value


def parse(argv, doc, prog, *shared, tables=(), **own):
    """Parse a command line whose --help is the benchmark's docstring.

    `shared` names those of the options below that the benchmark has; `own` are the arguments of its own ones.
    """
    parser = argparse.ArgumentParser(f"python -m benchmarks.{prog}", description=doc)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    clock = "cpu: this process's time on any core, steadier on a busy machine (default: wall)"
    options = {
        "images": {"required": True, "metavar": "DIR", "help": "a folder of photos (JPEG, any depth)"},
        "json": {"metavar": "F", "help": "write every figure and every round to this file"},
        "rounds": {"type": positive_int, "default": 5, "help": "default: %(default)s"},
        "limit": {"type": positive_int, "metavar": "N", "help": "use the first N photos only"},
        "count": {"type": positive_int, "default": 10_000, "help": "files (default: %(default)s)"},
        "work": {"metavar": "DIR", "help": "keep the files here (default: a temporary folder)"},
        "plot": {"metavar": "F.png", "help": "draw what is measured"},
        "clock": {"choices": list(CLOCKS), "default": "wall", "help": clock},
        "tables": {"nargs": "+", "choices": list(tables), "default": list(tables)},
    }
    for name in dict.fromkeys(("images", "json", *shared, *["tables"] * bool(tables), *own)):
        option = options.get(name, {}) | own.get(name, {})
        parser.add_argument(f"--{name.replace('_', '-')}", **option)
    return parser.parse_args(argv)


def cpu_model():
    """Return the name of the processor as the system reports it."""
    cpuinfo = pathlib.Path("/proc/cpuinfo")
    text = cpuinfo.read_text() if cpuinfo.exists() else ""
    if found := re.search(r"^(?:model name|hardware).*?:\s*(.*)", text, re.MULTILINE | re.IGNORECASE):
        return found[1]
    if sys.platform == "darwin":
        ask = ["sysctl", "-n", "machdep.cpu.brand_string"]
        return subprocess.run(ask, capture_output=True, text=True, check=False).stdout.strip()
    return platform.processor() or platform.machine()


def usable_cpus():
    """Return how many CPUs this process may run on, by affinity; cgroup quotas are ignored."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def print_contestants(facts):
    for name, fact in facts.items():
        print(f"  {name} {fact['version']}, libjpeg-turbo {fact['libjpeg_turbo']}: {fact['route']}")


def begin(args, kinds):
    """Print everything but the corpus that the figures depend on.

    Returns the contestants that can be imported, and the payload of --json with the environment in it.
    """
    peers, missing = available(kinds)
    contestants = {peer.name: peer.facts() for peer in peers}
    system = f"{platform.system()} {platform.release()} {platform.machine()}"
    load = os.getloadavg()[0]  # before the run: shows whether the machine is busy
    lines = [f"{cpu_model()}, {usable_cpus()} usable CPUs, {system}, load {load:.2f}"]
    lines += [f"Python {platform.python_version()}, NumPy {np.__version__}"]
    if "fastimg" in contestants:
        build = importlib.import_module("fastimg").build_info()
        lines.append("fastimg build: " + ", ".join(f"{key} {value}" for key, value in build.items()))
    print("\n".join(lines))
    print_contestants(contestants)
    for name, reason in missing.items():
        print(f"  {name} is left out ({reason})")
    print()
    environment = {"system": lines, "contestants": contestants, "missing": missing}
    return peers, {"environment": environment, "options": vars(args)}


def finish(args, payload, tables, *arguments):
    """Make the tables that --tables names, each by its function, and write the payload where --json says."""
    for table in getattr(args, "tables", tables):
        try:
            payload[table] = tables[table](*arguments, args)
        except ModuleNotFoundError as error:  # peers are compared without fastimg, too
            print(f"{table} is left out: {error}")
    if args.json:
        pathlib.Path(args.json).write_text(json.dumps(payload, indent=1, default=float) + "\n")
        print(f"wrote {args.json}")


def slices(count, block):
    """Return the slices of `block` items that make up `count` items; the last one may be shorter."""
    return [slice(first, min(first + block, count)) for first in range(0, count, block)]


def interleave(jobs, blocks, rounds, desc):
    """Return {name: seconds (rounds, blocks)}; jobs[name](block) does a block and returns how long that took."""
    names = list(jobs)
    seconds = {name: np.zeros((rounds, blocks)) for name in names}
    gc.collect()
    gc.disable()  # as timeit does: a collection would land on whoever is running
    try:
        with tqdm(total=rounds * blocks * len(names), desc=desc) as bar:
            for turn in range(rounds * blocks if names else 0):
                round_, block = divmod(turn, blocks)
                shift = turn % len(names)
                for name in names[shift:] + names[:shift]:
                    seconds[name][round_, block] = jobs[name](block)
                    bar.update()
    finally:
        gc.enable()
    return seconds


def ratio(of, to):
    """Return the median of `of` / `to`, element by element."""
    return float(np.median(np.divide(of, to)))


def compare(seconds, amount, found, subject="fastimg"):
    """Add "rate", "min", "max" and "times" to the rows `found`, {name: figures}; return them, fastest first.

    Rates are `amount`, the work of one round, per second. "times" says how many times as fast `subject` is. The order
    is by that, which noise disturbs least, or by rate if the subject is absent; those that were not timed come last.
    """
    for name, values in seconds.items():
        rates = amount / values.sum(axis=1)  # (rounds,)
        found[name] |= {"rate": np.median(rates), "min": min(rates), "max": max(rates), "rates": list(rates)}
        if subject in seconds:
            found[name]["times"] = ratio(values, seconds[subject])
    order = {name: found[name].get("times", -found[name]["rate"]) for name in seconds}
    return dict(sorted(found.items(), key=lambda item: order.get(item[0], np.inf)))


def shown(row, form):
    try:
        return form.format_map(row)
    except (KeyError, TypeError):  # a figure is missing, or None
        return "-"


def report(title, columns, rows, first="contestant", headlines=()):
    """Print a titled Markdown table of {name: figures}, and below it why those with a "reason" are left out.

    `columns` are "head: format of the figures", separated by " | "; a figure that is missing shows as "-". A row
    begins with its "label", or else its name. `headlines` are arguments of `print_headline`. Returns the rows.
    """
    heads, forms = zip(*(column.split(": ", 1) for column in columns.split(" | ")), strict=True)
    fit = {name: row for name, row in rows.items() if not row.get("reason")}
    lines = [[first, *heads]]
    lines += [[row.get("label", name), *(shown(row, form) for form in forms)] for name, row in fit.items()]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    lines.insert(1, ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])])
    print(f"\n{title}\n")
    for label, *cells in lines:
        rest = (text.rjust(width) for text, width in zip(cells, widths[1:], strict=True))
        print("| " + " | ".join([label.ljust(widths[0]), *rest]) + " |")
    print(flush=True)
    for name in [name for name in rows if name not in fit]:
        print(f"{name} is left out: {rows[name]['reason']}")
    for words, accepts in headlines:
        print_headline(fit, words, accepts)
    return rows


def print_headline(rows, words, accepts=lambda name, row: True):
    """Print how fastimg compares with the fastest of the others for which accepts(name, row) is true."""
    for name, row in rows.items():  # fastest first
        if "times" in row and not name.startswith("fastimg") and accepts(name, row):
            print(f"fastimg is {row['times']:.2f} x {words}, {name}")
            return


def draw(path, width, height, on):
    """Have on(axes) draw a figure, without a display, with text that is legible in a README."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    pyplot.rcParams.update({"font.size": 11, "axes.spines.top": False, "axes.spines.right": False})
    figure, axes = pyplot.subplots(figsize=(width, height), dpi=110, layout="constrained")
    on(axes)
    figure.savefig(path)
    print(f"wrote {path}")
