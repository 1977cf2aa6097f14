# SPDX-License-Identifier: BSD-3-Clause
"""`--fallback pillow` of `fastimg load` and `preview`."""

import io
import shutil
import signal
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support import kills
from support.archive_files import make_archive
from support.cli_common import SIZE, left, rows, table

import fastimg.cli.journal as journal
from fastimg.cli import main

LOAD = ("load", "photos", "-o", "x.npy", "--fallback", "pillow")


def png(seed: int, size: tuple[int, int] = SIZE) -> bytes:
    pixels = np.random.default_rng(seed).integers(0, 256, (*size[::-1], 3), np.uint8)
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


@pytest.fixture
def mixed(here: Path) -> Path:
    """photos/cat/2.png beside the others, and a PNG with a JPEG's name."""
    Path("photos/cat/2.png").write_bytes(png(1))
    Path("photos/dog/4.jpg").write_bytes(png(2))
    return here


ALL = ["photos/cat/1.jpg", "photos/cat/2.jpg", "photos/cat/2.png", "photos/dog/3.jpg", "photos/dog/4.jpg"]


@pytest.mark.parametrize("more", [[], ["--resume"]], ids=["", "resume"])
def test_load(mixed: Path, more: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*LOAD, "--labels", *more]) == 0
    assert [row[1] for row in table(mixed / "x.files.csv")[1:]] == ALL
    array = np.load("x.npy").transpose(0, 2, 3, 1)
    np.testing.assert_array_equal(array[[0, 1, 3]], rows())
    for row, seed in ((2, 1), (4, 2)):
        np.testing.assert_array_equal(array[row], np.asarray(Image.open(io.BytesIO(png(seed)))))
    assert np.load("x.labels.npy").tolist() == [0, 0, 0, 1, 1]
    out, err = capsys.readouterr()
    assert err == "" and "left out" not in out and out.splitlines()[1].endswith(" MB/s of images, 0 failures")


def test_without_it(mixed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(list(LOAD[:4])) == 1
    out, err = capsys.readouterr()
    assert len(np.load("x.npy")) == 4
    assert "1 failure (1 PNG)" in out and "left out: 1 .png" in out and "photos/dog/4.jpg" in err


def test_the_first_image_is_no_jpeg(mixed: Path) -> None:
    shutil.rmtree("photos/dog")
    for name in ("1.jpg", "2.jpg"):
        Path("photos/cat", name).unlink()
    assert main([*LOAD]) == 0
    assert np.load("x.npy").shape == (1, 3, 23, 37)
    assert main([*LOAD, "--size", "8"]) == 0


def test_other_inputs(mixed: Path) -> None:
    Path("list.txt").write_text("\n".join(ALL))
    make_archive(mixed / "a.tar", {path: Path(path).read_bytes() for path in ALL})
    assert main([*LOAD]) == 0
    for name in ("list.txt", "a.tar"):
        assert main(["load", name, "-o", "y.npy", "--fallback", "pillow"]) == 0
        assert Path("y.npy").read_bytes() == Path("x.npy").read_bytes()


def test_what_neither_decodes(mixed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("photos/cat/3.png").write_bytes(png(3)[:60])
    Path("photos/cat/4.gif").write_bytes(b"\0\0\0\x18ftypcrx ")
    assert main([*LOAD, "--drop-failed"]) == 1
    out, err = capsys.readouterr()
    assert "2 failures (" in out and "photos/cat/3.png" in err and "photos/cat/4.gif" in err
    assert len(np.load("x.npy")) == 5


def test_classes_without_a_jpeg(mixed: Path) -> None:
    Path("photos/elk").mkdir()
    Path("photos/elk/1.webp").write_bytes(png(5))
    assert main([*LOAD, "--labels"]) == 0
    assert Path("x.classes.txt").read_text() == "cat\ndog\nelk\n"


def test_resumed_with_another(
    many: dict[str, bytes], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert kills.run_until([*kills.LOAD, "--fallback", "pillow"], 4) == -signal.SIGKILL
    assert main(kills.LOAD) == 2
    assert 'option fallback was "pillow ' in capsys.readouterr().err
    with monkeypatch.context() as patch:
        patch.setattr(journal, "version", lambda name: "0.1")
        assert main([*kills.LOAD, "--fallback", "pillow"]) == 2
        assert 'is "pillow 0.1"' in capsys.readouterr().err
    assert main([*kills.LOAD, "--fallback", "pillow"]) == 1
    kills.remove_outputs()
    assert kills.run_until(kills.LOAD, 4) == -signal.SIGKILL
    assert main([*kills.LOAD, "--fallback", "pillow"]) == 2
    assert "option fallback was null" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["load", "preview"])
def test_without_pillow(
    mixed: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    name = "x.npy" if command == "load" else "x.png"
    assert main([command, "photos", "-o", name, "--fallback", "pillow"]) == 2
    err = capsys.readouterr().err
    assert "pip install" in err and err.count("\n") == 1
    assert left(mixed) == []


def test_preview(mixed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["preview", "photos", "-o", "x.png", "--fallback", "pillow"]) == 0
    assert "5 of 5 images, 0 broken" in capsys.readouterr().out
    assert main(["preview", "photos", "-o", "x.png"]) == 1
    assert "4 of 4 images, 1 broken" in capsys.readouterr().out
