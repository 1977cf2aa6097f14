# SPDX-License-Identifier: BSD-3-Clause
"""Every figure of the documentation, measured on this machine: one JSON file, its plots, and a page of tables.

The benchmarks run one after the other, each in a process of its own. Within each, contestants take turns block by block
for --rounds rounds; rates are medians of the rounds, ratios those of the same block in the same round, and "quartiles"
what a quarter of the ratios is below, and above. What fails is recorded with its reason, and the rest goes on.
FOLDER gets

  report.json   figures, rows of all tables, versions, machine, settings; benchmarks/README.md describes it
  report.md     the same as a page, with the plots
  *.svg, *.png  the plots
  logs          what each benchmark printed, and its own JSON with every round

A whole report takes about an hour on two cores, one with --quick some minutes. It is written after each benchmark:
with --resume a run that was stopped goes on, and what failed is tried again. Figures of a busy machine are worth
little; the load is recorded.

  python -m benchmarks.report --images photos --output figures
  python -m benchmarks.report --render figures/report.json        # plots and page once more, nothing is measured
  python -m benchmarks.report --markdown docs/figures/report.json # the tables as the documentation has them
  python -m benchmarks.report --fill docs/figures/report.json     # put them into README.md and docs/performance.md
"""

import argparse
import datetime
import json
import os
import pathlib
import platform
import time

import numpy as np

from benchmarks import _plots as plots
from benchmarks import _report_page as page
from benchmarks._common import CLOCKS, positive_int
from benchmarks._process import Child, ChildError
from benchmarks._report_figures import figures_of
from benchmarks._report_fill import fill
from benchmarks._report_jobs import JOBS, library_versions
from fastimg.benchmarking.machine import cpu_model, usable_cpus

SCHEMA = 1
NAME = "report.json"
ROOT = pathlib.Path(__file__).resolve().parent.parent
FILLED = (ROOT / "README.md", ROOT / "docs/performance.md")


def parse(argv):
    parser = argparse.ArgumentParser("python -m benchmarks.report", description=__doc__)
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    names = [job.name for job in JOBS]
    what = parser.add_mutually_exclusive_group()
    what.add_argument("--render", metavar="F.json", help="make plots and page of that report")
    what.add_argument("--markdown", metavar="F.json", help="print the tables of that report")
    what.add_argument(
        "--fill", metavar="F.json", help="write that report's parts of README.md and docs/performance.md"
    )
    parser.add_argument("--images", metavar="DIR", help="a folder of photos (JPEG, any depth)")
    parser.add_argument(
        "--output", metavar="FOLDER", help="default: figures; with --render that of the report"
    )
    parser.add_argument("--only", nargs="+", choices=names, metavar="NAME", help=f"of {', '.join(names)}")
    parser.add_argument("--rounds", type=positive_int, help="default: 5; 2 with --quick")
    parser.add_argument("--limit", type=positive_int, metavar="N", help="use the first N photos only")
    parser.add_argument(
        "--clock", choices=list(CLOCKS), default="wall", help="of what one thread does, see --help of decode"
    )
    parser.add_argument("--quick", action="store_true", help="less of everything: to see that it works")
    parser.add_argument("--resume", action="store_true", help="go on with the report in FOLDER")
    args = parser.parse_args(argv)
    if not (args.images or args.render or args.markdown or args.fill):
        parser.error("--images is needed to measure")
    return args


def now():
    return datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")


def load_average():
    """Return the average number of busy processes of the last minute, None where the system does not tell."""
    return round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None


def fastimg_build():
    """Return the facts of the build, or why there is none: peers are compared without fastimg, too."""
    try:
        import fastimg
    except ImportError as error:
        return {"reason": str(error)}
    return {"version": fastimg.__version__, **fastimg.build_info()}


def machine():
    return {
        "cpu": cpu_model(),
        "usable CPUs": usable_cpus(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": platform.python_version(),
        "numpy": np.__version__,
    }


def new_report(settings, command):
    return {
        "schema": SCHEMA,
        "created": now(),
        "command": command,
        "settings": settings,
        "machine": machine(),
        "fastimg": fastimg_build(),
        "libraries": library_versions(),
        "benchmarks": {},
        "figures": [],
    }


def read(path):
    """Return the report in a file; SystemExit unless it is one that this program knows."""
    try:
        report = json.loads(pathlib.Path(path).read_text())
    except (OSError, ValueError) as error:
        raise SystemExit(f"{path}: {error}") from None
    found = report.get("schema") if isinstance(report, dict) else None
    if found != SCHEMA:
        raise SystemExit(f"{path}: expected a report of schema {SCHEMA}, found {found!r}")
    return report


def write(report, folder):
    """Write the report, whole or not at all."""
    report["figures"] = figures_of(report)
    part = folder / f"{NAME}.part"
    part.write_text(json.dumps(report, indent=1, allow_nan=False) + "\n")
    os.replace(part, folder / NAME)


def begin(folder, settings, command, resume):
    """Return the report to go on with; SystemExit if it is of another machine, build or setting."""
    fresh = new_report(settings, command)
    if not (folder / NAME).exists():
        return fresh
    if not resume:
        raise SystemExit(f"{folder / NAME} exists: go on with it by --resume, or name another --output")
    report = read(folder / NAME)
    for key in ("settings", "machine", "fastimg", "libraries"):
        if report[key] != fresh[key]:
            raise SystemExit(f"--resume: expected {key} {report[key]}, found {fresh[key]}")
    return report


def run(job, args, settings, logs):
    """Run a benchmark; return its part of the report."""
    words = job.arguments(settings)
    facts = {"arguments": words, "started": now(), "load": load_average()}
    start = time.monotonic()
    try:
        # Bars are for a terminal, and this goes to a file.
        with Child("benchmarks._report_jobs", TQDM_DISABLE="1") as child:
            images = os.path.abspath(args.images) if "images" in job.takes else None
            asked = job.name, job.module or job.name, words, images, str(logs.resolve())
            facts |= {"reason": None} | child.ask("measure", *asked)
    except ChildError as error:
        facts["reason"] = str(error).removeprefix("SystemExit: ")
    return facts | {"seconds": round(time.monotonic() - start, 1)}


def measure(args):
    """Run the benchmarks that are wanted and have not been run, and write the report after each."""
    rounds = args.rounds or (2 if args.quick else 5)
    images = pathlib.Path(args.images).resolve().name  # a report is for others: no path of this machine
    settings = {
        "images": images,
        "rounds": rounds,
        "limit": args.limit,
        "clock": args.clock,
        "quick": args.quick,
    }
    folder = pathlib.Path(args.output or "figures")
    words = ["python", "-m", "benchmarks.report", "--images", images, "--rounds", str(rounds)]
    words += ["--clock", args.clock] + ["--quick"] * args.quick
    words += ["--limit", str(args.limit)] if args.limit else []
    report = begin(folder, settings, words, args.resume)
    logs = folder / "logs"
    logs.mkdir(parents=True, exist_ok=True)
    for job in JOBS:
        done = report["benchmarks"].get(job.name, {"reason": "it has not been run"})
        if (args.only and job.name not in args.only) or not done["reason"]:
            continue
        print(f"{job.name} ...", end=" ", flush=True)
        found = run(job, args, settings, logs)
        report["benchmarks"][job.name] = found
        write(report, folder)
        print(f"failed: {found['reason']}" if found["reason"] else f"{found['seconds']:.0f} s", flush=True)
    return report, folder


def main(argv=None):
    args = parse(argv)
    if args.markdown:
        print(page.tables(read(args.markdown)))
        return
    if args.fill:
        found = read(args.fill)
        for path in FILLED:
            path.write_text(fill(path.read_text("utf-8"), found), "utf-8")
        return
    if args.render:
        report = read(args.render)
        report["figures"] = figures_of(report)
        folder = pathlib.Path(args.output or pathlib.Path(args.render).parent)
        folder.mkdir(parents=True, exist_ok=True)
    else:
        report, folder = measure(args)
    drawn = plots.draw_all(report, folder)
    (folder / "report.md").write_text(page.page(report, drawn))
    failed = [name for name, found in report["benchmarks"].items() if found["reason"]]
    print(f"wrote {folder / 'report.md'}, and plots: {', '.join(drawn) or 'none'}")
    if failed:
        raise SystemExit(f"failed: {', '.join(failed)}")


if __name__ == "__main__":
    main()
