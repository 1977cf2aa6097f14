# SPDX-License-Identifier: BSD-3-Clause
"""The files of the benchmark are what they are said to be, and it runs."""

import json

import pytest
from support import jpegs
from support.jpegs import assert_same
from support.sanitizers import skip_measuring

import fastimg
from benchmarks import _hostile_files as files
from benchmarks import hostile


@pytest.mark.parametrize("kind", files.COMPONENTS)
@pytest.mark.parametrize("count", [4, 9])
def test_whole_files(kind, count):
    data = files.scans(kind, 2000, count)
    assert data.count(b"\xff\xda") == count
    for strict in (True, False):
        image = fastimg.decode(data, layout="HWC", strict=strict)
        assert image.shape == (2000, 2000, 3)
        assert_same(image[::37], jpegs.rgb_pillow(data)[::37])


@pytest.mark.parametrize("kind", files.COMPONENTS)
@pytest.mark.parametrize("progressive", [True, False])
def test_cut_files(kind, progressive):
    data = files.cut(kind, 90, progressive=progressive)
    assert len(data) < 160 and fastimg.read_header(data).shape[1:] == (90, 90)
    with pytest.raises(fastimg.TruncatedJpegError, match="row 0 of 90"):
        fastimg.decode(data)
    assert fastimg.decode(data, strict=False).shape == (3, 90, 90)


def test_runs(tmp_path, capsys, monkeypatch):
    skip_measuring("memory")
    monkeypatch.setattr(
        hostile,
        "FILES",
        {
            "cut": (64, lambda: files.cut("4:4:4", 64, progressive=True)),
            "whole": (64, lambda: files.scans("4:2:0", 64, 5)),
        },
    )
    facts = tmp_path / "facts.json"
    hostile.main(["--json", str(facts)])
    tables = json.loads(facts.read_text())["hostile"]
    found = {name: row["found"] for name, row in tables["files"].items()}
    assert found["cut: fastimg"] == "TruncatedJpegError" and found["cut: fastimg, lenient"] == "image"
    assert {found["whole: fastimg"], found["whole: Pillow"], found["cut: Pillow, lenient"]} == {"image"}
    assert tables["worst"].keys() >= {"fastimg", "fastimg, lenient", "Pillow"}
    assert "worst" in capsys.readouterr().out


def test_a_process_that_dies_is_reported(monkeypatch):
    monkeypatch.setattr(hostile, "MEMORY", -1)
    row = hostile.measure("no such way", b"")
    assert "ended" in row["found"] or "Error" in row["found"]
