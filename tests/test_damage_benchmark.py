# SPDX-License-Identifier: BSD-3-Clause
"""The benchmark of damaged files runs, damages scan data alone, and counts what it says it counts."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from support import jpegs

import fastimg
from benchmarks import _damages as damages
from benchmarks import damage

SEEDS = range(20)


def photo(seed=0):
    # Coarse blocks, large enough for damage of every size, and for two blocks to be swapped.
    return jpegs.turbo(np.kron(jpegs.pixels(20, 25, seed=seed), np.ones((8, 8, 1), np.uint8)), quality=95)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for i in range(2):
        (folder / f"{i}.jpg").write_bytes(photo(i))
    return folder


def scan_bytes(data):
    return sum(end - start for start, end in damages.scans(data))


def rest(data):
    """All of the file but its scan data."""
    spans = damages.scans(data)
    starts, ends = zip((0, 0), *spans, strict=True)
    return [data[a:b] for a, b in zip(ends, [*starts[1:], len(data)], strict=True)]


def test_runs(photos, tmp_path, capsys):
    facts, missed = tmp_path / "facts.json", tmp_path / "missed"
    options = ["--kinds", "cut-50", "flip-1", "--json", str(facts), "--missed", str(missed)]
    damage.main(["--images", str(photos), "--rounds", "3", *options])
    payload, text = json.loads(facts.read_text()), capsys.readouterr().out
    for table in damage.TABLES:
        rows = payload[table]
        assert list(rows) == ["intact", "flip-1", "cut-50", "all of these"]
        assert f"{table}: percent of the visibly damaged files that are refused, 2 photos, 3 rounds" in text
        for name in ("fastimg", "fastimg, 64"):
            assert rows["intact"]["refused"][name] == 0
            assert rows["cut-50"]["percent"][name] == 100
        assert rows["intact"]["visible"] == rows["intact"]["files"] == 2
        assert rows["cut-50"]["visible"] == rows["cut-50"]["files"] == rows["flip-1"]["files"] == 6
        assert rows["all of these"]["files"] == 12
        assert rows["all of these"]["visible"] == 6 + rows["flip-1"]["visible"]
        for row in rows.values():
            kept, refused = row["visible"], row["refused"]
            assert all(0 <= number <= kept for number in refused.values())
            hidden = row["refused, not visible"].values()
            assert all(0 <= number <= row["files"] - kept for number in hidden)
    rows = [payload[table]["all of these"] for table in damage.TABLES]
    accepted = sum(row["visible"] - row["refused"]["fastimg"] for row in rows)
    assert len(list(missed.iterdir())) == accepted
    for path in missed.iterdir():
        fastimg.decode(path)


def test_refuses_kinds_that_do_not_exist(photos):
    with pytest.raises(SystemExit, match=r"expected some of random-1, .*, found 'noise'"):
        damage.main(["--images", str(photos), "--kinds", "flip-*", "noise"])


def test_chosen():
    assert damage.chosen(["flip-3", "*-64", "text-64"]) == [
        "random-64",
        "zeros-64",
        "text-64",
        "flip-3",
        "swap-64",
    ]
    assert damage.chosen(["*"]) == list(damages.DAMAGES)


# ---- the verdict -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("pixels", "levels", "expected"),
    [(10, 17, False), (11, 17, True), (11, 16, False), (11, -17, True), (0, 0, False)],
)
def test_visible(pixels, levels, expected):
    """1000 pixels, of which more than 10 must differ by more than 16, in one channel."""
    intact = np.full((3, 20, 50), 128, np.uint8)
    found = intact.copy()
    found[1].flat[:pixels] = 128 + levels
    assert damage.is_visible(found, intact) is expected


def test_none_and_exceptions_are_refusals():
    assert damage.is_refused(lambda data: None, b"")
    assert damage.is_refused(fastimg.decode, b"no JPEG")
    assert not damage.is_refused(fastimg.decode, photo())


def test_count():
    found = [
        [("intact", True, []), ("flip-1", True, ["a"]), ("cut-50", True, ["a", "b"])],
        [("intact", True, ["b"]), ("flip-1", False, ["b"]), ("cut-50", True, ["a"])],
    ]
    rows = damage.count(found, ["a", "b"])
    assert list(rows) == ["intact", "flip-1", "cut-50", "all of these"]
    assert [(row["visible"], row["percent"]) for row in rows.values()] == [
        (2, {"a": 0, "b": 50}),
        (1, {"a": 100, "b": 0}),
        (2, {"a": 100, "b": 50}),
        (3, {"a": 100, "b": pytest.approx(100 / 3)}),
    ]
    assert rows["flip-1"]["refused, not visible"] == {"a": 0, "b": 1}


# ---- files -------------------------------------------------------------------------------------------


def test_formats():
    given = photo()
    made = {form: damage.encoded(given, form) for form in damage.FORMATS}
    assert made["baseline"] == given
    assert damage.encoded(made["progressive"], "baseline") != made["progressive"]
    with Image.open(io.BytesIO(given)) as image:
        tables = image.quantization
    for form, data in made.items():
        with Image.open(io.BytesIO(data)) as image:
            assert image.quantization == tables
            assert bool(image.info.get("progressive")) is (form == "progressive")
        assert fastimg.read_header(data).subsampling == fastimg.read_header(given).subsampling
        markers = sum(data.count(bytes([0xFF, 0xD0 + i])) for i in range(8))
        assert markers == (9 if form == "restarts" else 0)  # between 10 rows of 16 pixels


@pytest.mark.parametrize("form", damage.FORMATS)
def test_scans(form):
    data = damage.encoded(photo(), form)
    starts = [end for marker, _, end in jpegs.segments(data) if marker == damages.SOS]
    spans = damages.scans(data)
    assert len(spans) == (10 if form == "progressive" else 1)
    assert spans[0][0] == starts[0]
    assert spans[-1][1] == len(data) - 2
    for _, end in spans:
        assert data[end] == 0xFF
        assert data[end + 1] in (0xC4, 0xDA, 0xD9)
    assert damages.scans(data[: spans[-1][1] - 5])[-1] == (spans[-1][0], spans[-1][1] - 5)
    with pytest.raises(ValueError, match="found none"):
        damages.scans(data[: spans[0][0] - 20])


@pytest.mark.parametrize("form", damage.FORMATS)
@pytest.mark.parametrize("kind", damages.DAMAGES)
def test_damage(kind, form):
    """The scan data changes and no other segment does; the seed says how."""
    data = damage.encoded(photo(), form)
    name, _, size = kind.partition("-")
    different = {damages.spoil(kind, data, seed) for seed in SEEDS}
    assert different == {damages.spoil(kind, data, seed) for seed in SEEDS}
    assert len(different) == 1 if name == "cut" else len(different) > len(SEEDS) // 2
    grown = {"delete": -int(size), "insert": int(size)}.get(name, 0)
    for spoiled in different - {data}:
        if name == "cut":
            assert data.startswith(spoiled)
            start, end = damages.scans(data)[0][0], damages.scans(data)[-1][1]
            assert len(spoiled) == start + (end - start) * int(size) // 100
            continue
        assert len(spoiled) == len(data) + grown
        head, *_, tail = rest(data)
        assert spoiled.startswith(head) and spoiled.endswith(tail)
        if name == "flip":
            changed = [a ^ b for a, b in zip(data, spoiled, strict=True)]
            assert sum(bits.bit_count() for bits in changed) == int(size)
        if not grown:
            at = [i for i, (a, b) in enumerate(zip(data, spoiled, strict=True)) if a != b]
            inside = {i for start, end in damages.scans(data) for i in range(start, end)}
            assert inside.issuperset(at)
            if name in ("random", "zeros", "text"):
                assert at[-1] - at[0] < int(size)


def test_damage_is_everywhere():
    """Single bytes of two short scans are hit all alike, and blocks never cross the end of a scan."""
    header = b"\xff\xda\x00\x03\x00"
    data = b"\xff\xd8" + header + b"abc" + header + b"de" + b"\xff\xd9"
    spans = [(7, 10), (15, 17)]
    assert damages.scans(data) == spans
    rng = np.random.default_rng(0)
    counts = np.bincount([damages.place(data, 1, rng)[0] for _ in range(5000)], minlength=len(data))
    assert set(np.flatnonzero(counts)) == {7, 8, 9, 15, 16}
    assert counts[counts > 0].min() > 850
    assert {damages.place(data, 2, rng) for _ in range(100)} == {(7, 2), (8, 2), (15, 2)}
    assert {damages.place(data, 512, rng) for _ in range(100)} == {(7, 3)}
