# SPDX-License-Identifier: BSD-3-Clause
"""The files of FASTIMG_TEST_DATA/cases, made after public bug reports: each does what the table says."""

import csv
import json
import os
import pathlib
import re

import pytest
from support.verdicts import libjpeg_verdicts, verdict

import fastimg
from fastimg.cli import main

ROOT = pathlib.Path(os.environ.get("FASTIMG_TEST_DATA") or "/nonexistent") / "cases"

# Whole and to a size: a plain one, one that lets the DCT reduce, and one that enlarges.
SIZES = [None, (50, 70), (8, 9), (200, 130)]
DECODED = ("ok", "odd")

# What the last column promises of the error's text.
WORDS = {"DNL": r"\bDNL\b.*not supported|not supported.*\bDNL\b", "HEIC": r"\bHEIC\b"}


def table():
    if not (ROOT / "expect.csv").exists():
        return []
    with open(ROOT / "expect.csv", newline="") as file:
        return list(csv.DictReader(file))


TABLE = table()
each_row = pytest.mark.parametrize("row", TABLE, ids=lambda row: row["path"])
each_size = pytest.mark.parametrize("size", SIZES, ids=str)
each_strict = pytest.mark.parametrize("strict", [True, False], ids=["strict", "lenient"])


def job(row, **options):
    return str(ROOT / row["path"]), {"orient": False, **options}


@pytest.fixture(scope="module")
def with_libjpeg(tmp_path_factory):
    """{(path, size, strict): verdict} with libjpeg's entropy stage."""
    jobs = {
        (row["path"], size, strict): job(row, size=size, strict=strict)
        for row in TABLE
        for size in SIZES
        for strict in (True, False)
    }
    return libjpeg_verdicts(tmp_path_factory.mktemp("cases"), jobs)


def check(row, size, strict, found):
    if strict and row["strict"] not in DECODED:
        assert found.error == row["strict"], found
        for word, pattern in WORDS.items():
            if word in row["what"]:
                assert re.search(pattern, found.text)
        return
    if not row["rgb_sha"]:
        assert found.error == row["strict"], found
        return
    assert found.decoded, found
    if size is None:
        assert found.digest == row["rgb_sha"]
    if strict:
        assert bool(found.notes) == (row["strict"] == "odd")


@each_row
@each_size
@each_strict
@pytest.mark.usefixtures("silent")
def test_case(row, size, strict):
    path, options = job(row, size=size, strict=strict)
    check(row, size, strict, verdict(path, **options))
    assert verdict(pathlib.Path(path).read_bytes(), **options).error == verdict(path, **options).error


@each_row
@each_size
@each_strict
def test_case_with_libjpeg_entropy(row, size, strict, with_libjpeg):
    check(row, size, strict, with_libjpeg[row["path"], size, strict])


@pytest.mark.parametrize("row", [row for row in TABLE if row["upright_sha"]], ids=lambda row: row["path"])
@each_strict
def test_upright(row, strict):
    path = ROOT / row["path"]
    assert verdict(path, strict=strict).digest == row["upright_sha"]
    flat, header = fastimg.decode(path, orient=False), fastimg.read_header(path)
    # All of them have orientation 6.
    assert header.orientation == 6
    assert header.shape == (3, flat.shape[2], flat.shape[1])


@each_row
def test_reduced_and_grey_have_the_same_verdict(row):
    expected = "" if row["strict"] in DECODED else row["strict"]
    for options in (
        {"mode": "L"},
        {"mode": "L", "size": 8},
        {"size": 8, "reducing_gap": 1},
        {"dtype": "float32"},
    ):
        assert verdict(*job(row)[:1], **options).error == expected, options


def test_check_lists_what_is_not_ok(shared, capsys):
    if not TABLE:
        pytest.skip("FASTIMG_TEST_DATA has no cases")
    main(["check", "--json", str(ROOT)])
    kinds = {os.path.basename(row["path"]): row["kind"] for row in json.loads(capsys.readouterr().out)}
    names = {"odd": "odd", "CorruptJpegError": "broken", "TruncatedJpegError": "broken", "ok": None}
    for row in TABLE:
        kind = "unsupported" if row["path"] == "height0_dnl.jpg" else "not JPEG"
        assert kinds.get(row["path"]) == names.get(row["strict"], kind), row["path"]
