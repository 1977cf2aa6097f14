# SPDX-License-Identifier: BSD-3-Clause
"""Runs of `fastimg load --resume`, and processes that end before it does."""

import contextlib
import os
import signal
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

import fastimg.cli.resume as resume
from fastimg.cli import main
from fastimg.cli.journal import Journal
from support.cli_common import encoded, left

COUNT = 12
LOAD = ["load", "many", "-o", "x.npy", "--labels", "--size", "16", "--resume"]
OUTPUTS = ("x.npy", "x.files.csv", "x.labels.npy", "x.classes.txt")
STATE = ["x.npy.journal", "x.npy.partial"]

both_runs = pytest.mark.parametrize("arguments", [LOAD, LOAD[:-1]], ids=["resume", "anew"])


def write_many() -> dict[str, bytes]:
    """Make the folder "many" of 12 images in two classes, the fifth broken; returns what an undisturbed run writes."""
    for i in range(COUNT):
        path = Path(f"many/{'cat' if i < 9 else 'dog'}/{i:02d}.jpg")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(i, (20 + i, 30)) if i != 4 else b"broken")
    assert main(LOAD[:-1]) == 1
    written = {name: Path(name).read_bytes() for name in OUTPUTS}
    remove_outputs()
    return written


def remove_outputs() -> None:
    for name in OUTPUTS:
        Path(name).unlink(missing_ok=True)


def others() -> list[str]:
    """What there is besides the images and what `kills.start` writes."""
    return [name for name in left(Path()) if name not in ("many", "said")]


def assert_finished(written: dict[str, bytes]) -> None:
    assert others() == sorted(OUTPUTS)
    for name in OUTPUTS:
        assert Path(name).read_bytes() == written[name], name


def assert_whole_or_absent(written: dict[str, bytes], old: bytes | None = None) -> None:
    found = Path("x.npy").read_bytes() if os.path.exists("x.npy") else None
    assert found in (old, written["x.npy"])


def spoil(path: str | Path) -> None:
    """Replace what a file holds, and nothing that its folder says of it."""
    state = os.stat(path)
    Path(path).write_bytes(bytes(state.st_size))
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))


def start(arguments: Sequence[str], prepare: Callable[[], object] = lambda: None) -> int:
    """Start the command in a fork, which needs no time to import; returns its process id.

    A row or two at a time is decoded, and each is recorded. What is printed goes into the file "said". SIGHUP ends the
    process, also if nohup has started the tests.
    """
    child = os.fork()
    if child:
        return child
    status = 99
    try:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
        sys.stdout = sys.stderr = open("said", "w")  # noqa: SIM115 - until it exits
        resume.CHECKPOINT_SECONDS = 0
        resume.FIRST_ROWS = 1
        prepare()
        status = main([*arguments, "--num-threads", "1"])
    except SystemExit as error:
        status = int(error.code or 0)
    finally:
        sys.stdout.flush()
        os._exit(status)


def finish(child: int) -> int:
    """Wait for a process; returns its exit status, or minus the signal that ended it."""
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def start_until(arguments: Sequence[str], checkpoints: int) -> int:
    """Start the command, and wait until it has recorded rows as finished some times, or has ended; returns its id."""
    reads, writes = os.pipe()

    def prepare() -> None:
        add = Journal.add_finished

        def tell(journal: Journal, ranges: Any) -> None:
            add(journal, ranges)
            with contextlib.suppress(BrokenPipeError):  # nobody waits any longer
                os.write(writes, b".")

        Journal.add_finished = tell  # type: ignore[method-assign]

    with os.fdopen(reads, "rb", 0) as told:
        child = start(arguments, prepare)
        os.close(writes)
        while checkpoints and told.read(1):
            checkpoints -= 1
        return child


def kill_after(child: int, seconds: float) -> int:
    """Kill a process after a time, unless it has ended before; returns its status like `finish`."""
    time.sleep(seconds)
    os.kill(child, signal.SIGKILL)  # still there, as a zombie at least
    return finish(child)


def run_until(arguments: Sequence[str], checkpoints: int, number: int | None = None) -> int:
    """Run the command until it has recorded rows as finished some times, then send it SIGKILL or another signal.

    Returns its status.
    """

    def prepare() -> None:
        add = Journal.add_finished
        left = checkpoints

        def count(journal: Journal, ranges: Any) -> None:
            nonlocal left
            add(journal, ranges)
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL if number is None else number)

        Journal.add_finished = count  # type: ignore[method-assign]

    return finish(start(arguments, prepare))


def kill_at(step: int, owners: Sequence[tuple[Any, str]]) -> Callable[[], None]:
    """Returns what makes a process be killed at this step: one is before, one after each call of these functions."""

    def prepare() -> None:
        left = step

        def wrap(function: Callable[..., Any]) -> Callable[..., Any]:
            def wrapped(*args: Any, **options: Any) -> Any:
                tick()
                result = function(*args, **options)
                tick()
                return result

            return wrapped

        def tick() -> None:
            nonlocal left
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            left -= 1

        for owner, name in owners:
            if hasattr(owner, name):  # macOS has no posix_fallocate
                setattr(owner, name, wrap(getattr(owner, name)))

    return prepare
