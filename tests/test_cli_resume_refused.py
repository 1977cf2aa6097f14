# SPDX-License-Identifier: BSD-3-Clause
"""`fastimg load --resume`: what is not taken up, and not replaced."""

import errno
import fcntl
import os
import signal
from pathlib import Path
from typing import Any

import pytest
from support import kills
from support.cli_common import encoded, left
from support.kills import (
    LOAD,
    STATE,
    assert_finished,
    both_runs,
    others,
)

import fastimg
import fastimg.working_files as working_files
from fastimg.cli import main
from fastimg.cli.journal import Journal, Plan
from fastimg.options import DEFAULTS


def add(path: str) -> None:
    Path(path).write_bytes(encoded(50))


def grow(path: str) -> None:
    state = os.stat(path)
    with open(path, "ab") as file:
        file.write(b"x")
    os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))


@pytest.mark.parametrize(
    ("change", "more", "words"),
    [
        (lambda: add("many/cat/02b.jpg"), [], "image 3 was many/cat/03.jpg, is many/cat/02b.jpg"),
        (lambda: add("many/dog/99.jpg"), [], "image 12, many/dog/99.jpg, is new"),
        (lambda: os.unlink("many/dog/11.jpg"), [], "image 11, many/dog/11.jpg, is gone from the list"),
        (lambda: grow("many/cat/01.jpg"), [], "the size of image 1, many/cat/01.jpg, was "),
        (lambda: os.utime("many/cat/01.jpg"), [], "the mtime_ns of image 1, many/cat/01.jpg, was "),
        (lambda: None, ["--std", "2", "--dtype", "float16"], 'option dtype was "uint8", is "float16"'),
        (lambda: None, ["--flip"], "option flip was false, is true"),
        (lambda: None, ["--crop", "0", "0", "9", "9"], "option crop was null, is [0, 0, 9, 9]"),
        (lambda: None, ["--mode", "L"], 'option mode was "RGB", is "L"'),
        (lambda: None, ["many/cat/00.jpg"], "image 1 was many/cat/01.jpg, is many/cat/00.jpg"),
    ],
    ids=["insert", "append", "remove", "size", "mtime", "dtype", "flip", "crop", "mode", "argument"],
)
def test_another_run_is_refused(
    many: dict[str, bytes], capsys: pytest.CaptureFixture[str], change: Any, more: list[str], words: str
) -> None:
    load = [argument for argument in LOAD if argument != "--labels"]
    assert kills.run_until(load, 4) == -signal.SIGKILL
    Path("x.npy").write_text("old")
    before = [Path(name).read_bytes() for name in STATE]
    change()
    assert main([load[0], *more, *load[1:]]) == 2
    err = capsys.readouterr().err
    assert err.startswith("fastimg: error: x.npy.partial cannot be taken up: ") and words in err
    assert "without --resume" in err
    assert [Path(name).read_bytes() for name in STATE] == before
    assert others() == ["x.npy", *STATE]
    assert main([load[0], *more, *load[1:-1]]) == 1
    assert others() == ["x.files.csv", "x.npy"]


def test_another_size_is_refused(many: dict[str, bytes], capsys: pytest.CaptureFixture[str]) -> None:
    assert kills.run_until(LOAD, 4) == -signal.SIGKILL
    assert main([*LOAD, "--size", "16,17"]) == 2
    assert "option size was [16, 16], is [16, 17]" in capsys.readouterr().err
    assert main([*LOAD, "--size", "16,16"]) == 1  # the same in other words
    assert_finished(many)


def test_another_version_is_refused(
    many: dict[str, bytes], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert kills.run_until(LOAD, 4) == -signal.SIGKILL
    info = fastimg.build_info()
    with monkeypatch.context() as patch:
        patch.setattr(fastimg, "build_info", lambda: {**info, "version": "9.9"})
        assert main(LOAD) == 2
    assert f"it was begun with fastimg {info['version']}, this is 9.9" in capsys.readouterr().err
    assert main(LOAD) == 1
    assert_finished(many)


def test_what_does_not_change_the_rows_may_change(many: dict[str, bytes]) -> None:
    without = [argument for argument in LOAD if argument != "--labels"]
    assert kills.run_until([*without, "--on-error", "raise"], 2) == -signal.SIGKILL
    assert main([*LOAD, "--on-error", "fill", "--num-threads", "2", "--quiet"]) == 1
    assert_finished(many)


@pytest.mark.parametrize(
    ("line", "damage"),
    [
        (0, b'{"fastimg": "0.2.0"}'),
        (0, b'{"fastimg": "0.2.0", "images": null, "options": {}}'),
        (0, b'{"fastimg": "0.2.0", "images": 2, "options": []}'),
        (3, b'{"size": [2]}'),
        (3, b'{"shape": ["2"]}'),
        (4, b'{"finished": 7}'),
        (4, b'{"finished": [[1]]}'),
        (4, b'{"finished": [["a", 2]]}'),
        (4, b'{"ready": true}'),
    ],
)
def test_a_damaged_journal(here: Path, line: int, damage: bytes) -> None:
    plan = Plan(["0.jpg", "1.jpg"], DEFAULTS)
    written = Journal("x.npy")
    written.begin(plan, (2, 3, 8, 8))
    written.add_finished([(0, 1)])
    lines = Path(written.path).read_bytes().splitlines()
    written.close()
    lines[line] = damage
    Path(written.path).write_bytes(b"".join(each + b"\n" for each in lines))
    damaged = Journal("x.npy")
    with pytest.raises(ValueError, match=r"x\.npy\.journal: damaged; begin anew without --resume"):
        damaged.read(plan)
    damaged.close()


@both_runs
def test_two_runs_at_once(
    many: dict[str, bytes], capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    assert kills.run_until(LOAD, 4) == -signal.SIGKILL
    before = [Path(name).read_bytes() for name in STATE]
    other = Journal("x.npy")
    assert main(arguments) == 1
    assert "another process is writing this file: 'x.npy'" in capsys.readouterr().err
    assert [Path(name).read_bytes() for name in STATE] == before
    other.close()
    assert main(arguments) == 1
    assert_finished(many)


def test_the_lock_is_not_one_of_a_file_that_is_gone(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The owner removes the journal after another process has opened it and before that has locked it."""
    first = Journal("x.npy")
    lock = working_files._lock

    def late(descriptor: int, npy: str) -> bool:
        if not first._file.closed:
            first.remove()
        return lock(descriptor, npy)

    with monkeypatch.context() as patch:
        patch.setattr(working_files, "_lock", late)
        second = Journal("x.npy")
    with pytest.raises(BlockingIOError):
        Journal("x.npy")
    second.remove()
    assert left(here) == []


@both_runs
def test_a_file_system_without_locks(
    many: dict[str, bytes],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
) -> None:
    def refuse(*args: Any) -> None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr(fcntl, "flock", refuse)
    capsys.readouterr()
    assert main(arguments) == 1
    assert capsys.readouterr().err.startswith("fastimg: warning: no locks in this folder: ")
    assert_finished(many)


@both_runs
@pytest.mark.parametrize("name", STATE)
def test_a_file_of_the_users_is_not_replaced(
    many: dict[str, bytes], capsys: pytest.CaptureFixture[str], name: str, arguments: list[str]
) -> None:
    Path(name).write_text("my own notes")
    assert main(arguments) == 2
    assert f"{name}: not written by fastimg load" in capsys.readouterr().err
    assert Path(name).read_text() == "my own notes"
    assert others() == [name]


def test_a_partial_array_of_another_length(
    many: dict[str, bytes], capsys: pytest.CaptureFixture[str]
) -> None:
    assert kills.run_until(LOAD, 4) == -signal.SIGKILL
    os.truncate(STATE[1], os.path.getsize(STATE[1]) - 1)
    assert main(LOAD) == 2
    assert "x.npy.partial: expected shape (12, 3, 16, 16)" in capsys.readouterr().err
    assert others() == STATE


@both_runs
def test_a_mistyped_folder_touches_nothing(many: dict[str, bytes], arguments: list[str]) -> None:
    assert kills.run_until(LOAD, 4) == -signal.SIGKILL
    before = [Path(name).read_bytes() for name in STATE]
    for folder in ("mary", "mary/"):
        assert main(["load", folder, "-o", "x.npy", *arguments[7:]]) in (1, 2)
        assert [Path(name).read_bytes() for name in STATE] == before
    assert main(LOAD) == 1
    assert_finished(many)
