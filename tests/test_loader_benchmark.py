# SPDX-License-Identifier: BSD-3-Clause
"""The benchmark of loaders runs, and does not time what is wrong."""

import json
from pathlib import Path

import numpy as np
import pytest
from support import jpegs
from support.files import write_photos

from benchmarks import _common as common
from benchmarks import _pixels as pixels
from benchmarks import loader
from benchmarks._loaders import LOADERS, Epoch, whole_batches
from benchmarks._process import ChildError
from fastimg.benchmarking.peers import find

PEERS = ("fastimg", "DataLoader, OpenCV INTER_AREA", "SPDL")
FASTIMG = find(LOADERS, "fastimg")


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    return write_photos(tmp_path / "photos", 6)


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
        rows = {name: row for name, row in payload[table].items() if not row["reason"]}
        assert payload[table].keys() == {*PEERS, "fastimg, reuse_buffers"}
        assert {"fastimg", "fastimg, reuse_buffers"} <= rows.keys()
        assert rows["fastimg"]["times"] == rows["fastimg"]["first ms / ours"] == 1
        assert f"{table}: 8 samples in batches of 4 to (3, 64, 64), 1 workers, 2 rounds: throughput" in text
        for row in rows.values():
            rounds = row["rounds"]
            assert len(row["rates"]) == len(rounds["first ms"]) == 2
            assert 0 < row["min"] <= row["rate"] <= row["max"]
            pairs = zip(rounds["first ms"], rounds["start s"], strict=True)
            assert all(first < 1e3 * start for first, start in pairs)
            assert row["psnr"][0] >= 30
            if Path("/proc/self/smaps_rollup").exists():
                assert len(rounds["memory MB"]) == 2
                assert min(rounds["memory MB"]) > 1


def test_leaves_out_other_pixels(epoch):
    facts = loader.verify(FASTIMG, epoch, {path: np.zeros((160, 200, 3), np.uint8) for path in epoch.paths})
    assert facts["reason"].startswith("PSNR")


@pytest.mark.parametrize("cropped", [False, True])
def test_accepts_its_pixels(epoch, cropped):
    if cropped:
        epoch = epoch._replace(boxes=np.tile([0, 0, 160, 200], (6, 1)), flips=np.zeros(6, bool))
    originals = {path: jpegs.rgb_pillow(Path(path).read_bytes()) for path in epoch.paths}
    facts = loader.verify(FASTIMG, epoch, originals)
    assert facts["reason"] is None
    assert len(facts["sums"]) == 6


def test_reports_a_process_that_fails(epoch):
    with pytest.raises(ChildError, match=r"JpegError|OSError|FileNotFoundError"):
        loader.run("run", "fastimg", epoch._replace(paths=["none.jpg"] * 6))


WHOLE = np.zeros((3, 3, 64, 64), np.uint8)


@pytest.mark.parametrize(
    "batches",
    [[WHOLE], [WHOLE] * 3, [WHOLE.transpose(0, 2, 3, 1)] * 2, [WHOLE.astype(np.float32)] * 2],
    ids=["too few", "too many", "HWC", "float"],
)
@pytest.mark.parametrize("batch_size", [3, None])
def test_checks_batches(epoch, batches, batch_size):
    assert epoch.batch_size == 3 and len(epoch.paths) == 6
    with pytest.raises(ValueError, match="expected"):
        list(whole_batches(epoch, batches, batch_size))


def test_batches_of_any_size(epoch):
    five = epoch._replace(paths=epoch.paths[:5])
    assert len(list(whole_batches(five, [WHOLE, WHOLE[:2]]))) == 2
    assert len(list(whole_batches(five, [WHOLE], 3))) == 1
    with pytest.raises(ValueError, match="expected"):
        list(whole_batches(five, [WHOLE, WHOLE[:2]], 3))


def test_brightness():
    rng = np.random.default_rng(0)
    expected = rng.uniform(0, 255, (64, 3, 1, 1)) + np.zeros((64, 3, 4, 4)) + [[[40]], [[0]], [[-40]]]
    near = expected + rng.normal(0, 20, (64, 3, 1, 1))
    assert loader.wrong_brightness(near, list(expected)) is None
    assert "levels" in loader.wrong_brightness(near[:, ::-1] * 0.7, list(expected))
    assert "levels" in loader.wrong_brightness(near + 30, list(expected))


def test_refuses_a_single_batch(photos):
    with pytest.raises(SystemExit, match="--samples must fill two batches of 8, found 9"):
        loader.main(["--images", str(photos), "--samples", "9", "--batch-size", "8"])


# ---- what all benchmarks share -----------------------------------------------------------------------


def test_contestants_take_turns():
    turns = []
    jobs = {name: lambda block, name=name: turns.append((name, block)) or block + 1 for name in "ab"}
    seconds = common.interleave(jobs, 2, 2, "turns")
    assert turns == [("a", 0), ("b", 0), ("b", 1), ("a", 1)] * 2
    assert all(np.array_equal(values, [[1, 2], [1, 2]]) for values in seconds.values())


def test_compares_and_reports(capsys):
    seconds = {"fastimg": np.array([[1.0, 1.0], [1.0, 3.0]]), "peer": np.array([[2.0, 4.0], [2.0, 3.0]])}
    rows = common.compare(
        seconds, 12, {"none": {"reason": "not here"}, "peer": {}, "fastimg": {"pixels": None}}
    )
    assert list(rows) == ["fastimg", "peer", "none"]
    assert [rows["peer"][key] for key in ("rate", "min", "max", "times")] == [2.2, 2, 2.4, 2]
    headlines = [("a peer", lambda name, row: True), ("none", lambda name, row: False)]
    common.report("title", f"{common.TIMES} | pixels: {{pixels:.1f}}", rows, headlines=headlines)
    text = capsys.readouterr().out
    assert "| contestant | fastimg is | pixels |\n| ---------- | ---------: | -----: |\n" in text
    assert text.endswith("- |\n\nnone is left out: not here\nfastimg is 2.00 x a peer, peer\n")


def test_watches_what_it_times():
    images, parts = np.arange(24, dtype=np.uint8).reshape(4, 6), common.slices(4, 2)
    out, paths = images.copy(), list(range(4))
    rest = [out[:2], out[2:]], pixels.checksums(images)
    works = {"works": (lambda some, out: np.copyto(out, images[some]), *rest)}
    assert pixels.time_loads(works, paths, parts, 3, lambda: 0)["works"].shape == (3, 2)
    idles = {"idles": (lambda some, out: None, *rest)}
    with pytest.raises(SystemExit, match="idles: 2 of 2 images differ"):
        pixels.time_loads(idles, paths, parts, 3, lambda: 0)
