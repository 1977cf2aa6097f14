# SPDX-License-Identifier: BSD-3-Clause
"""`fastimg info`."""

import dataclasses
import json
import os
from pathlib import Path

import pytest
from support.cli_common import PATHS, SIZE, encoded

import fastimg
from fastimg.cli import main


def test_info_prints_one_aligned_line_a_file(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Path("a longer name.jpg").write_bytes(
        encoded(1, (1000, 8), orientation=6, progressive=True, subsampling=0)
    )
    assert main(["info", "photos/cat/1.jpg", "a longer name.jpg"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[-11:] for line in lines] == [
        [field.name for field in dataclasses.fields(fastimg.Header)],
        ["37", "23", "3", "YCbCr", "4:2:0", "no", "8", "0", "1", str(os.path.getsize(PATHS[0])), "JPEG"],
        [
            "8",
            "1000",
            "3",
            "YCbCr",
            "4:4:4",
            "yes",
            "8",
            "0",
            "6",
            str(os.path.getsize("a longer name.jpg")),
            "JPEG",
        ],
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
