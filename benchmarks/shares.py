# SPDX-License-Identifier: BSD-3-Clause
"""Where the time of a decode goes, stage by stage, on both routes: what the drawing of docs/how-it-works shows.

Bytes in memory to a preallocated (3, H, W) buffer on one thread, to the photos' own size and resized. A process decodes
the photos over and over, and Linux's perf looks which function of fastimg or libjpeg-turbo it is in. What the
interpreter does between images is left out. Needs perf and the extension with its symbols (built in place, not
stripped).
"""

import importlib
import re
import subprocess
import sys
import tempfile
import time

import numpy as np

from benchmarks import _common as common
from benchmarks._pixels import read_corpus
from fastimg.benchmarking.peers import DECODERS

ROUTES = {"exact": {}, "resized": {"size": 256}}

# (stage, the functions and libraries it is made of): the first that fits.
STAGES = [
    (
        "Huffman decoding",
        r"decode_(bmi2|pdep|c)|decode_(sequential|progressive)|fi_entropy_\w+|end_block|fi_limits_\w+",
    ),
    ("Huffman decoding", r"__memchr\w*|__memmove\w*|__memcpy\w*|source_\w+"),
    (
        "inverse DCT",
        r"idct_\w+|fi_idct_\w+|fi_mcu_rows_\w+|reduced_inverse_dct|reduce_edge|overshoot|__memset\w*",
    ),
    ("filters", r"resample_\w+|fi_coef_cache_\w+|push|emit|round_q6_\w+|fi_axes_make|lay_out|read_planes"),
    (
        "colour and store",
        r"ycc_\w+|take_ycc|(de)?interleave3_\w+|transpose\w*|reverse_\w+|lut16_\w+|fi_writer_\w+",
    ),
    ("colour and store", r"(plane|pixels)_\w+|normalize32_\w+|fi_\w+_to_(rgb|luma)"),
]
REST = "the rest"


def stage_of(library, function):
    """Return the stage that a function belongs to, or None if it is none of a decode's."""
    ours = library.startswith("_decode")
    if not ours and not library.startswith(("libjpeg", "libc.")):
        return None
    for stage, functions in STAGES:
        if re.fullmatch(functions, function) and (ours or function.startswith("__mem")):
            return stage
    # Of libjpeg-turbo, it upsamples chroma for the exact route, and parses headers.
    return None if library.startswith("libc.") else REST


def shares(report):
    """Return the percentage of each stage, from what ``perf report`` prints."""
    seen = {}
    for line in report.splitlines():
        fields = [field.strip() for field in line.split(";")]
        if line.startswith("#") or len(fields) < 3:
            continue
        stage = stage_of(fields[1], re.sub(r"^\[.\] ", "", fields[2]))
        if stage is not None:
            seen[stage] = seen.get(stage, 0) + float(fields[0].rstrip("%"))
    if "Huffman decoding" not in seen:
        raise SystemExit(
            "perf saw no function of fastimg: the extension needs its symbols (pip install -e .)"
        )
    total = sum(seen.values())
    names = [*dict.fromkeys(stage for stage, _ in STAGES), REST]
    return {name: round(100 * seen[name] / total, 1) for name in names if name in seen}


def work(images, limit, options):
    """Decode the photos until killed, and say when all of it has been done once."""
    fastimg = importlib.import_module("fastimg")
    photos, _ = read_corpus(images, limit)
    pairs = [(photo.data, np.empty_like(fastimg.decode(photo.data, **options))) for photo in photos]
    print("ready", flush=True)
    while True:
        for data, out in pairs:
            fastimg.decode(data, out=out, **options)


def measure(images, limit, options, seconds):
    """Return the shares of the stages of one route."""
    call = f"from benchmarks.shares import work; work({images!r}, {limit!r}, {options!r})"
    with (
        tempfile.NamedTemporaryFile() as data,
        subprocess.Popen([sys.executable, "-c", call], stdout=subprocess.PIPE) as process,
    ):
        try:
            if b"ready\n" not in iter(process.stdout.readline, b""):
                raise SystemExit("the process that decodes has failed")
            time.sleep(0.5)
            record = ["perf", "record", "-q", "-e", "cycles:u", "-o", data.name, "-p", str(process.pid)]
            subprocess.run([*record, "--", "sleep", str(seconds)], check=True)
        finally:
            process.kill()
        report = ["perf", "report", "-i", data.name, "--stdio", "-t", ";", "--sort", "dso,symbol"]
        done = subprocess.run(
            report, check=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
        )
    return shares(done.stdout)


def bench_shares(args):
    found = {
        route: measure(args.images, args.limit, options, args.seconds) for route, options in ROUTES.items()
    }
    for route, stages in found.items():
        print(f"\n{route}", *(f"{share:6.1f} %  {stage}" for stage, share in stages.items()), sep="\n")
    return found


def main(argv=None):
    own = {
        "seconds": {"type": common.positive_int, "default": 10, "help": "per route (default: %(default)s)"}
    }
    args = common.parse(argv, __doc__, "shares", "limit", **own)
    _, payload = common.begin(args, DECODERS[:1])
    _, payload["corpus"] = read_corpus(args.images, args.limit)
    return common.finish(args, payload, {"shares": bench_shares})


if __name__ == "__main__":
    main()
