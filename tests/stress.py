# SPDX-License-Identifier: BSD-3-Clause
"""Threads that do everything at once, each result compared with that of a single thread.

    python -m tests.stress --threads 8 --decodes 10000

Each thread decodes so many images, by calls that it draws: each option, damaged and good files, lists, views, headers,
other formats, archives, and accessors and iterators that all of them share, some closed or cancelled meanwhile. Another
thread collects garbage and changes the default number of threads all the while.
"""

import argparse
import collections
import contextlib
import gc
import os
import pathlib
import random
import sys
import tempfile
import threading
import time
import warnings

if __package__:  # as a program; pytest has put this folder into the path
    sys.path.insert(0, str(pathlib.Path(__file__).parent))

from support.stress_work import Work, outcome

#: How often threads take turns, in seconds: more often than by default, 0.005.
SWITCH_SECONDS = 1e-4


class Stress:
    """One run.

    Parameters
    ----------
    work : Work
    threads, decodes : int
        How many threads decode, and how many images each.
    seed : int

    Attributes
    ----------
    counts : Counter
        How many images were decoded by calls of each name.
    wrong : list of str
        Results that were not as expected.
    """

    def __init__(self, work: Work, threads: int, decodes: int, seed: int = 0) -> None:
        self.work = work
        self.counts: collections.Counter[str] = collections.Counter()
        self.wrong: list[str] = []
        self._threads, self._decodes, self._seed = threads, decodes, seed
        self._lock = threading.Lock()
        self._stop = threading.Event()
        self._expected = [outcome(call) if call.exact else "None" for call in work.calls]

    def run(self) -> None:
        """Runs all threads to the end."""
        start = threading.Barrier(self._threads)
        threads = [threading.Thread(target=self._decode, args=(i, start)) for i in range(self._threads)]
        disturber = threading.Thread(target=self._disturb)
        disturber.start()
        try:
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
        finally:
            self._stop.set()
            disturber.join()
            self.work.stream.close()

    def _decode(self, number: int, start: threading.Barrier) -> None:
        rng = random.Random(f"{self._seed} {number}")
        counts: collections.Counter[str] = collections.Counter()
        done = 0
        start.wait()
        # One call of each name in turn, so that none is rare because its images are few.
        names = sorted({call.name for call in self.work.calls})
        kinds = {name: [i for i, call in enumerate(self.work.calls) if call.name == name] for name in names}
        while done < self._decodes and not self.wrong:
            rng.shuffle(names)
            for name in (*names, *["decode"] * 40):
                i = rng.choice(kinds[name])
                self._check(i)
                done += self.work.calls[i].images
                counts[name] += self.work.calls[i].images
                if done >= self._decodes:
                    break
        with self._lock:
            self.counts += counts

    def _check(self, i: int) -> None:
        call = self.work.calls[i]
        try:
            found = outcome(call)
        except BaseException as error:
            found = repr(error)
        if found != self._expected[i]:
            self.wrong.append(f"{call.name}: expected {self._expected[i]}, found {found}")

    def _disturb(self) -> None:
        rng = random.Random(self._seed)
        while not self._stop.wait(0.01):
            os.environ["FASTIMG_NUM_THREADS"] = str(rng.randint(1, 3))
            gc.collect(rng.randint(0, 2))


@contextlib.contextmanager
def surroundings():
    """What a run needs of the process; all is as before after it."""
    before, interval = os.environ.get("FASTIMG_NUM_THREADS"), sys.getswitchinterval()
    os.environ["FASTIMG_NUM_THREADS"] = "2"
    sys.setswitchinterval(SWITCH_SECONDS)
    try:
        with warnings.catch_warnings(), tempfile.TemporaryDirectory() as folder:
            warnings.simplefilter("ignore")  # of images that failed
            yield pathlib.Path(folder)
    finally:
        sys.setswitchinterval(interval)
        del os.environ["FASTIMG_NUM_THREADS"]
        if before is not None:
            os.environ["FASTIMG_NUM_THREADS"] = before


def main(arguments=None):
    """The command; returns its exit status."""
    parser = argparse.ArgumentParser(prog="python -m tests.stress", description=__doc__.splitlines()[0])
    parser.add_argument("--threads", type=int, default=8, help="default: 8")
    parser.add_argument("--decodes", type=int, default=10000, help="images per thread; default: 10000")
    parser.add_argument("--seed", type=int, default=0, help="default: 0")
    given = parser.parse_args(arguments)
    with surroundings() as folder:
        stress = Stress(Work(folder), given.threads, given.decodes, given.seed)
        start = time.perf_counter()
        stress.run()
        seconds = time.perf_counter() - start
    for name, count in sorted(stress.counts.items()):
        print(f"{count:9,}  {name}")
    gil = getattr(sys, "_is_gil_enabled", lambda: True)()
    print(f"{stress.counts.total():9,}  images in {seconds:.1f} s, {given.threads} threads, GIL {gil}")
    print("\n".join(stress.wrong) if stress.wrong else "every result was as expected")
    return 1 if stress.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
