# SPDX-License-Identifier: BSD-3-Clause
"""`fastimg load --size`: a folder of mixed sizes, orientations and colour spaces."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from support import jpegs
from support.cli_common import left, run, table

import fastimg
from fastimg.cli import main


@pytest.fixture
def mixed_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    files = [
        jpegs.jpeg(50, 61), jpegs.oriented(jpegs.jpeg(90, 33, "4:4:4", progressive=True), 6),
        jpegs.turbo(jpegs.pixels(70, 71, 1)), jpegs.pillow(jpegs.pixels(40, 200, 4)),
        jpegs.oriented(jpegs.turbo(jpegs.pixels(300, 200, 4)), 3), jpegs.pillow(jpegs.pixels(31, 32), keep_rgb=True),
        jpegs.oriented(jpegs.jpeg(64, 48, "4:1:1"), 5), jpegs.jpeg(250, 400, "4:2:2"),
    ]  # fmt: skip
    monkeypatch.chdir(tmp_path)
    for i, data in enumerate(files):
        path = Path("photos", "ab"[i // 4], f"{i}.jpg")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)
    return fastimg.find_images("photos")


@pytest.mark.parametrize(
    ("arguments", "options"),
    [
        (["--size", "64"], {"size": 64}),
        (["--size", "48,64"], {"size": (48, 64)}),
        (["--size", "32", "--fit", "cover"], {"size": 32, "fit": "cover"}),
        (["--size", "32", "--fit", "contain"], {"size": 32, "fit": "contain"}),
        (["--size", "32", "--fit", "stretch"], {"size": 32}),
        (["--size", "32", "--fit", "contain", "--pad-value", "99"], {"size": 32, "fit": "contain", "pad_value": 99}),
        (
            ["--size", "20,60", "--fit", "contain", "--pad-value", "1,2,3", "--mode", "BGR", "--flip"],
            {"size": (20, 60), "fit": "contain", "pad_value": (1, 2, 3), "mode": "BGR", "flip": True},
        ),
        (["--size", "16", "--reducing-gap", "none"], {"size": 16, "reducing_gap": None}),
        (["--size", "16", "--reducing-gap", "1"], {"size": 16, "reducing_gap": 1}),
        (["--size", "16", "--reducing-gap", "1.5"], {"size": 16, "reducing_gap": 1.5}),
        *[(["--size", "24", "--resample", name], {"size": 24, "resample": name})
          for name in ("bilinear", "box", "hamming", "bicubic", "lanczos")],
        (["--size", "12", "--crop", "3", "4", "25", "26"], {"size": 12, "crop": (3, 4, 25, 26)}),
        (["--size", "12", "--layout", "HWC", "--mode", "L"], {"size": 12, "layout": "HWC", "mode": "L"}),
        (["--size", "12", "--no-orient", "--dtype", "float32"], {"size": 12, "orient": False, "dtype": "float32"}),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)  # fmt: skip
def test_size(mixed_folder: list[str], arguments: list[str], options: dict[str, Any]) -> None:
    assert main(["load", "photos", "-o", "x.npy", *arguments]) == 0
    expected = np.stack([fastimg.decode(path, **options) for path in mixed_folder])
    jpegs.assert_same(np.load("x.npy"), expected)
    assert [row[1] for row in table(Path("x.files.csv"))[1:]] == mixed_folder


def test_in_its_own_process(mixed_folder: list[str]) -> None:
    done = run("load", "photos", "-o", "x.npy", "--size", "40,30", "--labels", "--num-threads", "2")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("x.npy: shape (8, 3, 40, 30), dtype uint8, 28,800 bytes; ")
    jpegs.assert_same(
        np.load("x.npy"), np.stack([fastimg.decode(path, size=(40, 30)) for path in mixed_folder])
    )
    assert np.load("x.labels.npy").tolist() == [0] * 4 + [1] * 4


def test_bad_files_are_rows_of_zeros(mixed_folder: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    Path(mixed_folder[0]).write_bytes(b"")
    Path(mixed_folder[5]).write_bytes(jpegs.truncated(jpegs.jpeg(60, 60)))
    assert main(["load", "photos", "missing.jpg", "-o", "x.npy", "--size", "20"]) == 1
    array = np.load("x.npy")
    assert array.shape == (9, 3, 20, 20)
    assert [bool(row.any()) for row in array] == [i not in (0, 5, 8) for i in range(9)]
    assert [bool(row[3]) for row in table(Path("x.files.csv"))[1:]] == [i in (0, 5, 8) for i in range(9)]
    assert len(capsys.readouterr().err.splitlines()) == 3


@pytest.mark.parametrize(
    "arguments",
    [
        ["--size", "0"], ["--size", "-5"], ["--size", "a"], ["--size", "3,4,5"], ["--size", "3,"],
        ["--size", "1048577"], ["--size", "2.5"], ["--size", ""],
        ["--size", "8", "--fit", "fill"], ["--size", "8", "--resample", "nearest"],
        ["--size", "8", "--reducing-gap", "0.5"], ["--size", "8", "--reducing-gap", "nan"],
        ["--size", "8", "--reducing-gap", "some"],
        ["--size", "8", "--pad-value", "256"], ["--size", "8", "--pad-value", "1,2"],
        ["--size", "8", "--pad-value", "-1"], ["--size", "8", "--pad-value", "grey"],
        ["--size", "8", "--mode", "L", "--pad-value", "1,2,3"],
    ],
    ids=" ".join,
)  # fmt: skip
def test_wrong_use(mixed_folder: list[str], arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    try:
        status = main(["load", "photos", "-o", "x.npy", *arguments])
    except SystemExit as stop:
        status = stop.code
    assert status == 2
    assert "error" in capsys.readouterr().err
    assert left(Path()) == []
