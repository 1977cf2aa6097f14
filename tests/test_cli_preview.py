# SPDX-License-Identifier: BSD-3-Clause
"""`fastimg preview`: contact sheets of files and of arrays."""

import os
import shutil
import sys
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from support.archive_files import make_archive
from support.cli_common import PATHS, encoded, left, run

import fastimg
from fastimg.cli import main
from fastimg.cli.array_rows import to_uint8
from fastimg.cli.sheet import ERROR_INK, ERROR_PAPER, GAP, INK, shorten, wrap

SIZE = 128
LINE = 15


def sheet(path: str = "x.png") -> npt.NDArray[np.uint8]:
    with Image.open(path) as image:
        assert image.format == "PNG" and image.mode == "RGB"
        return np.array(image)


def cell(at: int, columns: int, size: int = SIZE, lines: int = 1) -> tuple[Any, Any]:
    """The place of a picture, and of the text below it."""
    pixels = sheet()
    top = GAP + at // columns * (size + GAP + lines * LINE)
    left = GAP + at % columns * (size + GAP)
    columns_of = slice(left, left + size)
    return pixels[top : top + size, columns_of], pixels[top + size : top + size + lines * LINE, columns_of]


def has(pixels: npt.NDArray[np.uint8], colour: tuple[int, int, int]) -> bool:
    return bool((pixels == colour).all(axis=-1).any())


def is_blue(pixels: npt.NDArray[np.uint8]) -> bool:
    """As labels are, if no stroke is so wide that its colour is the pen's."""
    return bool((pixels[..., 2].astype(int) > pixels[..., 0] + 60).any())


# ---- files


def test_a_folder(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["preview", "photos", "-o", "x.png"]) == 0
    assert capsys.readouterr().out == "x.png: 3 of 3 images, 0 broken, 310 x 280 pixels\n"
    assert sheet().shape == (310, 280, 3)
    for at, path in enumerate(PATHS):
        picture, caption = cell(at, 2)
        expected = fastimg.decode(path, size=SIZE, fit="contain", pad_value=255, layout="HWC")
        np.testing.assert_array_equal(picture, expected)
        assert has(caption, INK) and not has(caption, ERROR_INK)
    picture, caption = cell(3, 2)
    assert (picture == 255).all() and (caption == 255).all()
    assert left(here) == ["x.png"]


@pytest.mark.parametrize("kind", ["list", "archive", "glob"])
def test_other_inputs(here: Path, kind: str) -> None:
    inputs = PATHS
    if kind == "list":
        Path("list.txt").write_text("\n".join(PATHS))
        inputs = ["list.txt"]
    elif kind == "archive":
        make_archive(here / "a.zip", {path: Path(path).read_bytes() for path in PATHS})
        inputs = ["a.zip"]
    assert main(["preview", "photos", "-o", "y.png"]) == 0
    assert main(["preview", *inputs, "-o", "x.png"]) == 0
    assert Path("x.png").read_bytes() == Path("y.png").read_bytes()


def test_broken_images_are_marked(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path(PATHS[1]).write_bytes(b"\x89PNG")
    Path("photos/dog/4.jpg").symlink_to("nowhere")
    assert main(["preview", "photos", "-o", "x.png"]) == 1
    assert "4 of 4 images, 2 broken" in capsys.readouterr().out
    for at in range(4):
        picture, caption = cell(at, 3)
        assert (
            has(picture, ERROR_PAPER)
            == has(picture[8:30], ERROR_INK)
            == has(caption, ERROR_INK)
            == (at in (1, 3))
        )
        assert has(caption, INK) == (at not in (1, 3))


def test_labels(here: Path) -> None:
    assert main(["preview", "photos", "-o", "x.png", "--labels"]) == 0
    for at in range(3):
        text = cell(at, 2, lines=2)[1]
        assert has(text[:LINE], INK) and is_blue(text[LINE:])
    texts = [cell(at, 2, lines=2)[1][LINE:] for at in range(3)]
    np.testing.assert_array_equal(texts[0], texts[1])
    assert (texts[0] != texts[2]).any()


@pytest.mark.parametrize(
    ("arguments", "count", "columns", "rows"),
    [
        (["--max", "1"], 1, 1, 1),
        (["--rows", "1"], 3, 3, 1),
        (["--columns", "1"], 3, 1, 3),
        (["--rows", "2", "--columns", "1"], 2, 1, 2),
        (["--rows", "5", "--columns", "5", "--max", "2"], 3, 3, 1),
        (["--columns", "9"], 3, 3, 1),
    ],
)
def test_rows_and_columns(
    here: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], count: int, columns: int, rows: int
) -> None:
    assert main(["preview", "photos", "-o", "x.png", "--size", "32", *arguments]) == 0
    height, width = rows * (32 + GAP + LINE) + GAP, columns * (32 + GAP) + GAP
    assert f": {count} of 3 images, 0 broken, {height} x {width} pixels" in capsys.readouterr().out
    assert sheet().shape[:2] == (height, width)


def test_some_of_many(here: Path) -> None:
    array = np.arange(40, dtype=np.uint8)[:, None, None] * np.ones((40, 5, 5), np.uint8)
    np.save("a.npy", array)

    def shown(*arguments: str) -> list[int]:
        assert (
            main(["preview", "a.npy", "-o", "x.png", "--rows", "1", "--max", "4", "--size", "16", *arguments])
            == 0
        )
        return [int(cell(at, 4, 16)[0][0, 0, 0]) for at in range(4)]

    assert shown() == [0, 10, 20, 30]
    assert shown("--seed", "1") == shown("--seed", "1") != shown("--seed", "2")
    assert all(np.diff(shown("--random")) > 0)


# ---- arrays


def ramp(*shape: int) -> npt.NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, shape, np.uint8)


@pytest.mark.parametrize(
    ("array", "rows", "layout"),
    [
        (ramp(2, 3, 8, 8), 2, "NCHW"),
        (ramp(2, 8, 8, 3), 2, "NHWC"),
        (ramp(2, 1, 8, 8), 2, "NCHW"),
        (ramp(2, 8, 8, 1), 2, "NHWC"),
        (ramp(5, 8, 8), 5, "NHW"),
        (ramp(3, 8, 8), 1, "CHW"),
        (ramp(8, 8, 3), 1, "HWC"),
        (ramp(8, 8), 1, "HW"),
        (ramp(2, 3, 8, 3), 2, "NCHW"),
    ],
)
def test_layouts(
    here: Path, capsys: pytest.CaptureFixture[str], array: npt.NDArray[np.uint8], rows: int, layout: str
) -> None:
    np.save("a.npy", array)
    assert main(["preview", "a.npy", "-o", "x.png", "--rows", "1", "--size", "32"]) == 0
    assert (
        f"x.png: {rows} of {rows} row{'s' * (rows > 1)}, {layout} uint8, 0 broken" in capsys.readouterr().out
    )
    images = array[None] if len(layout) < 4 and "N" not in layout else array
    channels = layout.index("C") + (len(layout) < 4) if "C" in layout else None
    images = images[..., None] if channels is None else np.moveaxis(images, channels, -1)
    for at in range(rows):
        one = np.repeat(images[at], 3 // images.shape[-1], -1)
        height, width = one.shape[:2]
        if height == width:  # enlarged four times, pixel by pixel
            np.testing.assert_array_equal(cell(at, rows, 32)[0], one.repeat(4, 0).repeat(4, 1))


def test_alpha_shows_the_paper(here: Path) -> None:
    array = np.zeros((1, 4, 8, 8), np.uint8)
    array[:, 3, :4] = 255
    np.save("a.npy", array)
    assert main(["preview", "a.npy", "-o", "x.png", "--size", "16"]) == 0
    picture, _ = cell(0, 1, 16)
    assert (picture[:8] == 0).all() and (picture[8:] == 255).all()


def test_what_load_has_written(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path(PATHS[1]).write_bytes(b"\x89PNG")
    assert main(["load", "photos", "missing.jpg", "-o", "a.npy", "--size", "16"]) == 1
    capsys.readouterr()
    assert main(["preview", "a.npy", "-o", "x.png", "--size", "64"]) == 1
    assert "4 of 4 rows, NCHW uint8, 2 broken" in capsys.readouterr().out
    array = np.load("a.npy").transpose(0, 2, 3, 1)
    for at in range(4):
        picture, caption = cell(at, 3, 64)
        if at in (1, 3):
            assert has(picture, ERROR_PAPER) and has(caption, ERROR_INK)
        else:
            np.testing.assert_array_equal(picture, array[at].repeat(4, 0).repeat(4, 1))


def test_labels_of_an_array(here: Path) -> None:
    assert main(["load", "photos", "-o", "a.npy", "--labels"]) == 0
    assert main(["preview", "a.npy", "-o", "x.png", "--labels"]) == 0
    texts = [cell(at, 2, lines=2)[1][LINE:] for at in range(3)]
    np.testing.assert_array_equal(texts[0], texts[1])
    assert is_blue(texts[0]) and (texts[0] != texts[2]).any()
    for name in ("a.classes.txt", "a.labels.npy"):
        os.remove(name)
        assert main(["preview", "a.npy", "-o", "x.png", "--labels"]) == 0


RNG = np.random.default_rng(3)
PIXELS = RNG.integers(0, 256, (2, 4, 4, 3), np.uint8)
PIXELS[0, 0, 0], PIXELS[1, 0, 0] = 0, 255
MEAN, STD = np.float32([0.485, 0.456, 0.406]), np.float32([0.229, 0.224, 0.225])


@pytest.mark.parametrize(
    ("images", "how", "levels"),
    [
        (PIXELS, "", 0),
        (PIXELS.astype(np.int64), "0 to 255", 0),
        (PIXELS.astype(np.float32), "0 to 255", 0),
        (np.float32(PIXELS) / 255, "0 to 1", 0),
        ((np.float32(PIXELS) / 255).astype(np.float16), "0 to 1", 1),
        ((np.float32(PIXELS) / 255 - MEAN) / STD, "-2.12 to 2.64, each channel scaled", 1),
        ((np.float32(PIXELS) / 255 * 2 - 1)[..., 0], "-1 to 1", 1),
        (PIXELS.astype(np.uint16) * 257, "0 to 6.55e+04", 0),
        (PIXELS > 127, "0 to 1", 128),
    ],
)
def test_scaling(images: npt.NDArray[Any], how: str, levels: int) -> None:
    scaled, words = to_uint8(images)
    assert words == how and scaled.dtype == np.uint8
    expected = PIXELS if images.ndim == 4 else PIXELS[..., 0]
    assert np.abs(scaled.astype(int) - expected).max() <= levels


@pytest.mark.parametrize("mean", [0.0, 0.5])
def test_bits_of_bfloat16(mean: float) -> None:
    floats = (np.float32(PIXELS) / 255 - np.float32(mean)) * np.float32(1 + 2 * mean)
    scaled, words = to_uint8((floats.view(np.uint32) >> 16).astype(np.uint16))
    assert words.startswith("the bits of bfloat16, ")
    assert np.abs(scaled.astype(int) - PIXELS).max() <= 4


def test_what_is_not_finite() -> None:
    images = np.float32(PIXELS) / 255
    images[0, 1, 1], images[0, 1, 2], images[0, 1, 3] = np.nan, np.inf, -np.inf
    scaled, words = to_uint8(images)
    assert words == "0 to 1" and (scaled[0, 1, 1:] == 0).all()
    np.testing.assert_array_equal(scaled[1], PIXELS[1])
    assert not to_uint8(images * np.nan)[0].any()


def test_images_are_scaled_one_by_one() -> None:
    """Each as floats, and not all at once: they may be large, and a hundred of them are drawn."""
    images = np.zeros((40, 100, 100, 3), np.float16)
    images[:, 0, 0] = -1, 2, 3
    tracemalloc.start()
    try:
        scaled, _ = to_uint8(images)
        assert tracemalloc.get_traced_memory()[1] < scaled.nbytes + 30 * 100 * 100 * 3
    finally:
        tracemalloc.stop()


# ---- text


def test_text_fits() -> None:
    assert shorten("abcdefgh", 8, len) == "abcdefgh"
    assert shorten("abcdefghi", 7, len) == "ab...hi"
    assert shorten("abcdefghi", 7, len, middle=False) == "abcd..."
    assert shorten("abc", 2, len) == ""
    assert wrap("one two three", 7, len) == ["one two", "three"]
    assert wrap("a longestword b", 4, len) == ["a", "long", "estw", "ord", "b"]
    assert wrap("", 4, len) == []


# ---- what is refused


@pytest.mark.parametrize("name", ["x.npy", "x.labels.npy"])
@pytest.mark.parametrize("kind", ["empty", "text", "archive", "header", "cut short", "objects"])
def test_what_is_no_array(here: Path, capsys: pytest.CaptureFixture[str], name: str, kind: str) -> None:
    np.save("x.npy", np.zeros((2, 3, 8, 8), np.uint8))
    whole = Path("x.npy").read_bytes()
    np.savez("x.npz", a=1)
    np.save("objects.npy", np.array([None, 1], object))
    content = {
        "empty": b"",
        "text": b"hello",
        "archive": Path("x.npz").read_bytes(),
        "header": b"\x93NUMPY\x01\x00\x10\x00{'descr': garbage",
        "cut short": whole[:200],
        "objects": Path("objects.npy").read_bytes(),
    }
    Path(name).write_bytes(content[kind])
    assert main(["preview", "x.npy", "-o", "x.png", "--labels"]) == 2
    err = capsys.readouterr().err
    assert f"error: {name}: " in err and err.count("\n") == 1 and not Path("x.png").exists()


@pytest.mark.parametrize("shape", [(), (7,), (2, 2, 3, 8, 8), (2, 5, 8, 8)])
def test_shapes_that_are_no_images(
    here: Path, capsys: pytest.CaptureFixture[str], shape: tuple[int, ...]
) -> None:
    np.save("x.npy", np.zeros(shape, np.uint8))
    assert main(["preview", "x.npy", "-o", "x.png"]) == 2
    assert f"found shape {shape}, dtype uint8" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["photos", "-o", "x.jpg"], "ends in .png"),
        (["photos", "-o", "none/x.png"], "the folder 'none' does not exist"),
        (["photos", "-o", "dir.png"], "is a folder"),
        (["phots", "-o", "x.png"], "phots: No such file"),
        (["a.npy", "photos", "-o", "x.png"], "expected a single .npy file"),
        (["a.npy", "-o", "x.png"], "found shape (2, 5), dtype complex128"),
        (["b.npy", "-o", "x.png"], "found shape (0, 3, 4, 4)"),
        (["c.npy", "-o", "x.png"], "c.npy: "),
        (["in.png", "-o", "in.png"], "in.png is an input"),
    ],
)
def test_refused(here: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], words: str) -> None:
    Path("dir.png").mkdir()
    np.save("a.npy", np.zeros((2, 5), complex))
    np.save("b.npy", np.zeros((0, 3, 4, 4), np.uint8))
    Path("c.npy").write_text("text")
    Path("in.png").write_bytes(encoded())
    before = left(here)
    assert main(["preview", *arguments]) == 2
    out, err = capsys.readouterr()
    assert words in err and err.count("\n") == 1 and out == ""
    assert left(here) == before


@pytest.mark.parametrize("size", ["0", "x", "99999999"])
def test_sizes_that_cannot_be(here: Path, size: str) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["preview", "photos", "-o", "x.png", "--size", size])
    assert ended.value.code == 2


def test_without_pillow(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "PIL", None)
    assert main(["preview", "photos", "-o", "x.png"]) == 2
    assert "pip install 'fastimg[pillow]'" in capsys.readouterr().err
    assert left(here) == []


def test_an_old_sheet_stays_if_the_new_one_fails(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("x.png").write_text("old")

    def refuse(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", refuse)
    assert main(["preview", "photos", "-o", "x.png"]) == 1
    assert capsys.readouterr().err == "fastimg: error: [Errno 28] No space left on device: 'x.png'\n"
    assert left(here) == ["x.png"] and Path("x.png").read_text() == "old"


def test_in_a_process_of_its_own(here: Path) -> None:
    shutil.rmtree("photos/dog")
    done = run("preview", "photos", "-o", "x.png")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "x.png: 2 of 2 images, 0 broken, 159 x 280 pixels\n"
