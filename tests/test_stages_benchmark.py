# SPDX-License-Identifier: BSD-3-Clause
"""The benchmark of the entropy stages runs, makes the files that it names, and refuses to time what is wrong."""

import io
import json
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from support import jpegs, segments

import fastimg
from benchmarks import _common as common
from benchmarks import _decoder, stages
from benchmarks._pixels import Photo
from benchmarks._process import ChildError

PAIR = {"fastimg": "fastimg", "libjpeg": "libjpeg"}
TINY = ["--classes", "32x32", "q30", "q95", "grey", "--rounds", "2"]


@pytest.fixture(autouse=True)
def few_files(monkeypatch):
    """Sizes, and numbers of files, that take no time; a decoder in this process leaves the process as it is."""
    monkeypatch.setattr(_decoder.gc, "disable", lambda: None)
    monkeypatch.delattr(_decoder.os, "sched_setaffinity", raising=False)
    sizes = {"32x32": (32, 32, 5, 2), "256x256": (256, 256, 2, 1)}
    monkeypatch.setattr(stages, "SIZES", sizes)
    monkeypatch.setattr(stages, "AXES", [sizes, *stages.AXES[1:]])
    monkeypatch.setattr(stages, "MADE", 2)


@pytest.fixture(scope="module")
def pair():
    with stages.contestants(PAIR) as pair:
        yield pair


def named(data):
    return {f"file {i}": one for i, one in enumerate(data)}


def check_row(row, images, rounds):
    assert row["images"] == images
    assert 0 < row["bytes/pixel"] < 10
    assert row["quartiles"][0] <= row["ratio"] <= row["quartiles"][1]
    assert row["ms"].keys() == row["rates"].keys() == row["rounds"].keys() == PAIR.keys()
    for name, seconds in row["rounds"].items():
        assert len(seconds) == rounds
        assert min(seconds) > 0
        assert row["ms"][name] == pytest.approx(np.median(seconds) * 1e3)
        assert row["rates"][name] == pytest.approx(1 / np.median(seconds))


def test_runs(tmp_path, capsys):
    for i in range(9):
        (tmp_path / f"{i}.jpg").write_bytes(jpegs.jpeg(40, 50 + i, seed=i))
    facts = tmp_path / "facts.json"
    stages.main(["--images", str(tmp_path), "--json", str(facts), *TINY])
    payload = json.loads(facts.read_text())
    text = capsys.readouterr().out
    assert payload["stages"] == PAIR
    assert payload["corpus"]["images"] == 9
    assert payload["photos"].keys() == {"(3, H, W)", "(3, 256, 256)"}
    for row in [*payload["photos"].values(), *payload["kinds"].values()]:
        check_row(row, 9, 2)
    rows = payload["classes"]
    assert list(rows) == [f"32x32 {q} grey {r}" for q in ("q30", "q95") for r in ("no-restarts", "restarts")]
    for row in rows.values():
        check_row(row, 5, 2)
    worst = min(rows, key=lambda name: rows[name]["ratio"])
    assert f"the worst of 4 is {worst}: {rows[worst]['ratio']:.3f}" in text
    assert payload["kinds"].keys() == stages.KINDS.keys()
    assert all(f"| {name} " in text for name in [*payload["photos"], *rows, *stages.KINDS])


def test_runs_without_photos_and_against_itself(tmp_path):
    facts = tmp_path / "facts.json"
    stages.main(["--null", "--tables", "classes", "--json", str(facts), *TINY])
    payload = json.loads(facts.read_text())
    assert payload["stages"] == {"libjpeg, again": "libjpeg", "libjpeg": "libjpeg"}
    assert payload["corpus"]["images"] == 2
    assert len(payload["classes"]) == 4
    assert "photos" not in payload


def test_refuses_words_that_no_class_has(capsys):
    with pytest.raises(SystemExit):
        stages.main(["--classes", "33x33"])
    assert "invalid choice: '33x33'" in capsys.readouterr().err


# ---- what must not be timed --------------------------------------------------------------------------


@pytest.mark.parametrize(("stage", "found"), [("libjpeg", "fastimg"), ("fastimg", "libjpeg")])
def test_refuses_another_stage(stage, found, monkeypatch):
    monkeypatch.setitem(stages.SETTINGS, stage, stages.SETTINGS[found])
    expected = f"expected a process with entropy stage '{stage}', got '{found}'"
    with pytest.raises(SystemExit, match=expected), stages.contestants(PAIR):
        pass


def test_refuses_other_pixels(pair):
    data = [jpegs.jpeg(seed=i) for i in range(3)]
    other = [*data[:2], jpegs.jpeg(seed=2, quality=89)]
    pair["fastimg"].ask("take", named(data), {})
    pair["libjpeg"].ask("take", named(data), {})
    stages.verify(pair, named(data))
    pair["libjpeg"].ask("take", named(other), {})
    with pytest.raises(SystemExit, match=r"file 2: the pixels of libjpeg differ from those of fastimg"):
        stages.verify(pair, named(data))


def test_a_pixel_that_is_not_written_shows():
    decoder = _decoder.Decoder()
    decoder.take(named([jpegs.jpeg(seed=i) for i in range(2)]), {})
    assert decoder.sums(0) == decoder.sums(255)
    whole = decoder.fastimg.decode
    decoder.fastimg = SimpleNamespace(decode=lambda data, out: np.copyto(out[:, 1:], whole(data)[:, 1:]))
    assert decoder.sums(0) != decoder.sums(255)


def test_tells_of_a_file_that_fails(pair):
    with pytest.raises(ChildError, match=r"^fastimg\.errors\.\w+: "):
        stages.measure(pair, named([jpegs.truncated(jpegs.jpeg())]), 1, 1, "truncated")
    assert stages.measure(pair, named([jpegs.jpeg()]), 1, 1, "whole")["images"] == 1  # both go on


def test_tells_of_a_process_that_ends():
    with stages.contestants(PAIR) as pair:
        pair["libjpeg"].process.terminate()
        with pytest.raises(ChildError, match="the process ended with -15"):
            pair["libjpeg"].ask("facts")


def test_blocks():
    """Two files a block: each is decoded in its own block alone."""
    decoder = _decoder.Decoder()
    data = [jpegs.jpeg(seed=i) for i in range(5)]
    decoder.take(named(data), {})
    decoded = []
    decoder.fastimg = SimpleNamespace(decode=lambda one, out: decoded.append(one))
    for part, expected in zip(common.slices(5, 2), (data[:2], data[2:4], data[4:]), strict=True):
        assert decoder.seconds(part) >= 0
        assert decoded == expected
        decoded.clear()


# ---- files -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("restarts", stages.RESTARTS)
@pytest.mark.parametrize("colour", stages.COLOURS)
def test_classes(colour, restarts):
    pictures = stages.read_pictures([Photo("one", jpegs.jpeg(400, 500), (400, 500, 3))])
    rng = np.random.default_rng(0)
    images = [stages.mosaic(pictures, 256, 256, rng) for _ in range(2)]
    made = [stages.class_files(images, "256x256", q, colour, restarts) for q in stages.QUALITIES]
    sizes = [sum(map(len, files.values())) for files in made]
    assert sizes == sorted(set(sizes))  # a better quality takes more bytes
    for files in made:
        assert len(set(files.values())) == len(files) == 2
        for data in files.values():
            header = fastimg.read_header(data)
            assert (header.height, header.width) == (256, 256)
            assert header.subsampling == ("4:0:0" if colour == "grey" else colour)
            found = {marker: data[start + 4 : end] for marker, start, end in jpegs.segments(data)}
            mcus = 16 if colour == "4:2:0" else 32
            assert found.get(segments.DRI) == (mcus.to_bytes(2, "big") if restarts == "restarts" else None)


def test_choose():
    assert len(stages.choose([])) == 2 * 3 * 3 * 2
    few = stages.choose(["q95", "q30", "grey", "restarts"])
    assert {" ".join(one) for one in few} == {
        f"{s} {q} grey restarts" for s in stages.SIZES for q in ("q30", "q95")
    }


def test_kinds():
    photo = Photo("one", jpegs.jpeg(160, 200), (160, 200, 3))
    made = {}
    for kind in stages.KINDS:
        ((name, made[kind]),) = stages.kind_files([photo], kind).items()
        assert name == f"one, {kind}"
    whole = made["re-encoded"]
    start = jpegs.scan_offset(whole)
    assert Image.open(io.BytesIO(made["progressive"])).info["progressive"] == 1
    assert len(made["optimised tables"]) < len(whole)
    assert made["truncated at 70 %"] == jpegs.truncated(whole, 0.7)
    pairs = zip(whole, made["one bit flipped"], strict=True)
    ((at, bits),) = [(i, a ^ b) for i, (a, b) in enumerate(pairs) if a != b]
    assert at == (start + len(whole)) // 2
    assert bits.bit_count() == 1


def test_made_pictures_are_no_noise():
    made = [stages.fallen_leaves(375, 500, np.random.default_rng(i)).astype(int) for i in range(2)]
    assert not np.array_equal(*made)
    for pixels in made:
        assert pixels.shape == (375, 500, 3)
        assert pixels.std() > 30
        assert np.median(np.abs(np.diff(pixels, axis=1))) < 10  # neighbours in noise are 75 apart
