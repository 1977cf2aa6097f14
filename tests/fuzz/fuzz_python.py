# SPDX-License-Identifier: BSD-3-Clause
"""Fuzzes what Python parses, and the Python API: python tests/fuzz/fuzz_python.py [TARGET] [OPTIONS | FILES].

Inputs are made of the targets' seeds, and of inputs that ended in an error of a new kind. A finding is an exception
that is not documented, a result that cannot be, any output, a crash, or more time or memory than LONGEST_S and
MOST_NBYTES. Its input is kept, and is replayed if it is given as a file. The same seed gives the same inputs.

It needs no package, and no build of its own: Hypothesis makes values, not damaged files, and Atheris, which follows
coverage, is not there for each Python that fastimg runs on.
"""

import argparse
import contextlib
import faulthandler
import hashlib
import itertools
import mmap
import os
import random
import re
import resource
import subprocess
import sys
import tempfile
import time
import traceback
import warnings
from pathlib import Path

from python_targets import PREFIX_NBYTES, TARGETS, Choices, Target

FOUND = 77  # the exit status after a finding
FAST = "/dev/shm"  # a file system in memory, where there is one
MOST_ADDRESSES = 8 << 30
LONGEST_S = 1.0  # of CPU time, for one input
HANGS_S = 60  # of a call that does not return
MOST_NBYTES = 256 << 20  # more than before the first input
LONGEST_INPUT = 1 << 16
MOST_KEPT = 2000  # inputs
DIGITS = re.compile(r"[0-9]+|'[^']*'|b'.*")


def parse_arguments(targets):
    parser = argparse.ArgumentParser(description="Fuzz what Python parses.")
    parser.add_argument("target", nargs="?", choices=[*targets, "all"], default="all")
    parser.add_argument("files", nargs="*", help="inputs to replay, in place of new ones")
    parser.add_argument("--seconds", type=float, default=60, help="for each target")
    parser.add_argument("--runs", type=int, help="inputs for each target, in place of a time")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--findings", default=".", help="the folder for inputs of findings")
    parser.add_argument("--under-way", help=argparse.SUPPRESS)  # a file that the child writes each input into
    return parser.parse_args()


class Inputs:
    """Seeds, and inputs whose outcome was new."""

    def __init__(self, target, seeds, rng):
        self._target, self._rng = target, rng
        self._seeds, self._found, self.outcomes = seeds, [], set()

    def next(self):
        """What decides all that is done: a prefix and data."""
        rng = self._rng
        known = self._found if self._found and rng.random() < 0.5 else self._seeds
        data = self._target.mutate(rng, rng.choice(known), self._seeds)[:LONGEST_INPUT]
        return rng.randbytes(PREFIX_NBYTES) + data

    def add(self, given, outcome):
        if outcome not in self.outcomes and len(self._found) < MOST_KEPT:
            self.outcomes.add(outcome)
            self._found.append(given[PREFIX_NBYTES:])


@contextlib.contextmanager
def output_into(file):
    """Whatever is written to the two descriptors goes there."""
    kept = [os.dup(1), os.dup(2)]
    os.dup2(file.fileno(), 1)
    os.dup2(file.fileno(), 2)
    try:
        yield
    finally:
        for number, descriptor in enumerate(kept, 1):
            os.dup2(descriptor, number)
            os.close(descriptor)


def run(target: Target, given, folder, output):
    """Run one input; returns what came of it, and what is wrong with that or None. `output` gets all that it writes."""
    outcome, begun = None, time.process_time()
    try:
        with output_into(output):
            came = target.run(Choices(given[:PREFIX_NBYTES]), given[PREFIX_NBYTES:], folder)
        outcome = f"{type(came)} {DIGITS.sub('#', str(came))}"
    except Exception:
        return outcome, traceback.format_exc()
    seconds = time.process_time() - begun
    if seconds > LONGEST_S:
        return outcome, f"it took {seconds:.1f} seconds"
    if os.fstat(output.fileno()).st_size:
        output.seek(0)
        return outcome, f"it wrote {output.read()[:1000]!r}"
    return outcome, None


def resident_nbytes():
    """The most memory that the process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1 if sys.platform == "darwin" else 1024)


def new_inputs(target, folder, args, statistics):
    inputs = Inputs(target, target.seeds(folder), random.Random(args.seed))
    end = time.monotonic() + args.seconds
    for count in itertools.count():
        if (count >= args.runs) if args.runs is not None else time.monotonic() > end:
            break
        given = inputs.next()
        outcome = yield given
        inputs.add(given, outcome)
    statistics["outcomes"] = len(inputs.outcomes)


def fuzz(name, args, under_way):
    """Run inputs of a target until there is a finding; returns whether there was none."""
    target, begun, nbytes, count = TARGETS[name], time.monotonic(), 0, 0
    statistics = {}
    with (
        tempfile.TemporaryDirectory(dir=FAST if os.access(FAST, os.W_OK) else None) as folder,
        tempfile.TemporaryFile() as output,
    ):
        generator = new_inputs(target, Path(folder), args, statistics)
        given = next(generator, None)
        while given is not None:
            if count % 256 == 0:
                faulthandler.dump_traceback_later(HANGS_S, exit=True)
            under_way[:8] = len(given).to_bytes(8, "little")
            under_way[8 : 8 + len(given)] = given
            outcome, wrong = run(target, given, Path(folder), output)
            count += 1
            if count == 1000:
                nbytes = resident_nbytes()
            if count % 1000 == 0 and resident_nbytes() > nbytes + MOST_NBYTES:
                wrong = wrong or f"it, or one of 1000 before it, takes {resident_nbytes() - nbytes} bytes"
            if wrong:
                print(f"{name}, input {count}: {wrong}\nIts input: {keep(name, given, args.findings)}")
                return False
            try:
                given = generator.send(outcome)
            except StopIteration:
                break
    faulthandler.cancel_dump_traceback_later()
    seconds = time.monotonic() - begun
    print(
        f"{name}: {count} inputs, {count / seconds:.0f}/s, {statistics['outcomes']} kinds of outcome, 0 findings",
        flush=True,
    )
    return True


def keep(name, given, folder):
    path = Path(folder, f"{name}-{hashlib.sha1(given).hexdigest()}")
    path.write_bytes(given)
    return path


def replay(name, files):
    target = TARGETS[name]
    fine = True
    for path in files:
        with tempfile.TemporaryDirectory() as folder, tempfile.TemporaryFile() as output:
            target.seeds(Path(folder))
            outcome, wrong = run(target, Path(path).read_bytes(), Path(folder), output)
        print(f"{path}: {wrong or outcome}")
        fine = fine and not wrong
    return fine


def in_child(args):
    """Run this program again, so that the input that ends it is known."""
    with tempfile.NamedTemporaryFile() as file:
        file.truncate(8 + PREFIX_NBYTES + LONGEST_INPUT)
        status = subprocess.run([sys.executable, *sys.argv, "--under-way", file.name]).returncode
        content = file.read()
    if status not in (0, FOUND):
        given = content[8 : 8 + int.from_bytes(content[:8], "little")]
        print(f"ended with status {status}. Its input: {keep('crash', given, args.findings)}")
    return status


def main():
    args = parse_arguments(TARGETS)
    if args.files:
        return 0 if replay(args.target, args.files) else FOUND
    if not args.under_way:
        return in_child(args)
    if "san.so" not in os.environ.get("LD_PRELOAD", ""):  # a sanitizer reserves terabytes
        resource.setrlimit(resource.RLIMIT_AS, (MOST_ADDRESSES, MOST_ADDRESSES))
    faulthandler.enable()
    warnings.simplefilter("error")
    warnings.simplefilter("ignore", UserWarning)  # documented ones
    with open(args.under_way, "r+b") as file, mmap.mmap(file.fileno(), 0) as under_way:
        names = TARGETS if args.target == "all" else [args.target]
        return FOUND if [name for name in names if not fuzz(name, args, under_way)] else 0


if __name__ == "__main__":
    sys.exit(main())
