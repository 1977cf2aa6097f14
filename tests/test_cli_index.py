# SPDX-License-Identifier: BSD-3-Clause
"""`fastimg index`: what it writes and prints, and what it refuses before it touches anything."""

import errno
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support.cli_common import PATHS, encoded, process, run
from support.file_indices import headers_read

import fastimg
from fastimg import FileIndex
from fastimg.cli import main


def load(name: str = "train.index.npz") -> FileIndex:
    return FileIndex.load(name)


def test_a_folder(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("photos/cat/notes.txt").touch()
    assert main(["index", "photos", "-o", "train.index.npz"]) == 0
    out, err = capsys.readouterr()
    nbytes = sum(os.path.getsize(path) for path in PATHS)
    assert re.fullmatch(
        rf"train\.index\.npz: 3 files, 2 classes, {nbytes:,} bytes, \d+\.\d\d s, 0 failures; left out: 1 \.txt\n",
        out,
    )
    assert err == ""
    index = load()
    assert list(index) == [str(here / path) for path in PATHS]
    assert index.sizes is not None and index.sizes.tolist() == [[23, 37]] * 3
    assert index.labels is not None and index.labels.tolist() == [0, 0, 1]
    assert sorted(os.listdir()) == ["photos", "train.index.npz"]


def test_what_can_be_left_out(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["index", "photos", "-o", "x.npz", "--no-labels", "--no-sizes", "--num-threads", "1"]) == 0
    index = load("x.npz")
    assert (index.labels, index.classes, index.sizes, len(index)) == (None, [], None, 3)
    assert "classes" not in capsys.readouterr().out


def test_images_beside_folders(here: Path) -> None:
    Path("photos/0.jpg").write_bytes(encoded(0))
    assert main(["index", "photos", "-o", "x.npz"]) == 0
    assert list(load("x.npz")) == fastimg.find_images(here / "photos") and load("x.npz").labels is None


def test_files_that_cannot_be_read(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("photos/dog/0.jpg").write_text("<html>")
    os.symlink("nowhere", "photos/dog/1.jpg")
    assert main(["index", "photos", "-o", "x.npz"]) == 1
    out, err = capsys.readouterr()
    assert "5 files" in out and out.endswith(" 2 failures\n")
    assert [line.split(": ")[:2] for line in err.splitlines()] == [
        ["fastimg", f"image 2: {here}/photos/dog/0.jpg".split(": ")[0]],
        ["fastimg", "[Errno 2] image 3"],
    ]
    sizes = load("x.npz").sizes
    assert sizes is not None and sizes.tolist() == [[23, 37]] * 2 + [[0, 0]] * 2 + [[23, 37]]
    before = Path("x.npz").read_bytes()
    assert main(["index", "photos", "-o", "x.npz", "--on-error", "raise"]) == 1
    assert capsys.readouterr().err.startswith(f"fastimg: error: image 2: {here}/photos/dog/0.jpg: not a JPEG")
    assert Path("x.npz").read_bytes() == before


def test_a_closed_folder(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    scandir = os.scandir

    def fail(path: str) -> Any:
        if path.endswith("photos/cat"):
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", fail)
    assert main(["index", "photos", "-o", "x.npz"]) == 1
    assert "Permission denied" in capsys.readouterr().err
    index = load("x.npz")  # a class keeps its number
    assert index.labels is not None and (index.labels.tolist(), index.classes) == ([1], ["cat", "dog"])


# ---- refresh


def test_refresh(here: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    command = ["index", "photos", "-o", "x.npz", "--refresh"]
    assert main(command) == 0  # there is none yet
    first = load("x.npz")
    Path("photos/ant").mkdir()
    Path("photos/ant/0.jpg").write_bytes(encoded(0, (8, 9)))
    os.unlink(PATHS[0])
    read = headers_read(monkeypatch)
    assert main(command) == 0
    assert read == [f"{here}/photos/ant/0.jpg"]
    again = load("x.npz")
    assert list(again) == [f"{here}/photos/ant/0.jpg", *first[1:]]
    assert (
        again.classes == ["ant", "cat", "dog"]
        and again.sizes is not None
        and again.sizes[0].tolist() == [9, 8]
    )
    os.rename("photos", "moved")
    assert main(["index", "moved", "-o", "x.npz", "--refresh"]) == 0
    assert len(read) == 1  # the files are the same
    assert list(load("x.npz")) == fastimg.image_folder(here / "moved").paths
    assert "3 files, 3 classes" in capsys.readouterr().out.splitlines()[-1]


def test_what_cannot_be_refreshed(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    FileIndex(PATHS).save("paths.npz")
    Path("text.npz").write_text("text")
    assert main(["index", "photos", "-o", "photos.npz"]) == 0
    before = {path: path.read_bytes() for path in Path().glob("*.npz")}
    for name, option, words in (
        ("paths.npz", "-q", "expected the index of a folder, found one of paths or of a part"),
        ("text.npz", "-q", "text.npz: not a file index"),
        ("photos.npz", "--no-sizes", "--refresh keeps what the index has"),
        ("photos.npz", "--no-labels", "--refresh keeps what the index has"),
    ):
        assert main(["index", "photos", "-o", name, "--refresh", option]) == 2
        assert words in capsys.readouterr().err
    assert {path: path.read_bytes() for path in Path().glob("*.npz")} == before


# ---- mistakes


@pytest.fixture
def earlier(here: Path) -> Iterator[Path]:
    """An earlier index, which must stay."""
    assert main(["index", "photos", "-o", "train.npz"]) == 0
    Path("empty").mkdir()
    Path("bad").mkdir()
    Path("bad/1.jpg").write_text("<html>")
    before = Path("train.npz").read_bytes()
    yield here
    assert Path("train.npz").read_bytes() == before
    assert sorted(os.listdir()) == ["bad", "empty", "photos", "train.npz"]


@pytest.mark.parametrize(
    ("folder", "words"),
    [
        ("phots", "phots: No such file or directory"),
        ("photos/cat/1.jpg", "photos/cat/1.jpg: expected a folder"),
        ("photos/cat/1.jpg/", "Not a directory"),
        ("train.npz", "train.npz: expected a folder"),
        ("", "No such file or directory"),
        ("empty", "no .jpg, .jpeg, .jpe, .jfif file below empty"),
        ("bad", "none of 1 file can be read"),
    ],
)
def test_a_mistake_touches_nothing(
    earlier: Path, capsys: pytest.CaptureFixture[str], folder: str, words: str
) -> None:
    capsys.readouterr()
    assert main(["index", folder, "-o", "train.npz"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert words in err.splitlines()[-1] and err.splitlines()[-1].startswith("fastimg: error: ")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("train", "expected a name that ends in .npz, found 'train'"),
        ("photos/cat/1.jpg", "expected a name that ends in .npz"),
        ("train.npy", "expected a name that ends in .npz"),
        ("none/x.npz", "the folder 'none' does not exist"),
        ("photos/cat/1.jpg/x.npz", "the folder 'photos/cat/1.jpg' does not exist"),
        ("n" * 252 + ".npz", "File name too long"),
        ("folder.npz", "'folder.npz' is a folder"),
    ],
    ids=lambda value: value[:20],
)
def test_an_output_that_cannot_be_is_refused_before_any_work(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], name: str, words: str
) -> None:
    Path("folder.npz").mkdir()
    monkeypatch.setattr(os, "scandir", lambda *args: pytest.fail("work was done"))
    assert main(["index", "photos", "-o", name]) == 2
    monkeypatch.undo()
    err = capsys.readouterr().err
    assert err.startswith("fastimg: error: --output: ") and words in err


@pytest.mark.parametrize("number", ["0", "-1"])
def test_a_wrong_number_of_threads(here: Path, capsys: pytest.CaptureFixture[str], number: str) -> None:
    assert main(["index", "photos", "-o", "x.npz", "--num-threads", number]) == 2
    assert "num_threads must be at least 1" in capsys.readouterr().err
    assert os.listdir() == ["photos"]


def test_a_full_disk(here: Path) -> None:
    """As on a disk that takes no more than 1 KiB."""
    script = 'ulimit -f 1; trap "" XFSZ; exec "$0" -m fastimg index photos -o x.npz'
    done = process(["bash", "-c", script, sys.executable])
    assert done.returncode == 1
    assert done.stderr.startswith("fastimg: error: ") and "x.npz" in done.stderr
    assert os.listdir() == ["photos"]


def test_names_of_any_bytes(here: Path) -> None:
    os.makedirs(b"raw/\xff")
    Path(os.fsdecode(b"raw/\xff/\xfe\n.jpg")).write_bytes(encoded(1))
    done = run("index", "raw", "-o", "x.npz")
    assert done.returncode == 0
    assert os.fsencode(load("x.npz")[0]).endswith(b"raw/\xff/\xfe\n.jpg")
    assert fastimg.load(load("x.npz")).shape == (1, 3, 23, 37)
    assert np.array_equal(fastimg.load(load("x.npz")), fastimg.load(PATHS[:1]))


# ---- as an input of other commands


def test_an_index_is_an_input(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["index", "photos", "-o", "train.index.npz"]) == 0
    assert main(["load", "train.index.npz", "--labels", "--size", "8", "-o", "x.npy", "-q"]) == 0
    assert main(["load", "photos", "--labels", "--size", "8", "-o", "y.npy", "-q"]) == 0
    for end in (".npy", ".labels.npy"):
        assert (np.load("x" + end) == np.load("y" + end)).all()
    assert Path("x.classes.txt").read_bytes() == Path("y.classes.txt").read_bytes()
    assert main(["check", "train.index.npz"]) == 0
    capsys.readouterr()


def test_an_index_that_is_no_input(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["index", "photos", "-o", "plain.npz", "--no-labels"]) == 0
    assert main(["load", "plain.npz", "--labels", "--size", "8", "-o", "x.npy", "-q"]) == 2
    assert "plain.npz: the index has no classes" in capsys.readouterr().err
    np.savez("other.npz", a=np.ones(3))
    assert main(["load", "other.npz", "--size", "8", "-o", "x.npy", "-q"]) == 2
    assert "other.npz" in capsys.readouterr().err
    assert not Path("x.npy").exists()
