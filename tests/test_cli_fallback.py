# SPDX-License-Identifier: BSD-3-Clause
"""`--fallback pillow` of the commands."""

import io
import json
import re
import shutil
import signal
import struct
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support import kills, mixed_folder
from support.archive_files import make_archive
from support.cli_common import SIZE, encoded, left, rows, table, with_precision

import fastimg.cli.journal as journal
from fastimg import FileIndex
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


@pytest.mark.parametrize("command", ["load", "preview", "index", "info", "check"])
def test_without_pillow(
    mixed: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], command: str
) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    outputs = {"load": ["-o", "x.npy"], "preview": ["-o", "x.png"], "index": ["-o", "x.npz"]}
    assert main([command, "photos", *outputs.get(command, []), "--fallback", "pillow"]) == 2
    err = capsys.readouterr().err
    assert "pip install" in err and err.count("\n") == 1
    assert left(mixed) == []


def test_preview(mixed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["preview", "photos", "-o", "x.png", "--fallback", "pillow"]) == 0
    assert "5 of 5 images, 0 broken" in capsys.readouterr().out
    assert main(["preview", "photos", "-o", "x.png"]) == 1
    assert "4 of 4 images, 1 broken" in capsys.readouterr().out


# ---- index


def test_index(mixed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["index", "photos", "-o", "x.npz", "--fallback", "pillow"]) == 0
    assert capsys.readouterr().out.startswith("x.npz: 5 files, 2 classes, ")
    index = FileIndex.load("x.npz")
    assert list(index) == [str(mixed / path) for path in ALL]
    assert index.sizes is not None and index.sizes.tolist() == [[23, 37]] * 5
    assert main([LOAD[0], "x.npz", *LOAD[2:]]) == 0
    from_index = np.load("x.npy")
    assert main([*LOAD]) == 0
    np.testing.assert_array_equal(from_index, np.load("x.npy"))


def test_index_without_it(mixed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["index", "photos", "-o", "x.npz"]) == 1
    out, err = capsys.readouterr()
    assert "4 files" in out and "1 failure; left out: 1 .png" in out
    assert re.search(r"photos/dog/4\.jpg: not a JPEG file: .*, PNG; fallback=", err)


def test_refreshed_index(mixed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    command = ["index", "photos", "-o", "x.npz", "--refresh"]
    assert main([*command, "--fallback", "pillow"]) == 0
    Path("photos/dog/5.png").write_bytes(png(5, (8, 9)))
    assert main(command) == 1
    assert "6 files" in capsys.readouterr().out
    assert main([*command, "--fallback", "pillow"]) == 0
    sizes = FileIndex.load("x.npz").sizes
    assert sizes is not None and sizes.tolist() == [[23, 37]] * 5 + [[9, 8]]


def test_index_of_no_image(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("empty").mkdir()
    assert main(["index", "empty", "-o", "x.npz", "--fallback", "pillow"]) == 2
    assert ".png, .apng, " in capsys.readouterr().err


# ---- info


def test_info(mixed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("text.png").write_text("text")
    make_archive(mixed / "a.tar", {"1.png": png(1), "2.jpg": png(2)})
    names = [*ALL, "a.tar", "text.png"]
    assert main(["info", "--json", "--fallback", "pillow", *names]) == 1
    found = json.loads(capsys.readouterr().out)
    assert [record["path"] for record in found] == [*ALL, "a.tar/1.png", "a.tar/2.jpg", "text.png"]
    formats = [record.get("format") for record in found]
    assert formats == ["JPEG", "JPEG", "PNG", "JPEG", "PNG", "PNG", "PNG", None]
    assert {(record["width"], record["height"]) for record in found[:-1]} == {SIZE}
    assert "the fallback failed, too: Pillow: " in found[-1]["error"]
    assert main(["info", "--fallback", "pillow", "photos/cat/2.png"]) == 0
    assert capsys.readouterr().out.splitlines()[1].split()[-1] == "PNG"
    assert main(["info", "photos/cat/2.png"]) == 1
    assert 'PNG; fallback="pillow" decodes it' in capsys.readouterr().out


# ---- check

CHECK = ("check", "photos", "--fallback", "pillow")
HEIC = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic"

KINDS = {
    "0-cut.png": "broken",
    "1-header.png": "broken",
    "2-text.png": "not JPEG",
    "3-notes.txt": "not JPEG",
    "4-large.bmp": "too large",
    "5-cut.tga": "broken",
    "6-twelve-bit.jpg": "unsupported",
    "7-cut.jpg": "broken",
    "8-heic.jpg": "not JPEG",
    "9-gone.png": "unreadable",
}


@pytest.fixture
def bad(mixed: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """photos/bad/: one file of each kind, without the packages for HEIC and 12 bits."""
    folder = mixed / "photos/bad"
    folder.mkdir()
    good = encoded(5)
    image = Image.fromarray(np.full((40, 50, 3), 90, np.uint8))
    (folder / "0-cut.png").write_bytes(png(3)[:-900])
    (folder / "1-header.png").write_bytes(png(3)[:20])
    (folder / "2-text.png").write_text("text")
    (folder / "3-notes.txt").write_text("notes")
    large = bytearray(mixed_folder.saved(image, "BMP"))
    large[18:26] = struct.pack("<II", 20_000, 20_000)
    (folder / "4-large.bmp").write_bytes(large)
    (folder / "5-cut.tga").write_bytes(mixed_folder.saved(image, "TGA")[:3000])
    (folder / "6-twelve-bit.jpg").write_bytes(with_precision(good, 12))
    (folder / "7-cut.jpg").write_bytes(good[: len(good) * 2 // 3])
    (folder / "8-heic.jpg").write_bytes(HEIC)
    (folder / "9-gone.png").symlink_to("nothing")
    monkeypatch.setattr("fastimg.jpeg_kinds.find_spec", lambda name: None)
    monkeypatch.setattr("fastimg.signatures.find_spec", lambda name: None)
    monkeypatch.setattr("fastimg.pillow.find_spec", lambda name: None)
    return mixed


def test_check_of_good_files(mixed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*CHECK]) == 0
    assert capsys.readouterr().out == "5 files: 5 fine\n"
    assert main(["check", "photos"]) == 1
    assert capsys.readouterr().out.splitlines()[-1] == "5 files: 3 fine, 2 not JPEG (2 PNG)"


def test_check_tells_the_kinds_apart(bad: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*CHECK, "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert {row["path"].removeprefix("photos/bad/"): row["kind"] for row in found} == KINDS
    reasons = {row["path"].removeprefix("photos/bad/"): row["reason"] for row in found}
    assert "the fallback failed, too: Pillow: OSError: " in reasons["0-cut.png"]
    assert "20000 x 20000 pixels, more than max_pixels" in reasons["4-large.bmp"]
    assert "pip install pillow-heif" in reasons["8-heic.jpg"]
    assert not any("photos/bad" in reason for reason in reasons.values())
    assert main([*CHECK]) == 1
    assert capsys.readouterr().out.splitlines()[-1] == (
        "15 files: 5 fine, 4 broken, 3 not JPEG (1 HEIC), 1 too large, 1 unsupported, 1 unreadable"
    )


def test_check_agrees_with_load(bad: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*CHECK, "--json"]) == 1
    failing = {row["path"] for row in json.loads(capsys.readouterr().out)}
    assert main([*LOAD, "--size", "8"]) == 1
    listed = table(bad / "x.files.csv")[1:]
    assert {row[1] for row in listed if row[3]} == failing - {"photos/bad/3-notes.txt"}


@pytest.mark.parametrize("name", ["a.tar", "a.zip"])
def test_check_of_archives(mixed: Path, capsys: pytest.CaptureFixture[str], name: str) -> None:
    make_archive(
        mixed / name, {"1.jpg": encoded(1), "2.png": png(2), "3.png": png(3)[:-900], "4.txt": b"text"}
    )
    assert main(["check", name, "--fallback", "pillow"]) == 1
    line, count = capsys.readouterr().out.splitlines()
    assert line.startswith("broken\t") and line.endswith(f"\t{name}/3.png")
    assert count == "3 files: 2 fine, 1 broken"
