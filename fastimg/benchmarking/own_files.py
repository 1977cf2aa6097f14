# SPDX-License-Identifier: BSD-3-Clause
"""How fast a user's own files can be loaded on this machine."""

from __future__ import annotations

import functools
import os
import sys
import time
from collections import Counter
from collections.abc import Callable, Hashable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fastimg.archives.readers import MemberReader
from fastimg.benchmarking.advice import fewest_threads
from fastimg.benchmarking.peers import DECODERS, available, first_line
from fastimg.benchmarking.resizers import MAIN
from fastimg.benchmarking.timing import Seconds, compare, interleave, ratio, slices
from fastimg.decoding import decode
from fastimg.header import Header, read_headers
from fastimg.loading import load
from fastimg.sources import FileRange, ReaderItem
from fastimg.threads import default_num_threads
from fastimg.wording import counted

READERS = (0, None, 4, 16, 64)
SIZES = (64, 128, 224, 256, 384, 512)
GAPS = (1.0, 2.0, 3.0, None)

_LEAST_ROUNDS, _MOST_ROUNDS = 3, 25
_BLOCKS = 4  # parts of the files, with which the contestants take turns
_FEWEST = 32  # images in a round; a few files are taken again and again
_FLOOR = 20.0  # dB on average, below which a peer's image is not the same picture

Source = str | FileRange | ReaderItem
Job = Callable[[Sequence[Source], npt.NDArray[np.uint8]], object]


class Corpus(NamedTuple):
    """Files that can be measured.

    Attributes
    ----------
    sources : list of Source
        The good ones of those that were looked at.
    headers : list of Header
    listed, tried : int
        How many files there are, and how many of them were looked at.
    broken : list of Exception
        Why others are left out.
    """

    sources: list[Source]
    headers: list[Header]
    listed: int
    tried: int
    broken: list[Exception]

    def facts(self) -> dict[str, Any]:
        """Figures of the files."""
        count = len(self.headers)
        return {
            "listed": self.listed,
            "tried": self.tried,
            "broken": len(self.broken),
            "kilobytes": sum(header.nbytes for header in self.headers) / count / 1e3,
            "megapixels": sum(header.width * header.height for header in self.headers) / count / 1e6,
            "progressive": sum(header.progressive for header in self.headers),
            "sizes": dict(Counter(f"{h.width} x {h.height}" for h in self.headers).most_common(3)),
        }


class Plan(NamedTuple):
    """How to measure.

    Attributes
    ----------
    size : int
        The height and width that images are loaded to.
    threads : list of int
    seconds : float
        For all tables, about.
    cold : bool
        Whether the system is asked to forget the files before each load.
    bar : bool
    """

    size: int
    threads: list[int]
    seconds: float
    cold: bool
    bar: bool


def look_at(sources: Sequence[Source], most: int, size: int) -> Corpus:
    """Choose files, spread evenly over all, and decode each once.

    Parameters
    ----------
    sources : sequence of Source
        Not empty.
    most : int
        How many are looked at.
    size : int
        As in `Plan`.

    Raises
    ------
    ValueError
        None of them is good.
    """
    count = min(len(sources), most)
    chosen = [sources[i * len(sources) // count] for i in range(count)]
    broken: list[Any] = []
    load(chosen, size=size, on_error=broken.append)
    bad = {error.index for error in broken}
    good = [source for i, source in enumerate(chosen) if i not in bad]
    if not good:
        raise ValueError(f"none of {counted(count, 'file')} can be loaded; the first: {broken[0]}")
    return Corpus(good, read_headers(good), len(sources), count, broken)


def thread_counts() -> list[int]:
    """Return 1, 2, 4 and so on to the CPUs that this process may use, and those."""
    most = default_num_threads()
    return sorted({*(2**i for i in range(most.bit_length())), most})


def forget(sources: Sequence[Source]) -> None:
    """Ask the system to drop files from its cache; it keeps what others use."""
    for path in {_path_of(source) for source in sources}:
        descriptor = os.open(path, os.O_RDONLY)
        try:
            if sys.platform != "win32" and sys.platform != "darwin":  # fastimg.cli.bench says so
                os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)
        finally:
            os.close(descriptor)


def _path_of(source: Source) -> str:
    if isinstance(source, ReaderItem):
        reader: MemberReader = source.reader
        return reader.path
    return source if isinstance(source, str) else os.fsdecode(source.path)


class Bench:
    """Measures, table by table.

    Parameters
    ----------
    corpus : Corpus
    plan : Plan
    """

    def __init__(self, corpus: Corpus, plan: Plan) -> None:
        self.corpus = corpus
        self.plan = plan
        self.best_threads = max(plan.threads)
        self._tables = 5

    def measure(self) -> dict[str, dict[Any, dict[str, Any]]]:
        """Return {table: {row: figures}}: threads, readers, decoders, sizes and gaps."""
        found = {"threads": self.threads()}
        self.best_threads = fewest_threads(found["threads"])
        found["readers"] = self.readers()
        found["decoders"] = self.decoders()
        found["sizes"] = self.sizes()
        found["gaps"] = self.gaps()
        return found

    def threads(self) -> dict[Any, dict[str, Any]]:
        """How the speed grows with the number of threads."""
        first = min(self.plan.threads)
        return self._rates("threads", {n: self._load(num_threads=n) for n in self.plan.threads}, first)

    def readers(self) -> dict[Any, dict[str, Any]]:
        """What reading ahead brings on this storage; None is the default."""
        jobs = {n: self._load(num_threads=self.best_threads, read_threads=n) for n in READERS}
        return self._rates("readers", jobs, None)

    def sizes(self) -> dict[Any, dict[str, Any]]:
        """How the speed depends on the size; 0 is that of the files."""
        jobs = {
            size: self._load(num_threads=self.best_threads, size=size) for size in {*SIZES, self.plan.size}
        }
        jobs = dict(sorted(jobs.items()))
        jobs[0] = self._whole(decode, self.best_threads)
        return self._rates("sizes", jobs, self.plan.size)

    def gaps(self) -> dict[Any, dict[str, Any]]:
        """What `reducing_gap` costs."""
        jobs = {gap: self._load(num_threads=self.best_threads, reducing_gap=gap) for gap in GAPS}
        return self._rates("reducing_gap", jobs, 2.0)

    def decoders(self) -> dict[Any, dict[str, Any]]:
        """What other libraries do with the same files on one thread, at `size` and at the size of the files."""
        # Not all libraries know what to do with others: cv2.imread crashes if UTF-8 cannot encode a name.
        plain = [
            source
            for source, header in zip(self.corpus.sources, self.corpus.headers, strict=True)
            if isinstance(source, str)
            and source.isprintable()
            and header.orientation == 1
            and header.components in (1, 3)
        ]
        rows: dict[Any, dict[str, Any]] = {}
        if not plain:
            return {"others": {"reason": "there is no plain file for them"}}
        jobs: dict[Hashable, Job] = {}
        for kinds, form in (
            (MAIN, f"to {self.plan.size} x {self.plan.size}"),
            (DECODERS, "as large as the file"),
        ):
            peers, missing = available(kinds)
            for name, reason in missing.items():
                rows[f"{name}, {form}"] = {"reason": reason, "group": form, "name": name}
            for peer in peers:
                key = f"{peer.name}, {form}"
                rows[key] = {"group": form, "name": peer.name}
                try:
                    if kinds is MAIN:
                        self._compare_pixels(peer, plain[:8])
                        jobs[key] = functools.partial(_load_with, peer)
                    else:
                        jobs[key] = self._whole(peer.read_into, 1)
                        jobs[key](plain[:2], np.empty(0, np.uint8))
                except Exception as error:  # whatever a library raises: the others are still of interest
                    jobs.pop(key, None)
                    rows[key]["reason"] = first_line(error)
        for group in dict.fromkeys(row["group"] for row in rows.values()):
            some = {
                key: _until_it_fails(job, rows[key])
                for key, job in jobs.items()
                if rows[key]["group"] == group
            }
            timed = self._rates("decoders", some, f"fastimg, {group}", plain, share=0.5)
            for key, row in timed.items():
                if "reason" not in rows[key]:
                    rows[key] |= row
        return dict(
            sorted(rows.items(), key=lambda item: (item[1]["group"][0] != "t", -item[1].get("rate", 0)))
        )

    def _compare_pixels(self, peer: Any, sources: Sequence[Source]) -> None:
        shape = (len(sources), 3, self.plan.size, self.plan.size)
        expected, out = np.zeros(shape, np.uint8), np.zeros(shape, np.uint8)
        load(sources, expected, size=self.plan.size)
        peer.load(sources, out, 1)
        errors = np.square(expected.astype(np.float32) - out).reshape(len(sources), -1).mean(axis=1)
        level = float(np.mean(10 * np.log10(255**2 / np.maximum(errors, 0.01))))
        if level < (_FLOOR if peer.antialiased else _FLOOR - 6):
            raise ValueError(f"its pixels are others than fastimg's: {level:.1f} dB")

    def _load(self, **options: Any) -> Job:
        options.setdefault("size", self.plan.size)

        def job(sources: Sequence[Source], out: npt.NDArray[np.uint8]) -> None:
            side = options["size"]
            room = out.reshape(-1)[: len(sources) * 3 * side * side].reshape(len(sources), 3, side, side)
            load(sources, room, **options)

        return job

    def _whole(self, decode: Callable[[Any, Any], object], num_threads: int) -> Job:
        """Decode at the size of the files, each into memory that is touched and used again."""
        shapes = dict(zip(map(str, self.corpus.sources), [h.shape for h in self.corpus.headers], strict=True))
        room = np.ones(max(map(np.prod, shapes.values())) * num_threads, np.uint8)
        length = len(room) // num_threads

        def some(thread: int, sources: Sequence[Source]) -> None:
            for source in sources[thread::num_threads]:
                shape = shapes[str(source)]
                decode(source, room[thread * length :][: int(np.prod(shape))].reshape(shape))

        def job(sources: Sequence[Source], out: npt.NDArray[np.uint8]) -> None:
            if num_threads == 1:
                some(0, sources)
                return
            from concurrent.futures import ThreadPoolExecutor

            with ThreadPoolExecutor(num_threads) as pool:
                list(pool.map(some, range(num_threads), [sources] * num_threads))

        return job

    def _rates(
        self,
        desc: str,
        jobs: dict[Any, Job],
        subject: Any,
        sources: Sequence[Source] | None = None,
        share: float = 1.0,
    ) -> dict[Any, dict[str, Any]]:
        """Time jobs; "times" is how many times as fast `subject` is, "ratio" the other way round."""
        if not jobs:
            return {}
        sources = list(self.corpus.sources if sources is None else sources)
        if not self.plan.cold:  # else a file would be in the cache the second time
            sources *= -(-_FEWEST // len(sources))
        rng = np.random.default_rng(0)
        sources = [sources[i] for i in rng.permutation(len(sources))]
        budget = share * self.plan.seconds / self._tables
        side = max(*SIZES, self.plan.size) if desc == "sizes" else self.plan.size
        probe = sources[: max(8, self.best_threads)]
        out = np.ones((len(probe), 3, side, side), np.uint8)
        each = sum(self._time(job, probe, out) for job in jobs.values()) / len(
            probe
        )  # seconds per file of all jobs
        count = int(min(len(sources), max(_FEWEST, budget / _LEAST_ROUNDS / each)))
        rounds = int(
            np.clip(budget / (count * each), 1 if each * count > budget else _LEAST_ROUNDS, _MOST_ROUNDS)
        )
        sources = sources[:count]
        out = np.ones((-(-count // _BLOCKS), 3, side, side), np.uint8)
        parts = slices(count, -(-count // _BLOCKS))
        timed: Seconds[Any] = interleave(
            {name: self._job(job, [sources[part] for part in parts], out) for name, job in jobs.items()},
            len(parts),
            rounds,
            desc,
            self.plan.bar,
            False,
        )
        found = compare(timed, count, {name: {} for name in jobs}, subject)
        for name, row in found.items():
            row |= {"images": count, "rounds": rounds}
            if subject in timed:
                row["ratio"] = ratio(timed[subject], timed[name])
                row["ratio low"] = float(np.quantile(timed[subject] / timed[name], 0.25))
        return {name: found[name] for name in jobs}

    def _job(self, job: Job, parts: list[list[Source]], out: npt.NDArray[np.uint8]) -> Callable[[int], float]:
        return lambda block: self._time(job, parts[block], out)

    def _time(self, job: Job, sources: Sequence[Source], out: npt.NDArray[np.uint8]) -> float:
        if self.plan.cold:
            forget(sources)
        start = time.perf_counter()
        job(sources, out[: len(sources)])
        return time.perf_counter() - start


def _until_it_fails(job: Job, row: dict[str, Any]) -> Job:
    """Do the job until a file makes it raise: from then on the row has a reason, and nothing is done."""

    def guarded(sources: Sequence[Source], out: npt.NDArray[np.uint8]) -> None:
        try:
            if "reason" not in row:
                job(sources, out)
        except Exception as error:  # as above
            row["reason"] = first_line(error)

    return guarded


def _load_with(peer: Any, sources: Sequence[Source], out: npt.NDArray[np.uint8]) -> None:
    peer.load(sources, out, 1)
