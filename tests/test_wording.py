# SPDX-License-Identifier: BSD-3-Clause
"""Plurals, and the progress bar of a terminal."""

import subprocess
import sys

import numpy as np
import pytest

import fastimg
from fastimg.wording import counted, verb


@pytest.mark.parametrize(
    ("count", "words", "text"),
    [
        (0, ("image",), "0 images"),
        (1, ("image",), "1 image"),
        (2, ("class",), "2 classes"),
        (1, ("class",), "1 class"),
        (12345, ("file or folder", "files or folders"), "12,345 files or folders"),
        (1, ("file or folder", "files or folders"), "1 file or folder"),
    ],
)
def test_counted(count, words, text):
    assert counted(count, *words) == text


def test_verb():
    assert [verb(count, "is", "are") for count in (0, 1, 2)] == ["are", "is", "are"]


@pytest.mark.parametrize(("sources", "text"), [([b"?"], "1 of 1 image failed and is zeros"),
                                               ([b"?", b"!"], "2 of 2 images failed and are zeros")])  # fmt: skip
def test_the_warning_of_load(sources, text):
    with pytest.warns(UserWarning, match=text):
        fastimg.load(sources, np.zeros((len(sources), 3, 4, 4), np.uint8), size=4, on_error="fill")


def test_nothing_but_the_bar_is_printed():
    program = "from fastimg.progress import progress_bar\nfor _ in progress_bar(range(3), unit='img'): pass"
    command = [sys.executable, "-W", "always", "-c", program]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=True)
    assert "3/3" in done.stderr and "Warning" not in done.stderr and done.stdout == ""


def test_a_bar_is_imported_when_it_is_needed():
    program = "import sys, fastimg; sys.exit('tqdm' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], timeout=120, check=False).returncode == 0
