# SPDX-License-Identifier: BSD-3-Clause
"""The comparison of two builds runs, and imports the builds that it names."""

import json
import pathlib
import shutil

import numpy as np
import pytest
from support.files import write_photos

import fastimg
from benchmarks import _pixels as pixels
from benchmarks import compare
from benchmarks._process import Child

PACKAGE = pathlib.Path(fastimg.__file__).parent
CHANGED = """
from fastimg import decoding as _decoding

def decode(*args, **options):
    found = _decoding.decode(*args, **options)
    found[...] ^= 1
    return found
"""


@pytest.fixture(autouse=True)
def small_files(monkeypatch):
    monkeypatch.setattr(pixels, "CELL", (40, 30))
    monkeypatch.setattr(compare, "SMALLS", 5)


@pytest.fixture
def photos(tmp_path):
    return write_photos(tmp_path / "photos", 3, 40, 60)


@pytest.fixture
def other(tmp_path):
    """A virtual environment with a build that changes the last bit of each pixel."""
    folder = tmp_path / "venv/lib/python3.99/site-packages"
    shutil.copytree(PACKAGE, folder / "fastimg", ignore=shutil.ignore_patterns("_core", "__pycache__"))
    with open(folder / "fastimg/__init__.py", "a") as file:
        file.write(CHANGED)
    return tmp_path / "venv"


def test_runs(photos, other, tmp_path, capsys):
    facts = tmp_path / "facts.json"
    words = [str(other), str(PACKAGE.parent), "--images", str(photos), "--rounds", "2", "--json", str(facts)]
    compare.main(words)
    payload = json.loads(facts.read_text())
    assert payload["versions"].keys() == {"before", "after"}
    assert payload["versions"]["before"]["version"] == fastimg.__version__
    text = capsys.readouterr().out
    assert f"before: {other}, version {fastimg.__version__}" in text
    names = [f"{case} to {to}" for case, (*_, results) in compare.CASES.items() for to in results]
    assert list(payload["builds"]) == names and len(names) == 12
    assert all(f"| {name} " in text for name in names)


def test_pixels_that_differ_are_counted(photos, other):
    read, _ = pixels.read_corpus(photos, None)
    args = type("Args", (), {"cases": ["photos", "32x32"], "rounds": 2})
    with compare.builds(after=PACKAGE.parent, before=other) as (pair, _):
        rows = compare.bench_builds(pair, read, args)
        assert [row["differ"] for row in rows.values()] == [3, 3, 3, 3, 5]
        for row in rows.values():
            assert row["quartiles"][0] <= row["ratio"] <= row["quartiles"][1]
            assert row["ms"].keys() == {"after", "before"}
            ratios = np.divide(row["rounds"]["before"], row["rounds"]["after"])
            assert ratios.shape == (2,)
    with compare.builds(after=PACKAGE.parent, before=PACKAGE.parent) as (pair, _):
        rows = compare.bench_builds(pair, read, args)
        assert {row["differ"] for row in rows.values()} == {0}


def test_refuses_what_is_no_build(tmp_path):
    with pytest.raises(SystemExit, match="no folder fastimg there that could be imported"):
        compare.find_build(tmp_path)


def test_refuses_another_build_than_the_named(other, monkeypatch):
    monkeypatch.setattr(compare, "Child", lambda target, folder: Child(target))
    with (
        pytest.raises(SystemExit, match=r"expected .*site-packages, imported .*fastimg"),
        compare.builds(before=other),
    ):
        pass
