# SPDX-License-Identifier: BSD-3-Clause
"""What a report measures: which benchmarks, with which arguments, and what is kept of their figures."""

import contextlib
import importlib
import importlib.metadata
import json
import math
import os
import sys
from typing import NamedTuple

# What is compared, and what the figures depend on besides: the names that pip knows.
LIBRARIES = (
    "numpy", "Pillow", "PyTurboJPEG", "simplejpeg", "imagecodecs", "kornia-rs", "opencv-python-headless",
    "opencv-python", "torch", "torchvision", "spdl", "nvidia-dali-cuda120", "matplotlib", "psutil",
)  # fmt: skip
DROPPED = {"sums", "rounds", "refused", "refused, not visible"}  # checksums, and what the full files have
SAMPLES = 150  # of memory over time: more are not seen in a plot


class Job(NamedTuple):
    """A benchmark with its arguments: for a whole report, and for one of a few minutes."""

    name: str
    full: tuple = ()
    quick: tuple = ()
    module: str = ""  # where it is not the name
    takes: tuple = ("images", "rounds")  # which of the report's settings it has

    def arguments(self, settings):
        """Return its command line without --images; `settings` are those of the report."""
        words = list(self.quick if settings["quick"] else self.full)
        for name in ("rounds", "limit", "clock"):
            if name in self.takes and settings[name] is not None:
                words += [f"--{name}", str(settings[name])]
        return words


EACH = ("images", "rounds", "limit")  # whose figures are those of each photo
TIMED = (*EACH, "clock")
FEW = ("--only", "fastimg", "DataLoader, simplejpeg")
SLOW = ("--tables", "plain", "--only", "fastimg.load", "fastimg, batches of 64", "32 threads", "SPDL")

# First what most figures come from: a report that is stopped has those.
JOBS = (
    Job("decode", takes=TIMED),
    Job("shares", quick=("--seconds", "2"), takes=("images", "limit")),
    Job("stages", ("--tables", "photos", "kinds"), ("--tables", "photos"), takes=EACH),
    Job(
        "resize",
        ("--tables", "photos", "threads", "large", "options"),
        ("--tables", "photos", "threads"),
        takes=TIMED,
    ),
    Job("parts", quick=("--sizes", "12"), takes=("images", "rounds")),
    Job("evaluation", takes=TIMED),
    Job("views", takes=TIMED),
    Job("memory", ("--count", "10000"), ("--count", "500"), takes=("images",)),
    Job("damage", quick=("--kinds", "random-64", "flip-1", "cut-50"), takes=("images", "limit")),
    Job("load", ("--count", "2000"), ("--count", "200")),
    Job("loader", ("--samples", "768", "--tables", "plain"), ("--samples", "128", "--tables", "plain", *FEW)),
    Job("storage", ("--count", "256", *SLOW), ("--count", "64", "--waits", "0", "20", *SLOW)),
    Job("index", ("--count", "100000"), ("--count", "2000")),
    Job("hostile", quick=("--files", "no data, baseline, grey", "one colour, 500 scans, 1 Mpx"), takes=()),
    Job(
        "classes",
        ("--tables", "classes"),
        ("--tables", "classes", "--classes", "256x256", "q75"),
        "stages",
        EACH,
    ),
)


def library_versions():
    """Return {name: version}, None for those that are not installed."""
    found = dict.fromkeys(LIBRARIES)
    for name in found:
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            found[name] = importlib.metadata.version(name)
    return found


def compact(value, key=None):
    """Return figures as JSON has them: five digits, no checksums, a few samples of many, None for what is no number."""
    if isinstance(value, dict):
        return {str(name): compact(each, name) for name, each in value.items() if name not in DROPPED}
    if isinstance(value, list | tuple):
        step = max(1, len(value) // SAMPLES) if key == "samples" else 1
        return [compact(each) for each in value[::step]]
    if isinstance(value, bool | str | None):
        return value
    if isinstance(value, int):
        return value
    value = float(value)
    return float(f"{value:.5g}") if math.isfinite(value) else None


def measure(name, module, arguments, images, folder):
    """Run a benchmark, in this process; return its payload without what is not for a report.

    It prints to a file in `folder`, and keeps every round in another one.
    """
    log = os.open(os.path.join(folder, f"{name}.txt"), os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o666)
    for descriptor in (1, 2):
        os.dup2(log, descriptor)
    whole = os.path.join(folder, f"{name}.json")
    argv = [*arguments, *(["--images", images] if images else []), "--json", whole]
    try:
        payload = importlib.import_module(f"benchmarks.{module}").main(argv)
    finally:
        sys.stdout.flush()
    payload = json.loads(json.dumps(payload, default=float))  # plain numbers
    environment = payload["environment"]
    kept = {"contestants": environment["contestants"], "missing": environment["missing"]}
    tables = {name: payload[name] for name in payload["tables"] if name in payload}
    absent = [name for name in payload["tables"] if name not in payload]
    facts = {"corpus": payload.get("corpus"), "tables": tables, "left out": absent}
    return kept | compact(facts)
