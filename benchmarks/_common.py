# SPDX-License-Identifier: BSD-3-Clause
"""What all benchmarks share: command line, environment and JSON; timing and tables are in ``fastimg.benchmarking``."""

import argparse
import importlib
import json
import os
import pathlib
import platform
import time

import numpy as np

from fastimg.benchmarking.machine import cpu_model, usable_cpus
from fastimg.benchmarking.peers import available
from fastimg.benchmarking.tables import RATES as RATES
from fastimg.benchmarking.tables import TIMES as TIMES
from fastimg.benchmarking.tables import draw as draw
from fastimg.benchmarking.tables import print_headline as print_headline
from fastimg.benchmarking.tables import report as report
from fastimg.benchmarking.tables import shown as shown
from fastimg.benchmarking.timing import compare as compare
from fastimg.benchmarking.timing import interleave as interleave
from fastimg.benchmarking.timing import ratio as ratio
from fastimg.benchmarking.timing import slices as slices

CLOCKS = {"wall": time.perf_counter, "cpu": time.process_time}
PHOTOS = 8  # photos in a block: about 20 ms, short compared with most disturbances


def positive_int(text):
    """Parse an argparse value that must be 1 or more."""
    value = int(text)
    if value < 1:
        raise argparse.ArgumentTypeError(f"expected 1 or more, got {value}")
    return value


def parse(argv, doc, prog, *shared, tables=(), positional=(), **own):
    """Parse a command line whose --help is the benchmark's docstring.

    `shared` names those of the options below that the benchmark has; `own` are the arguments of its own ones, of which
    `positional` need no name.
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
        parser.add_argument(name if name in positional else f"--{name.replace('_', '-')}", **option)
    return parser.parse_args(argv)


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
    """Make the tables that --tables names, each by its function, and write the payload where --json says.

    Returns the payload, in which "tables" are those names.
    """
    payload["tables"] = list(getattr(args, "tables", tables))
    for table in payload["tables"]:
        try:
            payload[table] = tables[table](*arguments, args)
        except ModuleNotFoundError as error:  # peers are compared without fastimg, too
            print(f"{table} is left out: {error}")
    if args.json:
        pathlib.Path(args.json).write_text(json.dumps(payload, indent=1, default=float) + "\n")
        print(f"wrote {args.json}")
    return payload
