# SPDX-License-Identifier: BSD-3-Clause
import csv
import dataclasses
import errno
import io
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import termios
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from PIL import Image, ImageOps

import fastimg
from fastimg import npy_file
from fastimg.cli import main

SIZE = (37, 23)  # width, height


def encoded(seed: int = 0, size: tuple[int, int] = SIZE, orientation: int = 1, **options: Any) -> bytes:
    """A small JPEG whose pixels depend on `seed`."""
    rng = np.random.default_rng(seed)
    small = Image.fromarray(rng.integers(0, 256, (5, 7, 3), np.uint8))
    exif = Image.Exif()
    exif[0x0112] = orientation
    file = io.BytesIO()
    small.resize(size, Image.Resampling.BICUBIC).save(
        file, "JPEG", quality=90, exif=exif.tobytes(), **options
    )
    return file.getvalue()


def pixels(data: bytes) -> npt.NDArray[np.uint8]:
    """Pillow's pixels, upright, (H, W, 3)."""
    return np.array(ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB"))


def with_size(data: bytes, width: int, height: int) -> bytes:
    """The same file with another size in its header."""
    at = data.index(b"\xff\xc0") + 5
    return data[:at] + height.to_bytes(2, "big") + width.to_bytes(2, "big") + data[at + 4 :]


def with_precision(data: bytes, bits: int) -> bytes:
    at = data.index(b"\xff\xc0") + 4
    return data[:at] + bytes([bits]) + data[at + 1 :]


def npy_header_size(path: Path) -> int:
    with open(path, "rb") as file:
        assert np.lib.format.read_magic(file) == (1, 0)
        np.lib.format.read_array_header_1_0(file)
        return file.tell()


def table(path: Path) -> list[list[str]]:
    with open(path, encoding="utf-8", errors="surrogateescape", newline="") as file:
        return list(csv.reader(file))


def run(*args: str, **options: Any) -> "subprocess.CompletedProcess[str]":
    """Run the command, or a program after "-c", in a process of its own with the package that is tested here."""
    command = [sys.executable, *(args if args[0] == "-c" else ("-m", "fastimg", *args))]
    return process(command, **options)


def process(command: list[str], **options: Any) -> "subprocess.CompletedProcess[str]":
    source = str(Path(fastimg.__file__).parent.parent)
    env = {**os.environ, "PYTHONPATH": source, "PYTHONIOENCODING": "utf-8", **options.pop("env", {})}
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "timeout": 120, **options}
    return subprocess.run(command, env=env, encoding="utf-8", errors="replace", **options)


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: photos/cat/1.jpg, photos/cat/2.jpg, photos/dog/3.jpg, of one size."""
    for seed, name in enumerate(("cat/1.jpg", "cat/2.jpg", "dog/3.jpg"), 1):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(encoded(seed))
    monkeypatch.chdir(tmp_path)
    return tmp_path


PATHS = ["photos/cat/1.jpg", "photos/cat/2.jpg", "photos/dog/3.jpg"]


def rows() -> npt.NDArray[np.uint8]:
    return np.stack([pixels(encoded(seed)) for seed in (1, 2, 3)])


def left(folder: Path) -> list[str]:
    return sorted(name for name in os.listdir(folder) if name != "photos")


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
    assert lines[0] == "train.npy: shape (3, 3, 23, 37), dtype uint8, 7,659 bytes"
    assert lines[1].startswith("3 images in ") and lines[1].endswith(" MB/s of JPEG, 0 failures")
    assert " images/s, " in lines[1]
    assert len(lines) == 2


def test_load_in_its_own_process(here: Path) -> None:
    done = run("load", "photos", "-o", "train.npy", "--labels", "--num-threads", "2")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines()[2] == "2 classes: 0 cat, 1 dog"
    np.testing.assert_array_equal(np.load("train.npy"), rows().transpose(0, 3, 1, 2))
    assert left(here) == ["train.files.csv", "train.labels.npy", "train.npy"]


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
    assert sorted(os.listdir("out")) == ["train.files.csv", "train.labels.npy", "train.npy"]
    assert left(here) == ["out"]


def test_load_replaces_what_an_earlier_run_wrote(here: Path) -> None:
    names = ("x.npy", "x.files.csv", "x.labels.npy")
    for name in names:
        Path(name).write_text("old")
    assert main(["load", "photos", "-o", "x.npy", "--labels"]) == 0
    assert np.load("x.npy").shape == (3, 3, 23, 37)
    assert len(table(here / "x.files.csv")) == 4
    assert np.load("x.labels.npy").tolist() == [0, 0, 1]


def test_load_warns_of_labels_that_it_did_not_write(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("x.labels.npy").write_text("old")
    assert main(["load", "photos", "-o", "x.npy"]) == 0
    assert capsys.readouterr().err.startswith("fastimg: warning: x.labels.npy is from an earlier run")
    assert Path("x.labels.npy").read_text() == "old"


def test_outputs_have_the_rights_of_ordinary_files(here: Path) -> None:
    done = run("load", "photos", "-o", "x.npy", "--labels", umask=0o027)
    assert done.returncode == 0
    for name in ("x.npy", "x.files.csv", "x.labels.npy"):
        assert stat.S_IMODE(os.stat(name).st_mode) == 0o640


def test_a_name_of_full_length(here: Path) -> None:
    name = "x" * (255 - len(".labels.npy"))
    assert main(["load", "photos", "-o", name + ".npy", "--labels"]) == 0
    assert left(here) == [name + ".files.csv", name + ".labels.npy", name + ".npy"]


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
    assert out.splitlines()[1].endswith(" 4 failures")
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
    assert out == ""
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
    assert out == ""
    assert left(here) == []


def test_images_of_two_sizes_can_be_cropped(here: Path) -> None:
    Path(PATHS[1]).write_bytes(encoded(2, (40, 30)))
    assert main(["load", "photos", "-o", "x.npy", "--crop", "0", "0", "20", "30"]) == 0
    assert np.load("x.npy").shape == (3, 3, 20, 30)


def test_crop_gives_the_shape_when_no_header_can_be_read(here: Path) -> None:
    assert main(["load", "missing.jpg", "-o", "x.npy", "--crop", "0", "0", "2", "5", "--layout", "HWC"]) == 1
    array = np.load("x.npy")
    assert array.shape == (1, 2, 5, 3)
    assert not array.any()


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
    assert main(["load", "photos", "-o", "x.npy", "--max-pixels", str(37 * 23 - 1)]) == 1
    err = capsys.readouterr().err
    assert err.startswith("fastimg: error: none of 3 images can be loaded; the first: ")
    assert PATHS[0] in err
    assert main(["load", "photos", "-o", "x.npy", "--max-pixels", str(37 * 23)]) == 0


def test_nothing_can_be_read(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["load", "missing.jpg", "gone.jpg", "-o", "x.npy"]) == 1
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
    assert main(["load", "photo/", "-o", "x.npy", "--crop", "0", "0", "2", "2"]) == 1
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


# ---- load: disks and interruptions


def test_space_is_reserved_before_anything_is_decoded(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    steps: list[tuple[Any, ...]] = []
    load = fastimg.load

    def reserve(descriptor: int, start: int, nbytes: int) -> None:
        steps.append(("reserve", start, nbytes))
        os.ftruncate(descriptor, nbytes)

    def spy(sources: Any, *args: Any, **options: Any) -> Any:
        steps.append(("load", len(sources)))
        return load(sources, *args, **options)

    monkeypatch.setattr(os, "posix_fallocate", reserve, raising=False)
    monkeypatch.setattr(fastimg, "load", spy)
    assert main(["load", "photos", "-o", "x.npy"]) == 0
    assert steps == [("load", 0), ("reserve", 0, os.path.getsize("x.npy")), ("load", 3)]


def refuse(code: int) -> Any:
    def fallocate(descriptor: int, start: int, nbytes: int) -> None:
        raise OSError(code, os.strerror(code))

    return fallocate


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EFBIG, errno.EDQUOT, errno.EIO])
def test_a_full_disk_is_an_error(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], code: int
) -> None:
    Path("x.npy").write_text("old")
    monkeypatch.setattr(os, "posix_fallocate", refuse(code), raising=False)
    assert main(["load", "photos", "-o", "x.npy"]) == 1
    err = capsys.readouterr().err
    assert err.startswith("fastimg: error: ") and os.strerror(code) in err and "x.npy" in err
    assert "7,659 bytes" in err
    assert left(here) == ["x.npy"]
    assert Path("x.npy").read_text() == "old"


@pytest.mark.parametrize("code", [errno.EOPNOTSUPP, errno.EINVAL, None])
def test_where_space_cannot_be_reserved_zeros_are_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int | None
) -> None:
    if code is None:
        monkeypatch.delattr(os, "posix_fallocate", raising=False)
    else:
        monkeypatch.setattr(os, "posix_fallocate", refuse(code), raising=False)
    shape = (2, 3, 700, 501)  # not a whole number of the chunks that are written
    with npy_file.FileSet() as files:
        array = npy_file.create_array(
            files.create(str(tmp_path / "x.npy")), shape, np.dtype(np.uint8), "x.npy"
        )
        (name,) = os.listdir(tmp_path)
        size = os.path.getsize(tmp_path / name)
        assert size == npy_header_size(tmp_path / name) + array.nbytes
        written = (tmp_path / name).read_bytes()[-array.nbytes :]
        assert written == bytes(array.nbytes)
        array[:] = 7
        files.publish()
    result = np.load(tmp_path / "x.npy")
    assert result.shape == shape
    assert (result == 7).all()


def test_the_zeros_are_really_written(monkeypatch: pytest.MonkeyPatch) -> None:
    class File(io.BytesIO):  # a file that was only made longer would read the same
        def fileno(self) -> int:
            return -1

    monkeypatch.setattr(os, "posix_fallocate", refuse(errno.EOPNOTSUPP), raising=False)
    for nbytes in (3, 4, 1 << 20, (1 << 20) + 3, (1 << 20) + 4, 5_000_000):
        file = File(b"abc")
        file.seek(3)
        npy_file.reserve(file, nbytes)
        assert file.getvalue() == b"abc" + bytes(nbytes - 3)


LIMITED = """
import resource, sys
from fastimg.cli import main
resource.setrlimit(resource.RLIMIT_FSIZE, (4096, 4096))
sys.exit(main(["load", "photos", "-o", "x.npy"]))
"""


def test_a_limit_on_the_size_of_files(here: Path) -> None:
    done = run("-c", LIMITED)
    assert done.returncode == 1
    assert done.stderr.startswith("fastimg: error: ") and os.strerror(errno.EFBIG) in done.stderr
    assert done.stderr.count("\n") == 1
    assert left(here) == []


@pytest.fixture
def small_disk(tmp_path: Path) -> Any:
    if sys.platform != "linux" or os.geteuid() != 0:
        pytest.skip("needs root, to mount a file system of 64 kB")
    disk = tmp_path / "disk"
    disk.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(disk)]
    if subprocess.run(command, stderr=subprocess.DEVNULL).returncode:
        pytest.skip("this container may not mount")
    yield disk
    subprocess.run(["umount", str(disk)], check=True)


def test_a_disk_that_is_really_full(here: Path, small_disk: Path) -> None:
    fits = run("load", "photos", "-o", str(small_disk / "x.npy"))
    assert (fits.returncode, fits.stderr) == (0, "")
    before = sorted(os.listdir(small_disk))
    full = run("load", "photos", *PATHS, "-o", str(small_disk / "y.npy"), "--dtype", "float32")
    assert full.returncode == 1
    assert full.stderr.startswith("fastimg: error: ") and os.strerror(errno.ENOSPC) in full.stderr
    assert full.stderr.count("\n") == 1
    assert sorted(os.listdir(small_disk)) == before


INTERRUPT = """
import os, signal, sys
import fastimg, fastimg.cli
load = fastimg.load
def interrupted(sources, *args, **options):
    if sources:
        assert [name for name in os.listdir() if name.startswith(".fastimg-")]
        options["progress"] = lambda done, total: os.kill(os.getpid(), signal.SIGINT)
    return load(sources, *args, **options)
fastimg.load = interrupted
sys.exit(fastimg.cli.main(["load", "photos", "-o", "x.npy", "--labels"]))
"""


def test_ctrl_c_leaves_nothing_behind(here: Path) -> None:
    Path("x.npy").write_text("old")
    done = run("-c", INTERRUPT)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")
    assert left(here) == ["x.npy"]
    assert Path("x.npy").read_text() == "old"


def test_ctrl_c_in_the_middle_of_a_long_run(here: Path) -> None:
    Path("big.jpg").write_bytes(encoded(1, (3000, 2000), progressive=True))
    crop = ("--crop", "1999", "2999", "1", "1")  # all of the work, hardly any space
    source = str(Path(fastimg.__file__).parent.parent)
    command = [sys.executable, "-m", "fastimg", "load", *["big.jpg"] * 3000, "-o", "x.npy", *crop]
    process = subprocess.Popen(
        command, env={**os.environ, "PYTHONPATH": source}, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        while process.poll() is None and not any(name.startswith(".fastimg-") for name in os.listdir()):
            pass
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert (process.returncode, out, err) == (130, b"", b"")
    assert left(here) == ["big.jpg"]


@pytest.mark.parametrize("error", [OSError(errno.EIO, "Input/output error"), KeyboardInterrupt()])
@pytest.mark.parametrize("victim", ["x.npy", "x.files.csv", "x.labels.npy"])
def test_all_outputs_appear_or_none(
    here: Path, monkeypatch: pytest.MonkeyPatch, victim: str, error: BaseException
) -> None:
    replace = os.replace

    def failing(source: str, target: str) -> None:
        if target == victim:
            raise error
        replace(source, target)

    monkeypatch.setattr(os, "replace", failing)
    status = 130 if isinstance(error, KeyboardInterrupt) else 1
    assert main(["load", "photos", "-o", "x.npy", "--labels"]) == status
    assert left(here) == []


def test_the_array_gets_its_name_last(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    targets: list[str] = []
    replace = os.replace

    def spy(source: str, target: str) -> None:
        targets.append(target)
        replace(source, target)

    monkeypatch.setattr(os, "replace", spy)
    assert main(["load", "photos", "-o", "x.npy", "--labels"]) == 0
    assert targets == ["x.labels.npy", "x.files.csv", "x.npy"]


@pytest.mark.parametrize("step", ["write_table", "np.save", "os.fsync"])
def test_a_write_that_fails_leaves_nothing_behind(
    here: Path, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    def fail(*args: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    owner, name = {
        "write_table": (npy_file, "write_table"),
        "np.save": (np, "save"),
        "os.fsync": (os, "fsync"),
    }[step]
    monkeypatch.setattr(owner, name, fail)
    assert main(["load", "photos", "-o", "x.npy", "--labels"]) == 1
    assert left(here) == []


# ---- load: the bar


@pytest.mark.parametrize("quiet", [False, True])
@pytest.mark.parametrize(
    "command", [["load", "photos", "-o", "x.npy"], ["check", "photos"]], ids=["load", "check"]
)
def test_a_bar_on_a_terminal(here: Path, command: list[str], quiet: bool) -> None:
    terminal, stderr = os.openpty()
    termios.tcsetwinsize(stderr, (24, 80))
    try:
        done = run(*command, *(["--quiet"] if quiet else []), stderr=stderr)
        os.close(stderr)
        try:
            shown = os.read(terminal, 65536)
        except OSError:  # Linux: nothing was written, and nobody can write any more
            shown = b""
    finally:
        os.close(terminal)
    assert done.returncode == 0
    assert (b"3/3" in shown) is not quiet
    assert (shown == b"") is quiet
    assert "3" in done.stdout


# ---- info


def test_info_prints_one_aligned_line_a_file(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("a longer name.jpg").write_bytes(
        encoded(1, (1000, 8), orientation=6, progressive=True, subsampling=0)
    )
    assert main(["info", "photos/cat/1.jpg", "a longer name.jpg"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[-10:] for line in lines] == [
        [field.name for field in dataclasses.fields(fastimg.Header)],
        ["37", "23", "3", "YCbCr", "4:2:0", "no", "8", "0", "1", str(os.path.getsize(PATHS[0]))],
        ["8", "1000", "3", "YCbCr", "4:4:4", "yes", "8", "0", "6", str(os.path.getsize("a longer name.jpg"))],
    ]
    for title in ("width", "color_space", "nbytes"):
        column = lines[0].index(title)
        assert all(line[column - 1] == " " and line[column] != " " for line in lines)


def test_info_json_is_the_header(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["info", "--json", *PATHS]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [record.pop("path") for record in found] == PATHS
    for record, path in zip(found, PATHS, strict=True):
        assert fastimg.Header(**record) == fastimg.read_header(path)
    assert (found[0]["width"], found[0]["height"]) == SIZE
    assert found[0]["progressive"] is False


@pytest.mark.parametrize("bad", ["missing.jpg", "photos", "text.jpg", "empty.jpg"])
def test_info_of_what_cannot_be_read(here: Path, capsys: pytest.CaptureFixture[str], bad: str) -> None:
    Path("text.jpg").write_text("text")
    Path("empty.jpg").touch()
    assert main(["info", PATHS[0], bad, PATHS[1]]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["path", PATHS[0], bad, PATHS[1]]
    assert lines[2].split()[1] == "error:" and len(lines[2].split()) > 2
    assert main(["info", "--json", PATHS[0], bad]) == 1
    found = json.loads(capsys.readouterr().out)
    assert found[0]["width"] == 37 and "error" not in found[0]
    assert found[1].keys() == {"path", "error"}
    assert found[1]["path"] == bad and found[1]["error"] and bad not in found[1]["error"]


# ---- check


def test_check_of_good_files(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "photos"]) == 0
    assert capsys.readouterr().out == "3 files: 3 fine\n"
    assert main(["check", "photos", "--json"]) == 0
    assert json.loads(capsys.readouterr().out) == []


KINDS = {
    "0-empty.jpg": "broken",
    "1-half.jpg": "broken",
    "2-twelve-bit.jpg": "unsupported",
    "3-png.jpg": "not JPEG",
    "4-notes.txt": "not JPEG",
    "5-huge.jpg": "too large",
    "6-gone.jpg": "unreadable",
    "7-no-end.jpg": "odd",
    "8-stray.jpg": "odd",
}


@pytest.fixture
def bad(here: Path) -> Path:
    """Below photos/: one file of each kind, a good one without a JPEG's name, and hidden ones."""
    good = encoded(5)
    folder = here / "photos" / "elk"
    folder.mkdir()
    (folder / "0-empty.jpg").touch()
    (folder / "1-half.jpg").write_bytes(good[: len(good) * 2 // 3])
    (folder / "2-twelve-bit.jpg").write_bytes(with_precision(good, 12))
    Image.new("RGB", (4, 4)).save(folder / "3-png.jpg", "PNG")
    (folder / "4-notes.txt").write_text("notes")
    (folder / "5-huge.jpg").write_bytes(with_size(good, 65_000, 65_000))
    (folder / "6-gone.jpg").symlink_to("nothing")
    (folder / "7-no-end.jpg").write_bytes(good[:-2])
    tables = good.index(b"\xff\xdb")
    (folder / "8-stray.jpg").write_bytes(good[:tables] + b"\x01\x02\x03" + good[tables:])
    (folder / "9-good.data").write_bytes(good)
    (folder / ".hidden.jpg").touch()
    os.mkfifo(folder / "fifo.jpg")
    return here


def test_check_tells_the_kinds_apart(bad: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "photos", "--json"]) == 1
    found = json.loads(capsys.readouterr().out)
    assert {os.path.basename(row["path"]): row["kind"] for row in found} == KINDS
    assert [row["path"] for row in found] == [f"photos/elk/{name}" for name in KINDS]
    assert all(row.keys() == {"path", "kind", "reason"} for row in found)
    assert all(row["reason"] and "photos/elk" not in row["reason"] for row in found)
    reasons = {os.path.basename(row["path"]): row["reason"] for row in found}
    assert "PNG" in reasons["3-png.jpg"]
    assert reasons["6-gone.jpg"] == os.strerror(errno.ENOENT)


def test_check_prints_a_table_and_a_count(bad: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "photos", "--num-threads", "3"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert lines[-1] == (
        "13 files: 4 fine, 2 broken, 1 unsupported, 2 not JPEG, 1 too large, 1 unreadable, 2 odd"
    )
    width = len("unsupported")
    assert [(line[:width].strip(), line[width + 2 :].split()[0]) for line in lines[:-1]] == [
        (kind, f"photos/elk/{name}") for name, kind in KINDS.items()
    ]
    column = lines[2].index("photos/elk/2-twelve-bit.jpg  ") + len("photos/elk/2-twelve-bit.jpg  ")
    assert all(line[column - 2 : column] == "  " and line[column] != " " for line in lines[:-1])


def test_check_agrees_with_load(bad: Path) -> None:
    found = json.loads(run("check", "photos", "--json").stdout)
    failing = {row["path"] for row in found if row["kind"] != "odd" and row["path"].endswith(".jpg")}
    assert main(["load", "photos", "-o", "x.npy"]) == 1
    assert {row[1] for row in table(bad / "x.files.csv")[1:] if row[3]} == failing


def test_check_takes_files_as_given(bad: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = ["photos/elk/.hidden.jpg", "photos/elk/9-good.data", "missing.jpg", "photos/elk/fifo.jpg"]
    assert main(["check", "--json", *names]) == 1
    found = json.loads(capsys.readouterr().out)
    assert [(row["path"], row["kind"]) for row in found] == [
        (names[0], "broken"),
        (names[2], "unreadable"),
        (names[3], "unreadable"),
    ]


def test_check_of_many_files_keeps_their_order(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    names = [f"many/{i:03}.jpg" for i in range(200)]  # many times the tasks that may wait at once
    Path("many").mkdir()
    for i, name in enumerate(names):
        Path(name).write_bytes(b"" if i % 3 == 0 else encoded(i))
    for threads in ("1", "2", "7"):
        assert main(["check", "many", "--json", "--num-threads", threads]) == 1
        assert [row["path"] for row in json.loads(capsys.readouterr().out)] == names[::3]


def test_check_goes_on_after_a_folder_that_cannot_be_listed(
    here: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    scandir = os.scandir

    def refuse_cats(path: str) -> Any:
        if path == "photos/cat":
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse_cats)
    assert main(["check", "photos"]) == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.split() for line in lines] == [
        ["unreadable", "photos/cat", "Permission", "denied"],
        ["1", "files:", "1", "fine,", "1", "unreadable"],
    ]


def test_check_wants_a_thread(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "photos", "--num-threads", "0"]) == 2
    assert capsys.readouterr().err == "fastimg: error: num_threads must be at least 1, found 0\n"


def test_check_of_a_missing_folder(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", "photo/"]) == 1
    assert capsys.readouterr().err.startswith("fastimg: error: ")


INTERRUPT_CHECK = """
import os, signal, sys
from fastimg import _decode, cli
def interrupted(*args):
    os.kill(os.getpid(), signal.SIGINT)
    return ()
_decode.verify = interrupted
sys.exit(cli.main(["check", "photos"]))
"""


def test_ctrl_c_ends_check(here: Path) -> None:
    done = run("-c", INTERRUPT_CHECK)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")


# ---- the command as a whole


def test_version() -> None:
    done = run("--version")
    assert (done.returncode, done.stderr) == (0, "")
    info = fastimg.build_info()
    assert done.stdout.splitlines() == [
        f"fastimg {fastimg.__version__}",
        *(f"{key}: {value}" for key, value in info.items() if key != "version"),
    ]


@pytest.mark.parametrize("command", [[], ["load"], ["info"], ["check"]], ids=["", "load", "info", "check"])
def test_help(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main([*command, "--help"])
    assert caught.value.code == 0
    assert capsys.readouterr().out.startswith("usage: fastimg")


BUFFERING = pytest.mark.parametrize("unbuffered", ["", "1"], ids=["buffered", "unbuffered"])


@BUFFERING
@pytest.mark.parametrize("command", [["info"], ["check"], ["load", "-o", "x.npy"]], ids=" ".join)
def test_a_reader_that_went_away(here: Path, command: list[str], unbuffered: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = run(*command, *PATHS, stdout=writer, env={"PYTHONUNBUFFERED": unbuffered})
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (1, "")


@BUFFERING
@pytest.mark.parametrize("command", ["--version", "--help"])
def test_nobody_reads_the_help(command: str, unbuffered: str) -> None:
    reader, writer = os.pipe()
    os.close(reader)
    try:
        done = run(command, stdout=writer, env={"PYTHONUNBUFFERED": unbuffered})
    finally:
        os.close(writer)
    assert (done.returncode, done.stderr) == (0, "")


@BUFFERING
@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")
def test_a_full_stdout(here: Path, unbuffered: str) -> None:
    with open("/dev/full", "w") as full:
        done = run("info", *PATHS, stdout=full, env={"PYTHONUNBUFFERED": unbuffered})
    assert done.returncode == 1
    assert done.stderr == f"fastimg: error: {OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))}\n"


def test_no_stdout_at_all(here: Path) -> None:
    done = process(["sh", "-c", 'exec "$0" -m fastimg load photos -o x.npy >&-', sys.executable])
    assert (done.returncode, done.stderr) == (0, "")
    assert np.load("x.npy").shape == (3, 3, 23, 37)


@pytest.mark.parametrize("encoding", ["utf-8", "ascii", "latin-1"])
def test_names_that_are_not_utf8(here: Path, encoding: str) -> None:
    good, broken = b"photos/cat/\xff\xe9.jpg", b"photos/cat/\xff\xe9\n\xc3\xa9.jpg"
    try:
        with open(good, "wb") as file:
            file.write(encoded(4))
        with open(broken, "wb") as file:
            file.write(b"no image")
    except OSError:
        pytest.skip("this file system wants UTF-8")
    env = {
        "PYTHONIOENCODING": encoding,
        "PYTHONUTF8": "1",
    }  # argv as UTF-8 with surrogates, whatever the locale
    loaded = run("load", "photos", "-o", "x.npy", env=env)
    assert loaded.returncode == 1
    assert loaded.stderr.count("\n") == 1
    paths = [os.fsencode(row[1]) for row in table(here / "x.files.csv")[1:]]
    assert paths == [*map(os.fsencode, PATHS[:2]), broken, good, os.fsencode(PATHS[2])]
    assert np.load("x.npy")[[0, 1, 3, 4]].any(axis=(1, 2, 3)).all()

    checked = run("check", "photos", env=env)
    assert checked.returncode == 1
    shown = {"utf-8": "é", "ascii": "\\xe9", "latin-1": "\ufffd"}[encoding]
    assert checked.stderr == ""
    assert checked.stdout.count("\n") == 2
    assert f"photos/cat/\\udcff\\udce9\\n{shown}.jpg" in checked.stdout
    rows = json.loads(run("check", "photos", "--json", env=env).stdout)
    assert [os.fsencode(row["path"]) for row in rows] == [broken]

    info = run("info", os.fsdecode(good), env=env)
    assert (info.returncode, info.stderr) == (0, "")
    assert info.stdout.splitlines()[1].startswith("photos/cat/\\udcff\\udce9.jpg  37 ")
