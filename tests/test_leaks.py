# SPDX-License-Identifier: BSD-3-Clause
"""20,000 calls of each outcome do not grow the process, nor leave files open."""

import json
import sys

import pytest
from support import jpegs
from support.processes import run_probe
from support.sanitizers import skip_measuring

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc/self/statm")

LIMIT = 256 * 1024

OUTCOMES = {
    "good": 20_000,
    "good, out": 20_000,
    "good, float": 20_000,
    "truncated": 20_000,
    "truncated, lenient": 20_000,
    "not JPEG": 20_000,
    "wrong out shape": 20_000,
    "wrong dtype": 20_000,
    "read-only out": 20_000,
    "bad option": 20_000,
    "over the limit": 20_000,
    "missing file": 20_000,
    "header": 20_000,
    # These start threads or make several images: fewer calls take as long.
    "load": 3_000,
    "load, error": 3_000,
    "accessor": 5_000,
    "random resized crop": 5_000,
}


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("leaks")
    good = jpegs.jpeg(8, 8)
    files = {
        "good": good,
        "truncated": jpegs.truncated(good),
        "text": b"no picture",
        "large": jpegs.reframed(good, height=65500, width=65500),
    }
    for name, data in files.items():
        (folder / f"{name}.jpg").write_bytes(data)
    return folder


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_no_growth(outcome, folder):
    # A fresh process each: what one outcome frees must not be what the next one takes.
    result = json.loads(run_probe("leak_probe", outcome, folder, OUTCOMES[outcome]))
    assert result["wrong"] == 0
    assert result["files"] == 0
    skip_measuring("growth")
    assert result["growth"] <= LIMIT
