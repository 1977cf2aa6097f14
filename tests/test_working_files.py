# SPDX-License-Identifier: BSD-3-Clause
"""Files that are made as a whole: killed at any moment, two processes at once, no locks.

FASTIMG_KILLS: how many processes are killed at random moments, a quarter of them per kind of file.
"""

import errno
import fcntl
import os
import random
import signal
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import kills
from support.cli_common import left, run

import fastimg
import fastimg.working_files as working_files
from fastimg.cli import main
from fastimg.working_files import new_file, write_whole

KILLS = int(os.environ.get("FASTIMG_KILLS", "20"))
RANDOM_KILLS = KILLS // 4


def make_array() -> None:
    fastimg.create_array("x", (3, 700, 501))


def make_index() -> None:
    fastimg.FileIndex.from_folder("photos").save("x")


def make_sheet() -> None:
    write_whole("x", bytes(100_000))


MAKERS: list[Callable[[], None]] = [make_array, make_index, make_sheet]
STEPS: list[tuple[Any, str]] = [
    *((os, name) for name in ("open", "fsync", "replace", "unlink", "posix_fallocate", "fstat", "lstat")),
    (fcntl, "flock"),
    (np.lib.format, "write_array_header_1_0"),
    (np, "savez"),
    (np, "memmap"),
]


def start(function: Callable[[], object], prepare: Callable[[], object] = lambda: None) -> int:
    """Call a function in a fork; returns its process id."""
    child = os.fork()
    if child:
        return child
    status = 99
    try:
        prepare()
        function()
        status = 0
    finally:
        os._exit(status)


@pytest.mark.parametrize("make", MAKERS)
@pytest.mark.parametrize("old", [None, b"old"])
def test_killed_at_every_step(here: Path, make: Callable[[], None], old: bytes | None) -> None:
    make()
    new = Path("x").read_bytes()
    killed = 0
    for step in range(0, 1000, 1 if KILLS > 100 else 3):
        Path("x").unlink()
        if old is not None:
            Path("x").write_bytes(old)
        status = kills.finish(start(make, kills.kill_at(step, STEPS)))
        found = Path("x").read_bytes() if os.path.exists("x") else None
        assert found in (old, new)
        if status != -signal.SIGKILL:
            break
        killed += 1
        assert left(here) in (["x"], ["x.fastimg.partial"], ["x", "x.fastimg.partial"], [])
        make()
        assert left(here) == ["x"]
    assert status == 0 and killed > (12 if KILLS > 100 else 4)
    assert left(here) == ["x"]


@pytest.mark.parametrize("make", MAKERS)
def test_killed_at_random_moments_one_after_another(here: Path, make: Callable[[], None]) -> None:
    rng = random.Random(3)
    make()
    new = Path("x").read_bytes()
    began = time.perf_counter()
    assert kills.finish(start(make)) == 0
    whole = time.perf_counter() - began
    killed = 0
    for _ in range(100 * KILLS):
        killed += kills.kill_after(start(make), rng.random() * whole) == -signal.SIGKILL
        assert Path("x").read_bytes() == new
        assert left(here) in (["x"], ["x", "x.fastimg.partial"])
        if killed == RANDOM_KILLS:
            break
    assert killed == RANDOM_KILLS
    make()
    assert left(here) == ["x"]


# ---- two at once


def test_a_file_that_is_being_made_is_not_removed(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(working_files, "WAIT_SECONDS", 0.1)
    with new_file("x", "x") as file:
        file.write(b"begun")
        file.flush()
        for make in MAKERS:
            with pytest.raises(BlockingIOError, match="another process is writing this file") as caught:
                make()
            assert caught.value.filename == "x"
        assert left(here) == ["x.fastimg.partial"]
        assert Path("x.fastimg.partial").read_bytes() == b"begun"
        file.write(b" and ended")
    assert left(here) == ["x"]
    assert Path("x").read_bytes() == b"begun and ended"


def test_who_waits_comes_last(here: Path) -> None:
    thread = threading.Thread(target=write_whole, args=("x", b"second"))
    with new_file("x", "x") as file:
        thread.start()
        time.sleep(0.05)
        file.write(b"first")
        assert thread.is_alive()
    thread.join(60)
    assert Path("x").read_bytes() == b"second"
    assert left(here) == ["x"]


@pytest.mark.parametrize("locks", [True, False])
def test_many_at_once(here: Path, monkeypatch: pytest.MonkeyPatch, locks: bool) -> None:
    """Each writes a file of its own length; what has the name is always the whole of one."""
    if not locks:
        refuse_locks(monkeypatch)
    wrong: list[object] = []

    def write(number: int) -> None:
        for length in range(number, 4000, 160):
            with new_file("x", "x") as file:
                for _ in range(length):
                    file.write(number.to_bytes(2, "little"))
            content = Path("x").read_bytes()
            if len(content) != 2 * (int.from_bytes(content[:2], "little") + (len(content) // 2 // 160) * 160):
                wrong.append(content)
            if len(set(zip(content[::2], content[1::2], strict=True))) > 1:
                wrong.append(content)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(1, 9)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert left(here) == ["x"]


def test_load_and_create_array_of_one_name(many: dict[str, bytes]) -> None:
    """Neither takes the other's unfinished file for its own, nor what a killed one has left."""
    assert kills.run_until(kills.LOAD, 4) == -signal.SIGKILL
    before = [Path(name).read_bytes() for name in kills.STATE]
    fastimg.create_array("x.npy", (12, 3, 16, 16))
    assert [Path(name).read_bytes() for name in kills.STATE] == before
    assert main(kills.LOAD) == 1
    kills.assert_finished(many)


def test_an_interruption_after_the_renaming(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """By then the name of the unfinished file may be another process's."""
    replace = os.replace

    def interrupted(source: str, target: str) -> None:
        replace(source, target)
        Path(source).write_bytes(b"another's")
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        write_whole("x", b"whole")
    assert Path("x.fastimg.partial").read_bytes() == b"another's"


# ---- other file systems and systems


def refuse_locks(monkeypatch: pytest.MonkeyPatch, code: int = errno.ENOLCK) -> None:
    def refuse(*args: Any) -> None:
        raise OSError(code, os.strerror(code))

    monkeypatch.setattr(fcntl, "flock", refuse)


@pytest.mark.parametrize("code", [errno.ENOLCK, errno.ENOSYS, errno.EOPNOTSUPP])
@pytest.mark.parametrize("make", MAKERS)
def test_without_locks_each_has_a_file_of_its_own(
    here: Path, monkeypatch: pytest.MonkeyPatch, make: Callable[[], None], code: int
) -> None:
    refuse_locks(monkeypatch, code)
    Path("x.fastimg.partial").write_bytes(b"maybe another's")
    with new_file("x", "x") as file:
        file.write(b"begun")
        assert len(left(here)) == 2
        make()
        assert len(left(here)) == 3
    assert left(here) == ["x", "x.fastimg.partial"]
    assert Path("x").read_bytes() == b"begun"
    assert Path("x.fastimg.partial").read_bytes() == b"maybe another's"


@pytest.mark.parametrize("kind", ["folder", "FIFO", "link", "dangling link"])
def test_an_unfinished_file_that_cannot_be_opened(here: Path, kind: str) -> None:
    name = "x.fastimg.partial"
    if kind == "folder":
        Path(name).mkdir()
    elif kind == "FIFO":
        os.mkfifo(name)
    else:
        Path("z").write_bytes(b"theirs") if kind == "link" else None
        Path(name).symlink_to("z")
    before = left(here)
    for make in MAKERS:
        make()
    assert left(here) == sorted([*before, "x"]) and Path("x").is_file()
    assert kind != "link" or Path("z").read_bytes() == b"theirs"


def test_what_one_cannot_remove_is_left(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Path("x.fastimg.partial").write_bytes(b"another user's, in a folder like /tmp")

    def refuse(*args: Any) -> None:
        raise PermissionError(errno.EPERM, os.strerror(errno.EPERM))

    monkeypatch.setattr(os, "unlink", refuse)
    write_whole("x", b"whole")
    assert Path("x").read_bytes() == b"whole"


ELSEWHERE = """
import os, signal, sys
for module in ("fcntl", "resource", "termios", "pwd", "grp"):
    sys.modules[module] = None
for name in ("O_NOFOLLOW", "O_NONBLOCK", "O_CLOEXEC", "fchmod", "posix_fallocate", "sched_getaffinity",
             "pread", "getuid", "geteuid"):
    vars(os).pop(name, None)
del signal.SIGHUP
import importlib, pkgutil
import fastimg, fastimg.cli
for module in pkgutil.walk_packages(fastimg.__path__, "fastimg."):
    if "torch" not in module.name and "__main__" not in module.name:
        importlib.import_module(module.name)
fastimg.create_array("x.npy", (3, 4))[:] = 7
fastimg.FileIndex.from_folder("photos").save("x.npz")
sys.exit(fastimg.cli.main(["load", "photos", "-o", "y.npy", "--resume"]))
"""


def test_a_system_without_posix(here: Path) -> None:
    done = run("-c", ELSEWHERE)
    assert done.returncode == 0, done.stderr
    assert done.stderr == (
        "fastimg: warning: no locks in this folder: let no other process write y.npy at the same time\n"
    )
    assert left(here) == ["x.npy", "x.npz", "y.files.csv", "y.npy"]


# ---- full disks


def test_a_full_disk_keeps_the_old_file(here: Path, small_disk: Path) -> None:
    path = str(small_disk / "x")
    write_whole(path, b"old")
    for size in (60_000, 100_000, 10_000_000):  # it is full at the end, or before
        with open(small_disk / "filler", "wb") as filler:
            filler.write(bytes(20_000))
        with pytest.raises(OSError) as caught:
            write_whole(path, bytes(size))
        assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, path)
        assert sorted(os.listdir(small_disk)) == ["filler", "x"]
        assert Path(path).read_bytes() == b"old"


def test_a_full_disk_under_an_index(here: Path, small_disk: Path) -> None:
    index = fastimg.FileIndex([f"photos/cat/{1 + i % 2}.jpg" for i in range(5000)])
    path = str(small_disk / "x.npz")
    index[:3].save(path)
    old = Path(path).read_bytes()
    with pytest.raises(OSError) as caught:
        index.save(path)
    assert (caught.value.errno, caught.value.filename) == (errno.ENOSPC, path)
    assert os.listdir(small_disk) == ["x.npz"]
    assert Path(path).read_bytes() == old


def test_an_error_without_a_number_keeps_its_words(here: Path) -> None:
    with pytest.raises(OSError, match="only words"), new_file("x", "x"):
        raise OSError("only words")
    assert left(here) == []
