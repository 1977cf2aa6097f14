# SPDX-License-Identifier: BSD-3-Clause
"""`fastimg load --drop-failed`, and the room for the array."""

import errno
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import kills
from support.cli_common import PATHS, encoded, is_mapped, left, npy_header_size, rows, table
from support.kills import LOAD, STATE, others, spoil

import fastimg.cli.compact as compact
import fastimg.cli.output as output
import fastimg.cli.resume as resume
import fastimg.npy_files as npy_files
from fastimg.cli import main

DROP = ("load", "photos", "-o", "x.npy", "--drop-failed")


def test_rows_labels_and_table(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spoil(PATHS[1])
    assert main([*DROP, "--labels"]) == 1
    np.testing.assert_array_equal(
        np.load("x.npy", mmap_mode="r"), rows().transpose(0, 3, 1, 2)[[0, 2]], strict=True
    )
    assert os.path.getsize("x.npy") == npy_header_size(here / "x.npy") + 2 * 3 * 23 * 37
    assert np.load("x.labels.npy").tolist() == [0, 1]
    *lines, dropped = table(here / "x.files.csv")[1:]
    assert lines == [["0", PATHS[0], "0", ""], ["1", PATHS[2], "1", ""]]
    assert dropped[:3] == ["", PATHS[1], "0"] and "not a JPEG file" in dropped[3]
    out, err = capsys.readouterr()
    assert out.splitlines()[2] == "1 failed image is left out: shape (2, 3, 23, 37)"
    assert PATHS[1] in err
    assert left(here) == ["x.classes.txt", "x.files.csv", "x.labels.npy", "x.npy"]


def test_nothing_fails(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(DROP) == 0
    assert np.load("x.npy").shape == (3, 3, 23, 37)
    assert "left out" not in capsys.readouterr().out


def test_a_class_keeps_its_number(here: Path) -> None:
    for path in PATHS[:2]:
        spoil(path)
    assert main([*DROP, "--labels"]) == 1
    assert np.load("x.labels.npy").tolist() == [1]
    assert Path("x.classes.txt").read_text() == "cat\ndog\n"


def test_all_fail(here: Path) -> None:
    for path in PATHS:
        spoil(path)
    assert main([*DROP, "--size", "8"]) == 2
    assert left(here) == []


def test_json(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    spoil(PATHS[1])
    assert main([*DROP, "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found["rows"] == 2 and found["shape"] == [2, 3, 23, 37] and found["nbytes"] == 2 * 3 * 23 * 37
    assert found["images"] == 3
    assert [(each["image"], each["row"], each["path"]) for each in found["failures"]] == [(1, None, PATHS[1])]


def test_raise_leaves_nothing_to_drop(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*DROP, "--on-error", "raise"]) == 2
    assert "--drop-failed" in capsys.readouterr().err


# ---- the array


@pytest.mark.parametrize("block", [1, 60, 1 << 20])
@pytest.mark.parametrize(
    "dropped", [[0], [11], [0, 1, 2], [3, 4, 9], [10, 11], [*range(1, 12)], [*range(0, 12, 2)]]
)
def test_rows_move_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, dropped: list[int], block: int
) -> None:
    monkeypatch.setattr(compact, "_BLOCK", block)
    expected = np.random.default_rng(0).integers(0, 1 << 15, (12, 3, 5), np.uint16)
    with output.FileSet() as files:
        file = files.create(str(tmp_path / "x.npy"))
        array = npy_files.begin_array(file, expected.shape, expected.dtype, "x.npy")
        array[:] = expected
        offset = array.offset
        del array
        kept = compact.drop_rows(file, expected.shape, expected.dtype, offset, dropped)
        expected = np.delete(expected, dropped, 0)
        np.testing.assert_array_equal(kept, expected, strict=True)
        files.publish()
    np.testing.assert_array_equal(np.load(tmp_path / "x.npy"), expected, strict=True)
    size = os.path.getsize(tmp_path / "x.npy")
    assert size == npy_header_size(tmp_path / "x.npy") + expected.nbytes


def test_a_header_of_another_length() -> None:
    # Some versions of NumPy leave no room for the number of rows to grow.
    head = compact._header((9, 8), np.dtype(np.uint8), 256)
    assert len(head) == 256
    assert head.endswith(b" \n") and int.from_bytes(head[8:10], "little") == 246


def test_no_second_file(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spoil(PATHS[0])
    seen = []
    drop = compact.drop_rows

    def spy(file: Any, *args: Any) -> Any:
        before = os.fstat(file.fileno()).st_size
        kept = drop(file, *args)
        seen.append((before - os.fstat(file.fileno()).st_size, sorted(os.listdir())))
        return kept

    monkeypatch.setattr(resume, "drop_rows", spy)
    assert main([*DROP, "--size", "8"]) == 1
    assert seen == [(3 * 8 * 8, ["photos", "x.npy.journal", "x.npy.partial"])]


class Watched:
    """A file that says whether it was mapped when it was cut."""

    def __init__(self, file: Any) -> None:
        self.file, self.mapped = file, None

    def __getattr__(self, name: str) -> Any:
        return getattr(self.file, name)

    def truncate(self, nbytes: int) -> int:
        self.mapped = is_mapped("x.npy.partial")
        return self.file.truncate(nbytes)


needs_maps = pytest.mark.skipif(sys.platform != "linux", reason="needs /proc/self/maps")


@needs_maps
def test_the_array_is_not_mapped_when_it_is_cut(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    spoil(PATHS[0])
    drop, files = compact.drop_rows, []

    def spy(file: Any, *args: Any) -> Any:
        files.append(Watched(file))
        return drop(files[0], *args)

    monkeypatch.setattr(resume, "drop_rows", spy)
    assert main([*DROP, "--size", "8"]) == 1
    assert [file.mapped for file in files] == [False]  # Windows cuts no file that is mapped
    assert np.load("x.npy").shape == (2, 3, 8, 8)


@needs_maps
@pytest.mark.parametrize("resumed", [False, True])
@pytest.mark.parametrize("fails", ["load", "drop", "publish"])
def test_the_array_is_not_mapped_when_it_is_removed(
    here: Path, monkeypatch: pytest.MonkeyPatch, fails: str, resumed: bool
) -> None:
    mapped, remove = [], output.remove

    def spy(path: str) -> None:
        mapped.append(path == "x.npy.partial" and is_mapped(path))
        remove(path)

    def refuse(*_: Any) -> None:
        mapped.append(is_mapped("x.npy.partial"))
        raise PermissionError(errno.EACCES, "in use")

    spoil(PATHS[1])
    monkeypatch.setattr(output, "remove", spy)
    if fails == "drop":
        monkeypatch.setattr(resume, "drop_rows", refuse)
    if fails == "publish":
        monkeypatch.setattr(os, "replace", refuse)
    command = [*DROP[:-1], "--on-error", "raise"] if fails == "load" else DROP
    assert main([*command, *["--resume"] * resumed]) == 1
    assert left(here) == []
    assert (True in mapped) == (fails == "publish") and not mapped[-1]


# ---- with --resume


def expected_of(many: dict[str, bytes]) -> Any:
    Path("y.npy").write_bytes(many["x.npy"])
    return np.delete(np.load("y.npy"), 4, 0)


def test_a_run_that_is_taken_up(many: dict[str, bytes]) -> None:
    assert kills.run_until([*LOAD, "--drop-failed"], 4) == -signal.SIGKILL
    assert others() == STATE
    assert main([*LOAD, "--drop-failed"]) == 1
    np.testing.assert_array_equal(np.load("x.npy"), expected_of(many))
    assert len(np.load("x.labels.npy")) == 11
    Path("y.npy").unlink()
    assert others() == sorted(many)


@pytest.mark.parametrize("place", ["before", "after"])
def test_a_run_that_is_killed_while_rows_move_begins_anew(many: dict[str, bytes], place: str) -> None:
    def prepare() -> None:
        def killed(file: Any, shape: Any, dtype: Any, offset: int, dropped: Any) -> None:
            array = np.memmap(file, dtype, "r+", offset, shape)
            array[dropped[0]] = 77
            array[:2] = array[2:4]
            if place == "after":
                compact.drop_rows(file, shape, dtype, offset, dropped)
            os.kill(os.getpid(), signal.SIGKILL)

        resume.drop_rows = killed

    command = [*LOAD, "--drop-failed"]
    assert kills.finish(kills.start(command, prepare)) == -signal.SIGKILL
    assert others() == STATE
    for again in (command, LOAD):
        assert main(again) == 1
        expected = expected_of(many) if again is command else np.load("y.npy")
        np.testing.assert_array_equal(np.load("x.npy"), expected)


def test_ctrl_c_while_rows_move_leaves_nothing(
    many: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(*args: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(resume, "drop_rows", interrupted)
    assert main([*LOAD, "--drop-failed"]) == 130
    assert others() == []


# ---- room


def test_an_array_that_cannot_fit_is_refused_at_once(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(npy_files, "free_space", lambda path: 7658)
    assert main(["load", "photos", "-o", "x.npy"]) == 1
    out, err = capsys.readouterr()
    assert "cannot reserve 7,659 bytes, 7,658 are free: " in err and os.strerror(errno.ENOSPC) in err
    assert out == "" and left(here) == []
    monkeypatch.setattr(npy_files, "free_space", lambda path: 7659)
    assert main(["load", "photos", "-o", "x.npy"]) == 0


@pytest.mark.parametrize("blocks", [0, 1])
def test_free_space(here: Path, monkeypatch: pytest.MonkeyPatch, blocks: int) -> None:
    state = os.statvfs(".")
    fields = {"f_blocks": blocks, "f_bavail": 3, "f_frsize": 512}
    changed = type("State", (), {name: fields.get(name, getattr(state, name)) for name in dir(state)})
    monkeypatch.setattr(os, "statvfs", lambda path: changed)
    assert npy_files.free_space("x.npy") == (1536 if blocks else None)


def test_a_file_system_that_does_not_say(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def refuse(path: str) -> None:
        raise OSError(errno.ENOSYS, os.strerror(errno.ENOSYS))

    monkeypatch.setattr(os, "statvfs", refuse)
    assert main(["load", "photos", "-o", "x.npy"]) == 0
    assert capsys.readouterr().out.splitlines()[0].endswith(" 7,659 bytes")


def test_the_size_is_said_before_the_work(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = []
    load = resume.Run.load

    def spy(run: resume.Run, *args: Any) -> None:
        said.append(os.read(reader, 1000).decode())
        load(run, *args)

    monkeypatch.setattr(resume.Run, "load", spy)
    reader, writer = os.pipe()
    with os.fdopen(writer, "w") as pipe:
        monkeypatch.setattr("sys.stdout", pipe)
        Path("photos/cat/4.jpg").write_bytes(encoded(4))
        assert main(["load", "photos", "-o", "x.npy"]) == 0
    os.close(reader)
    assert said[0].startswith("x.npy: shape (4, 3, 23, 37), dtype uint8, 10,212 bytes; ")
