# SPDX-License-Identifier: BSD-3-Clause
"""The benchmark of one image on several threads runs, and does not time what is wrong."""

import json
from functools import partial

import numpy as np
import pytest
from support.files import write_photos

from benchmarks import _pixels as pixels
from benchmarks import parts

pytest.importorskip("psutil")


@pytest.fixture(autouse=True)
def small_files(monkeypatch):
    monkeypatch.setattr(pixels, "CELL", (64, 48))
    monkeypatch.setattr(parts, "SIZES", {"12": (3, 2), "50": (2, 3)})
    monkeypatch.setattr(parts, "RESULTS", {"exact": None, "(3, 224, 224)": (20, 30)})
    monkeypatch.setattr(parts, "NOISE_UNITS", 1)


@pytest.fixture
def photos(tmp_path):
    return write_photos(tmp_path / "photos", 2, 48, 64)


def test_runs(photos, tmp_path, capsys):
    facts = tmp_path / "facts.json"
    words = ["--images", str(photos), "--rounds", "2", "--threads", "1", "2"]
    parts.main([*words, "--json", str(facts)])
    rows = json.loads(facts.read_text())["parts"]
    assert list(rows) == [
        f"{size} Mpx{restarts}, {to}, {count}"
        for size in ("12", "50")
        for restarts in ("", ", restart markers")
        for to in ("exact", "(3, 224, 224)")
        for count in (1, 2)
    ]
    for row in rows.values():
        assert len(row["rounds"]) == len(row["cpu rounds"]) == 2
        assert row["ms"] == pytest.approx(np.median(row["rounds"]) * 1e3)
        assert row["quartiles"][0] <= row["ratio"] <= row["quartiles"][1]
        if row["threads"] == 1:
            assert row["ratio"] == row["machine"] == row["cpu"] == 1 and row["state"] == 0
        assert row["peer ms"] > 0 and row["of peer"] > 0 and row["peer"] != "fastimg"
    assert "parts: one image on several threads, 2 rounds" in capsys.readouterr().out


def image(folder):
    path = str(folder / "large.jpg")
    sheet = pixels.mosaic(pixels.find_photos(folder), 3, 2)
    sheet.save(path, quality=90, subsampling="4:2:0", restart_marker_rows=1)
    return path


def test_a_mosaic_begins_again(photos):
    sheet = np.asarray(pixels.mosaic(pixels.find_photos(photos), 3, 2))
    assert sheet.shape == (96, 192, 3)
    cells = [sheet[y : y + 48, x : x + 64] for y in (0, 48) for x in (0, 64, 128)]
    assert all(np.array_equal(cells[i], cells[i % 2]) for i in range(6))
    assert not np.array_equal(cells[0], cells[1])


@pytest.mark.parametrize("size", [None, (20, 30)])
def test_pixels_that_differ_are_not_timed(photos, size, capsys):
    path = image(photos)
    out = np.zeros((3, *(size or (96, 192))), np.uint8)
    right = parts.decode_call(path, out, size, 1)

    def mirrored():
        right()
        out[:] = out[:, :, ::-1].copy()

    def one_off():
        right()
        out[0, 0, 0] ^= 1

    fit, sums = parts.verify({1: right, "peer": one_off, "mirrored": mirrored}, out, path, size)
    assert list(fit) == [1, "peer"] and len(sums) == 1
    assert "mirrored is left out: " in capsys.readouterr().out
    with pytest.raises(SystemExit, match="fastimg on 2 threads: other pixels than on one"):
        parts.verify({1: right, 2: one_off}, out, path, size)
    with pytest.raises(SystemExit, match="fastimg on 1 threads: "):
        parts.verify({1: mirrored}, out, path, size)
    broken = partial(np.copyto, out, out[:0])
    fit, _ = parts.verify({"broken": broken}, out, path, size)
    assert not fit and "broken is left out: ValueError" in capsys.readouterr().out


def test_memory_is_that_of_the_decode(photos):
    path = image(photos)
    grown, sums = parts.growth(path, path, (3, 96, 192), None, 2, 3)
    out = np.zeros((3, 96, 192), np.uint8)
    parts.decode_call(path, out, None, 1)()
    assert sums == pixels.checksums([out])
    assert 0 <= grown < 50e6
