# SPDX-License-Identifier: BSD-3-Clause
"""The two contestants of `stages`: processes that decode, and time themselves, when they are told to.

Which entropy stage is used is settled when fastimg is imported, so each needs a process of its own.
"""

from __future__ import annotations

import contextlib
import gc
import hashlib
import multiprocessing
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

import numpy as np

from benchmarks import _common as common

# What FASTIMG_ENTROPY says for each stage.
SETTINGS = {"fastimg": "", "stock": "stock"}

PAGE = 4096  # bytes


@dataclass(frozen=True)
class Task:
    """Files, the shape (C, H, W) that each becomes, how they are decoded, and how many make a block."""

    names: Sequence[str]
    files: Sequence[bytes]
    shapes: Sequence[tuple[int, int, int]]
    block: int
    options: Mapping[str, Any] = field(default_factory=dict)


# In the process of a contestant


class Decoder:
    """What a contestant can be asked for, by the name of the method."""

    def __init__(self) -> None:
        import fastimg

        self.fastimg = fastimg
        self.task = Task([], [], [], 1)
        self.outs: list[np.ndarray] = []

    def build(self) -> dict[str, Any]:
        return dict(self.fastimg.build_info())

    def take(self, task: Task) -> None:
        """Keep the files, and one buffer for all of them: allocated, and touched, once."""
        self.task = task
        sizes = [int(np.prod(shape)) for shape in task.shapes]
        buffer = np.ones(max(sizes) + PAGE, np.uint8)
        buffer = buffer[-buffer.ctypes.data % PAGE :]  # where it begins must not tell the contestants apart
        self.outs = [buffer[:size].reshape(shape) for size, shape in zip(sizes, task.shapes, strict=True)]

    def sums(self, background: int) -> list[str]:
        """Return a hash of each image, decoded over that background, which shows wherever nothing is written."""
        found = []
        for data, out in zip(self.task.files, self.outs, strict=True):
            out.fill(background)
            self.fastimg.decode(data, out=out, **self.task.options)
            found.append(hashlib.blake2b(out, digest_size=16).hexdigest())
        return found

    def seconds(self, block: int) -> float:
        """Return how long that block takes, in this process's time on any core.

        Decoding on one thread waits for nothing. Wall time would count also what others do on the same core.
        """
        decode, options = self.fastimg.decode, self.task.options
        own = slice(block * self.task.block, (block + 1) * self.task.block)
        pairs = list(zip(self.task.files[own], self.outs[own], strict=True))
        start = time.process_time()
        for data, out in pairs:
            decode(data, out=out, **options)
        return time.process_time() - start


def share_cpu() -> None:
    """Keep to the last CPU that this process may use, where the system lets us choose.

    Two CPUs are seldom as fast as each other while somebody else uses the machine: with a contestant on each, ratios
    were anything from half to twice what they are on one.
    """
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})


def child(pipe: Connection, setting: str) -> None:
    """Answer (method, arguments) with what the method returns, or the exception, until the pipe is closed."""
    os.environ["FASTIMG_ENTROPY"] = setting
    share_cpu()
    decoder = Decoder()
    gc.disable()  # as timeit does
    with contextlib.suppress(EOFError):
        while True:
            method, arguments = pipe.recv()
            try:
                answer = getattr(decoder, method)(*arguments)
            except Exception as error:
                answer = error
            pipe.send(answer)


# From outside


class Contestant:
    """A process that decodes with one entropy stage; `busy` is the time that its blocks took so far."""

    def __init__(self, stage: str) -> None:
        self.stage = stage
        self.busy = 0.0
        context = multiprocessing.get_context("spawn")  # a forked child would have imported fastimg already
        self.pipe, theirs = context.Pipe()
        self.process = context.Process(target=child, args=(theirs, SETTINGS[stage]), daemon=True)
        self.process.start()
        theirs.close()  # so that recv raises EOFError, instead of waiting, if the child dies

    def ask(self, method: str, *arguments: object) -> Any:
        """Return the answer of that method of `Decoder`; raise the exception, if it raised one."""
        try:
            self.pipe.send((method, arguments))
            answer = self.pipe.recv()
        except (EOFError, OSError):
            self.process.join()
            raise SystemExit(
                f"the process for stage {self.stage!r} ended with {self.process.exitcode}"
            ) from None
        if isinstance(answer, Exception):
            raise answer
        return answer

    def build(self) -> dict[str, Any]:
        """Return fastimg's build information there; SystemExit if it uses another stage."""
        build: dict[str, Any] = self.ask("build")
        if build["entropy"] != self.stage:
            raise SystemExit(
                f"expected a process with entropy stage {self.stage!r}, got {build['entropy']!r}"
            )
        return build

    def run(self, block: int) -> None:
        self.busy += self.ask("seconds", block)

    def close(self) -> None:
        self.pipe.close()
        self.process.join()


@contextlib.contextmanager
def contestants(stages: Mapping[str, str]) -> Iterator[dict[str, Contestant]]:
    """Yield {name: a process with that stage}; SystemExit unless each uses the stage that it should."""
    with contextlib.ExitStack() as stack:
        found = {}
        for name, stage in stages.items():
            found[name] = Contestant(stage)
            stack.callback(found[name].close)
        for one in found.values():
            one.build()
        yield found


def verify(pair: Mapping[str, Contestant], names: Sequence[str]) -> None:
    """Raise SystemExit unless all contestants get the same pixels from each of the files that they hold.

    Each decodes over another background, so that a pixel that none of them writes is a difference, too.
    """
    first, *others = pair
    expected = pair[first].ask("sums", 0)
    for i, name in enumerate(others):
        sums = pair[name].ask("sums", 255 - i)
        for file, wanted, got in zip(names, expected, sums, strict=True):
            if got != wanted:
                raise SystemExit(f"{file}: the pixels of {name} differ from those of {first}")


def measure(pair: Mapping[str, Contestant], task: Task, rounds: int, desc: str) -> dict[str, Any]:
    """Return sizes, milliseconds an image, and how many times as fast the first contestant is as the second."""
    for one in pair.values():
        one.ask("take", task)
    verify(pair, task.names)
    count = len(task.files)
    blocks = -(-count // task.block)
    # The clock stands still but for what the contestants themselves tell of their blocks.
    seconds = common.interleave(
        {name: one.run for name, one in pair.items()},
        blocks,
        rounds,
        lambda: sum(one.busy for one in pair.values()),
        desc,
    )
    first, second = seconds.values()
    nbytes = sum(map(len, task.files))
    pixels = sum(height * width for _, height, width in task.shapes)
    return {
        "images": count,
        "bytes_a_pixel": nbytes / pixels,
        "ms": {name: float(np.median(s.sum(axis=1))) * 1e3 / count for name, s in seconds.items()},
        "ratio": common.ratio(second, first),
        "quartiles": np.quantile(second / first, [0.25, 0.75]).tolist(),
        "round_seconds": {name: s.sum(axis=1).tolist() for name, s in seconds.items()},
    }
