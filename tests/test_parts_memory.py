# SPDX-License-Identifier: BSD-3-Clause
"""One image in several threads: what memory they need does not grow with its height."""

import sys

import numpy as np
import pytest
from support import jpegs
from support.processes import run_probe
from support.sanitizers import skip_measuring

THREADS, TIMES = 3, 20
MOST_KB = 4096  # between two heights: 1 MB at most was seen, 13 MB while memory grew with the height


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="measures memory as Linux does")
def test_heights(tmp_path):
    skip_measuring("memory")
    grown = []
    for height in (4000, 16000):
        path = tmp_path / f"{height}.jpg"
        path.write_bytes(jpegs.turbo(np.tile(jpegs.pixels(250, 300), (height // 250, 2, 1))))
        grown.append(int(run_probe("parts_memory_probe", path, THREADS, TIMES)))
    assert grown[0] > 0
    assert grown[1] - grown[0] < MOST_KB, grown
