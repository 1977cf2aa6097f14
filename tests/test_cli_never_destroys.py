# SPDX-License-Identifier: BSD-3-Clause
"""`fastimg load` leaves earlier outputs as they are unless it has others, and never takes an input for its output."""

import errno
import os
import shlex
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.cli_common import PATHS, encoded, rows, run, table
from support.files import deep_path

import fastimg
from fastimg.cli import main

OUTPUTS = {
    f"train.{end}": f"earlier {end}".encode() for end in ("npy", "files.csv", "labels.npy", "classes.txt")
}


def state(folder: Path) -> dict[str, Any]:
    """The bytes, inode and time of each file below a folder."""
    found = {}
    for path in sorted(folder.rglob("*")):
        status = path.lstat()
        regular = path.is_file() and not path.is_symlink()
        found[str(path)] = (status.st_ino, status.st_mtime_ns, path.read_bytes() if regular else None)
    return found


@pytest.fixture
def outputs(here: Path) -> Iterator[Path]:
    """What an earlier run wrote, and the photos; in the end all must be as it was."""
    for name, data in OUTPUTS.items():
        Path(name).write_bytes(data)
    Path("empty").mkdir()
    Path("bad").mkdir()
    Path("bad/1.jpg").write_bytes(encoded(1)[:300])
    Path("bad/2.jpg").write_text("<html>")
    before = state(here)
    yield here
    assert state(here) == before


MISTAKES = {
    "phots": "phots: No such file or directory",
    "phots/": "phots/: No such file or directory",
    "photos phots": "phots: No such file or directory",
    "photos phots/": "phots/: No such file or directory",
    "photos/cta": "photos/cta: No such file or directory",
    "photos.tar": "photos.tar: No such file or directory",
    "photos/cat/1.jpg/": "photos/cat/1.jpg/: Not a directory",
    "''": ": No such file or directory",
    "empty": "no .jpg, .jpeg, .jpe, .jfif file below empty",
    "missing.jpg": "none of 1 image can be loaded; the first: ",
    "missing.jpg gone.jpg": "none of 2 images can be loaded; the first: ",
    "bad": "none of 2 images can be loaded; the first: ",
    "bad/1.jpg bad/2.jpg": "none of 2 images can be loaded; the first: ",
}


@pytest.mark.parametrize("labels", [[], ["--labels"]], ids=["", "labels"])
@pytest.mark.parametrize(
    "shape", [[], ["--size", "8"], ["--crop", "0", "0", "5", "5"]], ids=["", "size", "crop"]
)
@pytest.mark.parametrize("inputs", MISTAKES)
def test_a_mistake_touches_nothing(
    outputs: Path, capsys: pytest.CaptureFixture[str], inputs: str, shape: list[str], labels: list[str]
) -> None:
    words = MISTAKES[inputs]
    if labels and inputs == "empty":
        words = "files in every class, found none in empty"
    assert main(["load", *shlex.split(inputs), "-o", "train.npy", *shape, *labels]) == 2
    out, err = capsys.readouterr()
    assert out == "" or (out.startswith("train.npy: shape (") and out.count("\n") == 1)
    assert err.count("\n") == 1 and err.startswith("fastimg: error: ") and words in err


@pytest.mark.parametrize("inputs", ["phots", "photos phots", "phots/"])
def test_a_mistyped_folder_stops_before_the_others_are_listed(
    outputs: Path, monkeypatch: pytest.MonkeyPatch, inputs: str
) -> None:
    monkeypatch.setattr(os, "scandir", lambda path: pytest.fail("a folder was listed"))
    for on_error in ("fill", "raise"):
        assert main(["load", *inputs.split(), "-o", "train.npy", "--on-error", on_error]) == 2
    monkeypatch.undo()


def test_a_photo_that_is_gone_is_one_failure(here: Path) -> None:
    # A name from a list, not a mistyped folder.
    assert main(["load", "photos", "photos/cat/9.jpg", "-o", "x.npy"]) == 1
    array = np.load("x.npy")
    np.testing.assert_array_equal(array[:3], rows().transpose(0, 3, 1, 2))
    assert not array[3].any()


# ---- numbers that were meant for an option


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("--size 8 8 photos", "--size: expected --size 8,8, found --size 8 8"),
        ("photos --size 8 8", "--size: expected --size 8,8, found --size 8 8"),
        ("photos --size=8 8", "--size: expected --size 8,8, found --size 8 8"),
        ("--siz 8 8 photos", "--siz: expected --siz 8,8, found --siz 8 8"),
        ("--size 8 8 8 photos", "--size: expected --size 8,8,8, found --size 8 8 8"),
        ("--size 8 photos --size 8 8", "--size: expected --size 8,8, found --size 8 8"),
        ("--pad-value 1 2 3 photos", "--pad-value: expected --pad-value 1,2,3, found"),
        ("--dtype float32 --mean 0.5 .5 0.5 photos", "--mean: expected --mean 0.5,.5,0.5, found"),
        ("--dtype float32 --std 1 +1. 1 photos", "--std: expected --std 1,+1.,1, found"),
        ("--mean -1 -1 -1 photos", "--mean: expected --mean -1,-1,-1, found"),
    ],
)
@pytest.mark.parametrize("exists", [False, True])
def test_numbers_are_no_files(
    outputs: Path, capsys: pytest.CaptureFixture[str], arguments: str, words: str, exists: bool
) -> None:
    if exists:
        Path("8").write_bytes(encoded(8))
    assert main(["load", "-o", "train.npy", *arguments.split()]) == 2
    assert capsys.readouterr().err.startswith(f"fastimg: error: {words}")
    if exists:
        os.unlink("8")


@pytest.mark.parametrize("arguments", ["--size 8 8 9", "8 9 --size 8", "--size 8 -- 8 9", "--size 8 ./8 9"])
def test_folders_whose_names_are_numbers(here: Path, arguments: str) -> None:
    for name in "89":
        Path(name).mkdir()
        Path(name, "1.jpg").write_bytes(encoded(int(name)))
    assert main(["load", "-o", "x.npy", "--labels", *arguments.split()]) == 0
    assert Path("x.classes.txt").read_text() == "8\n9\n"
    assert np.load("x.npy").shape == (2, 3, 8, 8)


def test_numbers_after_other_options_are_not_looked_at(here: Path) -> None:
    assert main(["load", "photos", "--crop", "0", "0", "8", "9", "--max-pixels", "5000", "-o", "x.npy"]) == 0
    assert np.load("x.npy").shape == (3, 3, 8, 9)
    assert main(["load", "photos", "--size", "4,5", "-o", "x.npy"]) == 0
    assert np.load("x.npy").shape == (3, 3, 4, 5)


# ---- outputs that are none


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("8", "expected a name that ends in .npy, found '8'"),
        ("8,8", "expected a name that ends in .npy"),
        ("photos/cat/1.jpg", "expected a name that ends in .npy"),  # -o *.jpg
        ("photos", "expected a name that ends in .npy"),
        ("photos/", "expected a name that ends in .npy"),
        ("train", "expected a name that ends in .npy"),
        ("train.files.csv", "expected a name that ends in .npy"),
        ("none/x.npy", "the folder 'none' does not exist"),
        ("photos/cat/1.jpg/x.npy", "the folder 'photos/cat/1.jpg' does not exist"),
        ("n" * 252 + ".npy", "File name too long"),
        ("n" * 250 + ".npy", "File name too long"),  # with .files.csv
        ("d" * 300 + "/x.npy", "does not exist"),
    ],
    ids=lambda value: value[:20],
)
def test_an_output_that_cannot_be_is_refused_before_any_work(
    outputs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, words: str
) -> None:
    for work in ("scandir", "open"):
        monkeypatch.setattr(os, work, lambda *args, **options: pytest.fail("work was done"))
    monkeypatch.setattr(fastimg, "load", lambda *args, **options: pytest.fail("work was done"))
    assert main(["load", "photos", *PATHS, "-o", name]) == 2
    monkeypatch.undo()
    err = capsys.readouterr().err
    assert err.startswith("fastimg: error: --output: ") and words in err


def test_names_that_are_only_too_long_with_labels(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    name = "n" * (255 - len(".files.csv")) + ".npy"
    assert main(["load", "photos", "-o", name, "--labels"]) == 2
    assert "File name too long" in capsys.readouterr().err
    assert main(["load", "photos", "-o", name]) == 0


@pytest.mark.parametrize("end", ["npy", "files.csv", "labels.npy", "classes.txt"])
@pytest.mark.parametrize("form", ["train.{}", "./train.{}", "link.{}"])
def test_an_input_is_no_output(
    outputs: Path, capsys: pytest.CaptureFixture[str], end: str, form: str
) -> None:
    name = form.format(end)
    if form.startswith("link"):
        Path(name).symlink_to(f"train.{end}")
    for output in ("train.npy", "./photos/../train.npy", os.path.abspath("train.npy")):
        assert main(["load", "photos", name, "-o", output, "--size", "8"]) == 2
        err = capsys.readouterr().err
        assert err == f"fastimg: error: {name} is an input, and --output would replace it\n"
    if form.startswith("link"):
        os.unlink(name)


def test_a_shell_without_an_output(here: Path) -> None:
    before = state(here)
    for arguments in ('"$0" -m fastimg load photos/cat/*.jpg', '"$0" -m fastimg load -o photos/cat/*.jpg'):
        command = ["sh", "-c", arguments, sys.executable]
        source = str(Path(fastimg.__file__).parent.parent)
        done = subprocess.run(
            command, env={**os.environ, "PYTHONPATH": source}, capture_output=True, text=True
        )
        assert (done.returncode, done.stdout) == (2, "")
        assert state(here) == before


# ---- folders that cannot be listed


def refuse(monkeypatch: pytest.MonkeyPatch, closed: str) -> None:
    scandir = os.scandir

    def fail(path: str) -> Any:
        if path == closed:
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", fail)


@pytest.mark.parametrize("labels", [[], ["--labels"]], ids=["", "labels"])
def test_a_closed_folder_is_one_error(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], labels: list[str]
) -> None:
    refuse(monkeypatch, "photos/cat")
    assert main(["load", "photos", "-o", "x.npy", *labels]) == 1
    np.testing.assert_array_equal(np.load("x.npy"), rows().transpose(0, 3, 1, 2)[2:])
    assert [row[1] for row in table(here / "x.files.csv")[1:]] == PATHS[2:]
    assert capsys.readouterr().err == "fastimg: [Errno 13] Permission denied: 'photos/cat'\n"
    if labels:  # a class keeps its number, whatever failed
        assert Path("x.classes.txt").read_text() == "cat\ndog\n"
        assert np.load("x.labels.npy").tolist() == [1]


@pytest.mark.parametrize("labels", [[], ["--labels"]], ids=["", "labels"])
def test_a_closed_folder_given_by_name_is_one_error(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], labels: list[str]
) -> None:
    refuse(monkeypatch, "photos/cat")
    assert main(["load", "photos/cat", "photos/dog", "-o", "x.npy", *labels]) == 1
    assert [row[1] for row in table(here / "x.files.csv")[1:]] == PATHS[2:]
    assert capsys.readouterr().err == "fastimg: [Errno 13] Permission denied: 'photos/cat'\n"
    if labels:
        assert np.load("x.labels.npy").tolist() == [1]


@pytest.mark.parametrize("labels", [[], ["--labels"]], ids=["", "labels"])
def test_a_closed_folder_with_on_error_raise(
    outputs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], labels: list[str]
) -> None:
    refuse(monkeypatch, "photos/cat")
    assert main(["load", "photos", "-o", "train.npy", "--on-error", "raise", *labels]) == 1
    assert capsys.readouterr().err == "fastimg: error: [Errno 13] Permission denied: 'photos/cat'\n"
    monkeypatch.undo()


def test_nothing_but_closed_folders(
    outputs: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    refuse(monkeypatch, "photos")
    assert main(["load", "photos", "-o", "train.npy"]) == 2
    err = capsys.readouterr().err.splitlines()
    assert err[0] == "fastimg: [Errno 13] Permission denied: 'photos'"
    assert err[1].startswith("fastimg: error: no .jpg")
    # The classes below it are not known, so no number would be right.
    assert main(["load", "photos", "-o", "train.npy", "--labels"]) == 1
    monkeypatch.undo()


@pytest.mark.parametrize("labels", [[], ["--labels"]], ids=["", "labels"])
def test_a_path_that_is_too_long_is_one_error(
    here: Path, capsys: pytest.CaptureFixture[str], labels: list[str]
) -> None:
    deep_path(Path("photos/cat"))
    assert main(["load", "photos", "-o", "x.npy", *labels]) == 1
    assert [row[1] for row in table(here / "x.files.csv")[1:]] == PATHS
    err = capsys.readouterr().err
    assert err.count("\n") == 1 and os.strerror(errno.ENAMETOOLONG) in err


def test_many_folders_that_fail_are_not_all_printed(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for i in range(15):
        Path(f"photos/cat/{i:02}").mkdir()
    scandir = os.scandir

    def fail(path: str) -> Any:
        if path[-2:].isdigit():
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", fail)
    assert main(["load", "photos", "-o", "x.npy"]) == 1
    err = capsys.readouterr().err.splitlines()
    assert len(err) == 11 and err[-1] == "fastimg: 5 more failures"


# ---- files that never end


@pytest.mark.timeout(60)
@pytest.mark.parametrize("command", [["load", "-o", "x.npy"], ["load", "-o", "x.npy", "--labels"], ["check"]])
def test_nothing_waits_for_a_file_that_is_none(here: Path, command: list[str]) -> None:
    os.mkfifo("photos/cat/fifo.jpg")
    os.mkfifo("photos/fifo")
    for name in ("zero", "full", "tty"):
        Path(f"photos/cat/{name}.jpg").symlink_to(f"/dev/{name}")
    Path("photos/cat/self.png").symlink_to("self.png")
    with socket.socket(socket.AF_UNIX) as unix:
        unix.bind("photos/cat/socket.jpg")
    done = run(*command, "photos", stdin=subprocess.DEVNULL)
    if command == ["check"]:
        assert done.stdout.endswith("4 files: 3 fine, 1 unreadable\n")
    else:
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.endswith("left out: 6 special, 1 .png\n") and "3 images in " in done.stdout


@pytest.mark.timeout(60)
def test_files_given_by_name_are_not_waited_for(here: Path) -> None:
    os.mkfifo("fifo.jpg")
    os.mkfifo("fifo.tar")
    Path("zero.jpg").symlink_to("/dev/zero")
    names = ["fifo.jpg", "zero.jpg", "/dev/zero", "fifo.tar"]
    assert run("load", "photos", *names[:3], "-o", "x.npy").returncode == 1
    assert not np.load("x.npy")[3:].any()
    assert run("load", "fifo.tar", "photos", "-o", "x.npy").returncode == 1
    for command in ("check", "info"):
        done = run(command, *names)
        assert done.returncode == 1 and all(name in done.stdout for name in names)
