# SPDX-License-Identifier: BSD-3-Clause
"""The benchmark of the entropy stages runs, makes the files that it names, and refuses to time what is wrong."""

import io
import json
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from PIL import Image
from support import jpegs

import fastimg
from benchmarks import _stage_files as files
from benchmarks import _stage_run as runs
from benchmarks import stages
from benchmarks._common import Photo

PAIR = {"fastimg": "fastimg", "stock": "stock"}
TINY = ["--classes", "32x32", "q30", "q95", "grey", "--rounds", "2"]


@pytest.fixture(autouse=True)
def few_files(monkeypatch):
    """Sizes, and numbers of files, that take no time."""
    sizes = {"32x32": (32, 32, 5, 2), "256x256": (256, 256, 2, 1)}
    monkeypatch.setattr(files, "SIZES", sizes)
    monkeypatch.setattr(files, "AXES", (sizes, *files.AXES[1:]))
    monkeypatch.setattr(files, "MADE", 2)


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    folder = tmp_path / "photos"
    folder.mkdir()
    for i in range(9):
        (folder / f"{i}.jpg").write_bytes(jpegs.jpeg(40, 50 + i, seed=i))
    return folder


@pytest.fixture(scope="module")
def pair():
    with runs.contestants(PAIR) as pair:
        yield pair


def task(data, **options):
    shapes = [(3, *jpegs.size(one)) for one in data]
    return runs.Task([f"file {i}" for i in range(len(data))], data, shapes, 2, options)


def check_row(row, images, rounds):
    assert row["images"] == images
    assert 0 < row["bytes_a_pixel"] < 10
    assert row["quartiles"][0] <= row["ratio"] <= row["quartiles"][1]
    assert row["ms"].keys() == row["round_seconds"].keys() == PAIR.keys()
    for name, seconds in row["round_seconds"].items():
        assert len(seconds) == rounds
        assert min(seconds) > 0
        assert row["ms"][name] == pytest.approx(np.median(seconds) * 1e3 / images)


def test_runs(photos, tmp_path, capsys):
    facts = tmp_path / "facts.json"
    stages.main(["--images", str(photos), "--json", str(facts), *TINY])
    payload = json.loads(facts.read_text())
    text = capsys.readouterr().out
    assert payload["stages"] == PAIR
    assert payload["corpus"]["images"] == 9
    assert payload["photos"].keys() == {"(3, H, W)", "(3, 256, 256)"}
    for row in [*payload["photos"].values(), *payload["kinds"].values()]:
        check_row(row, 9, 2)
    rows = payload["classes"]["rows"]
    assert list(rows) == [f"32x32 {q} grey {r}" for q in ("q30", "q95") for r in ("no-restarts", "restarts")]
    for row in rows.values():
        check_row(row, 5, 2)
    worst = payload["classes"]["worst"]
    assert rows[worst]["ratio"] == min(row["ratio"] for row in rows.values())
    assert f"the worst of 4 is {worst}: {rows[worst]['ratio']:.3f}" in text
    assert payload["kinds"].keys() == files.KINDS.keys()
    assert all(f"| {name} " in text for name in [*payload["photos"], *rows, *files.KINDS])


def test_runs_without_photos_and_against_itself(tmp_path):
    facts = tmp_path / "facts.json"
    stages.main(["--null", "--tables", "classes", "--json", str(facts), *TINY])
    payload = json.loads(facts.read_text())
    assert payload["stages"] == {"stock, again": "stock", "stock": "stock"}
    assert payload["corpus"]["images"] == 2
    assert len(payload["classes"]["rows"]) == 4
    assert "photos" not in payload


def test_refuses_words_that_no_class_has(capsys):
    with pytest.raises(SystemExit):
        stages.main(["--classes", "33x33"])
    assert "invalid choice: '33x33'" in capsys.readouterr().err


# ---- what must not be timed --------------------------------------------------------------------------


@pytest.mark.parametrize(("stage", "setting"), [("stock", ""), ("fastimg", "stock")])
def test_refuses_another_stage(stage, setting, monkeypatch):
    monkeypatch.setitem(runs.SETTINGS, stage, setting)
    found = "stock" if setting else "fastimg"
    expected = f"expected a process with entropy stage '{stage}', got '{found}'"
    with pytest.raises(SystemExit, match=expected), runs.contestants(PAIR):
        pass


def test_refuses_other_pixels(pair):
    data = [jpegs.jpeg(seed=i) for i in range(3)]
    other = [*data[:2], jpegs.jpeg(seed=2, quality=89)]
    pair["fastimg"].ask("take", task(data))
    pair["stock"].ask("take", task(data))
    runs.verify(pair, task(data).names)
    pair["stock"].ask("take", task(other))
    with pytest.raises(SystemExit, match=r"file 2: the pixels of stock differ from those of fastimg"):
        runs.verify(pair, task(data).names)


def test_a_pixel_that_is_not_written_shows():
    decoder = runs.Decoder()
    decoder.take(task([jpegs.jpeg(seed=i) for i in range(2)]))
    assert decoder.sums(0) == decoder.sums(255)
    whole = decoder.fastimg.decode
    decoder.fastimg = SimpleNamespace(decode=lambda data, out: np.copyto(out[:, 1:], whole(data)[:, 1:]))
    assert decoder.sums(0) != decoder.sums(255)


def test_tells_of_a_file_that_fails(pair):
    with pytest.raises(fastimg.JpegError):
        runs.measure(pair, task([jpegs.truncated(jpegs.jpeg())]), 1, "truncated")
    assert runs.measure(pair, task([jpegs.jpeg()]), 1, "whole")["images"] == 1  # both go on


def test_tells_of_a_process_that_ends():
    with runs.contestants({"stock": "stock"}) as pair:
        pair["stock"].process.terminate()
        with pytest.raises(SystemExit, match="the process for stage 'stock' ended with -15"):
            pair["stock"].ask("build")


def test_blocks(pair):
    """Two files a block, so that a bad file fails its own block alone."""
    good, bad = jpegs.jpeg(), jpegs.truncated(jpegs.jpeg())
    for at in range(5):
        pair["stock"].ask("take", task([bad if i == at else good for i in range(5)]))
        for block in range(3):
            before = pair["stock"].busy
            if block == at // 2:
                with pytest.raises(fastimg.JpegError):
                    pair["stock"].run(block)
            else:
                pair["stock"].run(block)
                assert pair["stock"].busy > before


# ---- files -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("restarts", files.RESTARTS)
@pytest.mark.parametrize("colour", files.COLOURS)
def test_classes(colour, restarts):
    photo = Photo("one", jpegs.jpeg(400, 500), (400, 500, 3))
    tasks = {
        q: files.Classes([photo]).task(files.Class("256x256", q, colour, restarts)) for q in files.QUALITIES
    }
    sizes = [sum(map(len, one.files)) for one in tasks.values()]
    assert sizes == sorted(set(sizes))  # a better quality takes more bytes
    for one in tasks.values():
        assert len(set(one.files)) == 2
        for data, shape in zip(one.files, one.shapes, strict=True):
            header = fastimg.read_header(data)
            assert (header.height, header.width) == (256, 256)
            assert shape == (1 if colour == "grey" else 3, 256, 256)
            assert header.subsampling == ("4:0:0" if colour == "grey" else colour)
            found = {marker: data[start + 4 : end] for marker, start, end in jpegs.segments(data)}
            mcus = 16 if colour == "4:2:0" else 32
            assert found.get(jpegs.DRI) == (mcus.to_bytes(2, "big") if restarts == "restarts" else None)


def test_choose():
    assert len(files.choose([])) == 2 * 3 * 3 * 2
    few = files.choose(["q95", "q30", "grey", "restarts"])
    assert {one.name for one in few} == {
        f"{s} {q} grey restarts" for s in files.SIZES for q in ("q30", "q95")
    }


def test_kinds():
    photo = Photo("one", jpegs.jpeg(160, 200), (160, 200, 3))
    made = {kind: files.kind_task([photo], kind, 8).files[0] for kind in files.KINDS}
    whole = made["re-encoded"]
    start = jpegs.scan_offset(whole)
    assert Image.open(io.BytesIO(made["progressive"])).info["progressive"] == 1
    assert len(made["optimised tables"]) < len(whole)
    assert made["truncated at 70 %"] == jpegs.truncated(whole, 0.7)
    pairs = zip(whole, made["one bit flipped"], strict=True)
    ((at, bits),) = [(i, a ^ b) for i, (a, b) in enumerate(pairs) if a != b]
    assert at == (start + len(whole)) // 2
    assert bits.bit_count() == 1


def test_made_pictures_are_no_noise(tmp_path):
    files.write_pictures(str(tmp_path))
    made = [path.read_bytes() for path in sorted(tmp_path.iterdir())]
    assert len(set(made)) == 2
    for data in made:
        pixels = jpegs.rgb_pillow(data).astype(int)
        assert pixels.shape == (375, 500, 3)
        assert pixels.std() > 30
        assert np.median(np.abs(np.diff(pixels, axis=1))) < 10  # neighbours in noise are 75 apart
