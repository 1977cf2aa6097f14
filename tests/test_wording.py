# SPDX-License-Identifier: BSD-3-Clause
"""Plurals in messages."""

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

