# SPDX-License-Identifier: BSD-3-Clause
"""The benchmark of loaders runs, and does not time what is wrong."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from support import jpegs

from benchmarks import _loader_run as runs
from benchmarks import loader
from benchmarks._loader_peers import Epoch, FastimgLoading

PEERS = ("fastimg", "DataLoader, OpenCV INTER_AREA", "SPDL")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for i in range(6):
        # Coarse blocks: fine noise is nothing that filters agree on.
        pixels = np.kron(jpegs.pixels(8, 10, seed=i), np.ones((20, 20, 1), np.uint8))
        (folder / f"{i}.jpg").write_bytes(jpegs.turbo(pixels))
    return folder


@pytest.fixture
def epoch(photos: Path) -> Epoch:
    return Epoch([str(path) for path in sorted(photos.iterdir())], None, None, 3, 64, 1, False)


def test_runs(photos, tmp_path, capsys):
    facts = tmp_path / "facts.json"
    options = ["--samples", "9", "--batch-size", "4", "--size", "64", "--rounds", "2", "--threads", "1"]
    loader.main(["--images", str(photos), *options, "--json", str(facts), "--only", *PEERS])
    payload = json.loads(facts.read_text())
    text = capsys.readouterr().out
    for table in loader.TABLES:
        rows = payload[table]["rows"]
        assert {"fastimg", "fastimg, reuse_buffers"} <= rows.keys() <= {*PEERS, "fastimg, reuse_buffers"}
        assert rows["fastimg"]["times"] == rows["fastimg"]["sooner"] == 1
        assert f"{table}: 8 samples in batches of 4 to (3, 64, 64), 1 workers, 2 rounds: throughput" in text
        for row in rows.values():
            assert len(row["rate"]) == len(row["first"]) == 2
            assert min(row["rate"]) > 0
            assert all(first < start for first, start in zip(row["first"], row["start"], strict=True))
            assert row["psnr"][0] >= 30
            if Path("/proc/self/smaps_rollup").exists():
                assert len(row["memory"]) == 2
                assert min(row["memory"]) > 2**20


def test_leaves_out_other_pixels(epoch):
    pixels = {path: np.zeros((160, 200, 3), np.uint8) for path in epoch.paths}
    facts = loader.verify(FastimgLoading, epoch, pixels, loader.expected_images(pixels, epoch, None))
    assert facts["reason"].startswith("PSNR")


@pytest.mark.parametrize("cropped", [False, True])
def test_accepts_its_pixels(epoch, cropped):
    if cropped:
        boxes = np.tile([0, 0, 160, 200], (6, 1))
        epoch = replace(epoch, boxes=boxes, flips=np.zeros(6, bool))
    pixels = {path: jpegs.rgb_pillow(Path(path).read_bytes()) for path in epoch.paths}
    facts = loader.verify(FastimgLoading, epoch, pixels, loader.expected_images(pixels, epoch, None))
    assert facts["reason"] is None
    assert len(facts["sums"]) == 6


def test_reports_a_process_that_fails(epoch):
    with pytest.raises(RuntimeError, match=r"JpegError|OSError|FileNotFoundError"):
        runs.run(runs.Job("fastimg", "time", replace(epoch, paths=["none.jpg"] * 6)))


@pytest.mark.parametrize(
    "batches",
    [
        [np.zeros((3, 3, 64, 64), np.uint8)],
        [np.zeros((3, 3, 64, 64), np.uint8)] * 3,
        [np.zeros((3, 64, 64, 3), np.uint8)] * 2,
        [np.zeros((3, 3, 64, 64), np.float32)] * 2,
    ],
    ids=["too few", "too many", "HWC", "float"],
)
def test_checks_batches(epoch, batches):
    with pytest.raises(ValueError, match="expected"):
        list(runs.whole_batches(runs.Job("fastimg", "time", epoch), batches))


def test_brightness():
    rng = np.random.default_rng(0)
    expected = rng.uniform(0, 255, (64, 3, 1, 1)) + np.zeros((64, 3, 4, 4)) + [[[40]], [[0]], [[-40]]]
    near = expected + rng.normal(0, 20, (64, 3, 1, 1))
    assert loader.wrong_brightness(near, list(expected)) is None
    assert "levels" in loader.wrong_brightness(near[:, ::-1] * 0.7, list(expected))
    assert "levels" in loader.wrong_brightness(near + 30, list(expected))


def test_refuses_a_single_batch(photos, capsys):
    with pytest.raises(SystemExit):
        loader.main(["--images", str(photos), "--samples", "9", "--batch-size", "8"])
    assert "--samples must fill two batches of 8, found 9" in capsys.readouterr().err
