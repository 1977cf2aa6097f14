# SPDX-License-Identifier: BSD-3-Clause
"""`fastimg load`: what it writes, labels, bad files, wrong use."""

import os
import re
import shutil
import stat
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image
from support.cli_common import (
    PATHS,
    encoded,
    left,
    npy_header_size,
    pixels,
    rows,
    run,
    table,
    with_precision,
    with_size,
)

import fastimg
from fastimg.cli import main

# ---- load: what it writes


def test_load_writes_an_array_that_numpy_maps(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["load", "photos", "-o", "train.npy"]) == 0
    array = np.load("train.npy", mmap_mode="r")
    assert isinstance(array, np.memmap)
    assert (array.shape, array.dtype) == ((3, 3, 23, 37), np.uint8)
    np.testing.assert_array_equal(array, rows().transpose(0, 3, 1, 2))
    start = npy_header_size(here / "train.npy")
    assert start % 64 == 0
    assert os.path.getsize("train.npy") == start + array.nbytes
    assert (here / "train.files.csv").read_bytes() == (
        b"row,path,label,error\n0,photos/cat/1.jpg,,\n1,photos/cat/2.jpg,,\n2,photos/dog/3.jpg,,\n"
    )
    assert left(here) == ["train.files.csv", "train.npy"]
    out, err = capsys.readouterr()
    assert err == ""  # no bar: stderr is no terminal here
    lines = out.splitlines()
    assert re.fullmatch(
        r"train\.npy: shape \(3, 3, 23, 37\), dtype uint8, 7,659 bytes; [\d,]{5,} bytes are free", lines[0]
    )
    assert lines[1].startswith("3 images in ") and lines[1].endswith(" MB/s of JPEG, 0 failures")
    assert " images/s, " in lines[1]
    assert len(lines) == 2


def test_load_in_its_own_process(here: Path) -> None:
    done = run("load", "photos", "-o", "train.npy", "--labels", "--num-threads", "2")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[2] == "2 classes: 0 cat, 1 dog"
    np.testing.assert_array_equal(np.load("train.npy"), rows().transpose(0, 3, 1, 2))
    assert left(here) == ["train.classes.txt", "train.files.csv", "train.labels.npy", "train.npy"]


UNIT = rows().astype(np.float32).transpose(0, 3, 1, 2) / 255


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [
        (["--layout", "HWC"], rows()),
        (["--mode", "BGR", "--layout", "HWC"], rows()[..., ::-1]),
        (["--crop", "3", "5", "7", "11"], rows()[:, 3:10, 5:16].transpose(0, 3, 1, 2)),
        (["--flip"], rows()[:, :, ::-1].transpose(0, 3, 1, 2)),
        (["--dtype", "float32"], UNIT),
        (["--dtype", "float16"], UNIT.astype(np.float16)),
        (["--dtype", "float32", "--mean", "0.5", "--std", "0.25"], (UNIT - 0.5) / 0.25),
        (
            ["--dtype", "float32", "--mean=-0.5,0,0.5", "--std", "0.25,0.5,1"],
            (UNIT - np.reshape([-0.5, 0, 0.5], (3, 1, 1))).astype(np.float32)
            / np.reshape([0.25, 0.5, 1], (3, 1, 1)).astype(np.float32),
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_load_options(here: Path, arguments: list[str], expected: npt.NDArray[Any]) -> None:
    assert main(["load", "photos", "-o", "x.npy", *arguments]) == 0
    array = np.load("x.npy", mmap_mode="r")
    assert (array.shape, array.dtype) == (expected.shape, expected.dtype)
    if array.dtype == np.uint8:
        np.testing.assert_array_equal(array, expected)
    else:
        np.testing.assert_allclose(
            array, expected, rtol=0, atol=2 ** (-10 if array.dtype == np.float16 else -20)
        )


def test_load_grey(here: Path) -> None:
    assert main(["load", "photos", "-o", "x.npy", "--mode", "L"]) == 0
    images = [Image.open(path) for path in PATHS]
    for image in images:
        image.draft("L", image.size)  # libjpeg's own grey: the luma of the file
    np.testing.assert_array_equal(np.load("x.npy"), np.stack([np.array(image)[None] for image in images]))


def test_load_applies_the_orientation_unless_told(here: Path) -> None:
    shutil.rmtree("photos")
    data = encoded(4, orientation=6)
    Path("a.jpg").write_bytes(data)
    assert main(["load", "a.jpg", "-o", "turned.npy", "--layout", "HWC"]) == 0
    assert main(["load", "a.jpg", "-o", "stored.npy", "--layout", "HWC", "--no-orient"]) == 0
    turned, stored = np.load("turned.npy"), np.load("stored.npy")
    assert (turned.shape, stored.shape) == ((1, 37, 23, 3), (1, 23, 37, 3))
    np.testing.assert_array_equal(turned[0], pixels(data))
    np.testing.assert_array_equal(stored[0], np.array(Image.open("a.jpg")))


def test_load_takes_files_and_folders_in_the_order_given(here: Path) -> None:
    assert main(["load", "photos/dog/3.jpg", "photos/cat", "photos/dog/3.jpg", "-o", "x.npy"]) == 0
    paths = [PATHS[2], PATHS[0], PATHS[1], PATHS[2]]
    assert [row[1] for row in table(here / "x.files.csv")[1:]] == paths
    np.testing.assert_array_equal(np.load("x.npy"), rows().transpose(0, 3, 1, 2)[[2, 0, 1, 2]])


def test_load_into_another_folder(here: Path) -> None:
    (here / "out").mkdir()
    assert main(["load", "photos", "-o", "out/train.npy", "--labels"]) == 0
    assert sorted(os.listdir("out")) == [
        "train.classes.txt", "train.files.csv", "train.labels.npy", "train.npy",
    ]  # fmt: skip
    assert left(here) == ["out"]


def test_load_replaces_what_an_earlier_run_wrote(here: Path) -> None:
    names = ("x.npy", "x.files.csv", "x.labels.npy", "x.classes.txt")
    for name in names:
        Path(name).write_text("old")
    assert main(["load", "photos", "-o", "x.npy", "--labels"]) == 0
    assert np.load("x.npy").shape == (3, 3, 23, 37)
    assert len(table(here / "x.files.csv")) == 4
    assert np.load("x.labels.npy").tolist() == [0, 0, 1]
    assert Path("x.classes.txt").read_text() == "cat\ndog\n"


@pytest.mark.parametrize("name", ["x.labels.npy", "x.classes.txt"])
def test_load_warns_of_labels_that_it_did_not_write(
    here: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    Path(name).write_text("old")
    assert main(["load", "photos", "-o", "x.npy"]) == 0
    assert capsys.readouterr().err.startswith(f"fastimg: warning: {name} is from an earlier run")
    assert Path(name).read_text() == "old"


def test_outputs_have_the_rights_of_ordinary_files(here: Path) -> None:
    done = run("load", "photos", "-o", "x.npy", "--labels", umask=0o027)
    assert done.returncode == 0
    for name in ("x.npy", "x.files.csv", "x.labels.npy", "x.classes.txt"):
        assert stat.S_IMODE(os.stat(name).st_mode) == 0o640


def test_a_name_of_full_length(here: Path) -> None:
    name = "x" * (255 - len(".classes.txt"))
    assert main(["load", "photos", "-o", name + ".npy", "--labels"]) == 0
    ends = (".classes.txt", ".files.csv", ".labels.npy", ".npy")
    assert left(here) == [name + end for end in ends]


# ---- load: labels


def test_labels(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("photos/ant/sub").mkdir(parents=True)
    Path("photos/ant/sub/4.jpg").write_bytes(encoded(4))
    assert main(["load", "photos", "photos/dog/3.jpg", "-o", "x.npy", "--labels"]) == 0
    labels = np.load("x.labels.npy")
    assert labels.dtype == np.int64
    assert labels.tolist() == [0, 1, 1, 2, 2]
    assert [row[1:3] for row in table(here / "x.files.csv")[1:]] == [
        ["photos/ant/sub/4.jpg", "0"],
        ["photos/cat/1.jpg", "1"],
        ["photos/cat/2.jpg", "1"],
        ["photos/dog/3.jpg", "2"],
        ["photos/dog/3.jpg", "2"],
    ]
    assert capsys.readouterr().out.splitlines()[2] == "3 classes: 0 ant, 1 cat, 2 dog"


def test_a_failed_row_keeps_its_label(here: Path) -> None:
    Path(PATHS[1]).write_bytes(b"")
    assert main(["load", "photos", "-o", "x.npy", "--labels"]) == 1
    assert np.load("x.labels.npy").tolist() == [0, 0, 1]


def test_a_file_without_a_class_is_named(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("photos/4.jpg").write_bytes(encoded(4))
    assert main(["load", "photos", "-o", "x.npy", "--labels"]) == 2
    out, err = capsys.readouterr()
    assert err.startswith("fastimg: error: photos/4.jpg: no class")
    assert out == ""
    assert left(here) == []


# ---- load: bad files


def test_fill_leaves_zeros_and_says_why(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    good = encoded(1)
    Path("photos/cat/0.jpg").write_bytes(b"")  # the shape comes from the first header that can be read
    Path("photos/cat/2.jpg").write_bytes(good[: len(good) // 2])
    Path("photos/dog/4.jpg").write_bytes(b"\x89PNG\r\n\x1a\n" + bytes(100))
    assert main(["load", "photos", "missing.jpg", "-o", "x.npy"]) == 1
    paths = ["photos/cat/0.jpg", *PATHS, "photos/dog/4.jpg", "missing.jpg"]
    array = np.load("x.npy")
    np.testing.assert_array_equal(array[[1, 3]], rows().transpose(0, 3, 1, 2)[[0, 2]])
    assert array.shape[0] == 6
    assert not array[[0, 2, 4, 5]].any()
    lines = table(here / "x.files.csv")
    assert lines[0] == ["row", "path", "label", "error"]
    assert [line[:3] for line in lines[1:]] == [[str(row), path, ""] for row, path in enumerate(paths)]
    assert [bool(line[3]) for line in lines[1:]] == [True, False, True, False, True, True]
    assert "missing.jpg" in lines[6][3]
    out, err = capsys.readouterr()
    assert out.splitlines()[1].startswith("2 images in ")
    assert out.splitlines()[1].endswith(" 4 failures (1 PNG)")
    assert err.splitlines() == ["fastimg: " + lines[row + 1][3] for row in (0, 2, 4, 5)]


def test_many_failures_are_not_all_printed(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    missing = [f"missing{i}.jpg" for i in range(13)]
    assert main(["load", "photos", *missing, "-o", "x.npy"]) == 1
    err = capsys.readouterr().err.splitlines()
    assert len(err) == 11
    assert err[-1] == "fastimg: 3 more failures: see x.files.csv"
    assert all(name in line for name, line in zip(missing[:10], err[:10], strict=True))


@pytest.mark.parametrize("bad", ["photos/cat/1.jpg", "photos/cat/2.jpg"])
def test_raise_leaves_nothing_behind(here: Path, capsys: pytest.CaptureFixture[str], bad: str) -> None:
    Path(bad).write_bytes(encoded(1)[:400])
    assert main(["load", "photos", "-o", "x.npy", "--on-error", "raise"]) == 1
    out, err = capsys.readouterr()
    assert err.startswith("fastimg: error: ") and bad in err
    assert out.count("\n") == (bad != PATHS[0])  # the size, if a header is found
    assert left(here) == []


def test_no_strict_keeps_a_truncated_image(here: Path) -> None:
    data = encoded(1)
    Path(PATHS[0]).write_bytes(data[: len(data) - 40])
    assert main(["load", "photos", "-o", "strict.npy"]) == 1
    assert main(["load", "photos", "-o", "x.npy", "--no-strict"]) == 0
    assert not np.load("strict.npy")[0].any()
    np.testing.assert_array_equal(np.load("x.npy")[0, :, :8], rows()[0, :8].transpose(2, 0, 1))


def test_images_of_two_sizes(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path(PATHS[1]).write_bytes(encoded(2, (40, 30)))
    assert main(["load", "photos", "-o", "x.npy"]) == 2
    out, err = capsys.readouterr()
    assert err.startswith("fastimg: error: ") and err.count("\n") == 1
    assert PATHS[0] in err and PATHS[1] in err
    for number in ("37", "23", "40", "30"):
        assert number in err
    assert out.startswith("x.npy: shape (3, ") and out.count("\n") == 1
    assert left(here) == []


def test_images_of_two_sizes_can_be_cropped(here: Path) -> None:
    Path(PATHS[1]).write_bytes(encoded(2, (40, 30)))
    assert main(["load", "photos", "-o", "x.npy", "--crop", "0", "0", "20", "30"]) == 0
    assert np.load("x.npy").shape == (3, 3, 20, 30)


def test_no_space_is_reserved_for_a_header_over_the_limit(here: Path) -> None:
    Path(PATHS[0]).write_bytes(with_size(encoded(1), 65_000, 65_000))
    assert main(["load", "photos", "-o", "x.npy"]) == 1
    array = np.load("x.npy")
    assert array.shape == (3, 3, 23, 37)
    assert not array[0].any()
    np.testing.assert_array_equal(array[1:], rows()[1:].transpose(0, 3, 1, 2))


def test_a_header_of_an_unsupported_kind_gives_no_shape(here: Path) -> None:
    Path(PATHS[0]).write_bytes(with_precision(encoded(1, (50, 40)), 12))
    assert main(["load", "photos", "-o", "x.npy"]) == 1
    array = np.load("x.npy")
    assert not array[0].any()
    np.testing.assert_array_equal(array[1:], rows()[1:].transpose(0, 3, 1, 2))


def test_max_pixels(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["load", "photos", "-o", "x.npy", "--max-pixels", str(37 * 23 - 1)]) == 2
    err = capsys.readouterr().err
    assert err.startswith("fastimg: error: none of 3 images can be loaded; the first: ")
    assert PATHS[0] in err
    assert main(["load", "photos", "-o", "x.npy", "--max-pixels", str(37 * 23)]) == 0


def test_nothing_can_be_read(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["load", "missing.jpg", "gone.jpg", "-o", "x.npy"]) == 2
    err = capsys.readouterr().err
    assert err.startswith("fastimg: error: none of 2 images can be loaded; the first: ")
    assert "missing.jpg" in err
    assert left(here) == []


# ---- load: wrong use


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["gone.jpg", "-o", "none/x.npy"], "'none' does not exist"),
        (["gone.jpg", "-o", "x.dat"], "ends in .npy, found 'x.dat'"),
        (["gone.jpg", "-o", "photos"], "ends in .npy, found 'photos'"),
        (["gone.jpg", "-o", "folder.npy"], "'folder.npy' is a folder"),
        (["gone.jpg", "-o", "y.npy"], "'y.files.csv' is a folder"),
        (["gone.jpg", "-o", "x.npy", "--std", "0"], "std"),
        (["gone.jpg", "-o", "x.npy", "--mean", "0.5"], "mean"),
        (["gone.jpg", "-o", "x.npy", "--crop", "0", "0", "0", "5"], "crop"),
        (["gone.jpg", "-o", "x.npy", "--crop", "-1", "0", "5", "5"], "crop"),
        (["gone.jpg", "-o", "x.npy", "--num-threads", "0"], "num_threads"),
        (["empty", "-o", "x.npy"], "no .jpg, .jpeg, .jpe, .jfif file below empty"),
    ],
)
def test_wrong_use_is_refused_before_any_file_is_read(
    here: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: list[str],
    words: str,
) -> None:
    for name in ("empty", "folder.npy", "y.files.csv"):
        (here / name).mkdir()
    monkeypatch.setattr(fastimg, "ImageFileAccessor", lambda *args, **options: pytest.fail("a file was read"))
    assert main(["load", *arguments]) == 2
    err = capsys.readouterr().err
    assert err.startswith("fastimg: error: ") and words in err
    assert left(here) == ["empty", "folder.npy", "y.files.csv"]


def test_a_missing_folder_is_not_taken_for_a_file(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["load", "photo/", "-o", "x.npy", "--crop", "0", "0", "2", "2"]) == 2
    assert "photo/" in capsys.readouterr().err
    assert left(here) == []


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["paint"],
        ["load"],
        ["load", "photos"],
        ["load", "photos", "-o", "x.npy", "--mode", "CMYK"],
        ["load", "photos", "-o", "x.npy", "--crop", "0", "0", "5"],
        ["load", "photos", "-o", "x.npy", "--mean", "a"],
        ["load", "photos", "-o", "x.npy", "--on-error", "skip"],
        ["info"],
        ["check"],
        ["check", "photos", "--num-threads", "two"],
    ],
    ids=" ".join,
)
def test_usage_errors(here: Path, capsys: pytest.CaptureFixture[str], arguments: list[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert capsys.readouterr().err.startswith("usage: fastimg")
    assert left(here) == []
