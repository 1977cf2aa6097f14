# SPDX-License-Identifier: BSD-3-Clause
"""Images that are none for the core on storage that is slow: they are read ahead of decoding like JPEGs."""

import subprocess
import sys

import numpy as np
import pytest
from support import raw_images
from support.c_programs import skip_without_compiler
from support.processes import child_env

from benchmarks._slow_files import SlowFiles

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="LD_PRELOAD is Linux's")

COUNT, NUM_THREADS = 120, 2
PROGRAM = """
import pathlib, sys
from support import raw_images
import fastimg
paths = sorted(map(str, pathlib.Path(sys.argv[1]).iterdir()))
options = {"size": 4} if sys.argv[2] == "size" else {}
data = fastimg.load(paths, num_threads=2, fallback=raw_images.decode, mode="L", **options)
print(data[:, 0, 0, 0].tolist() == list(range(len(paths))))
"""


@pytest.mark.parametrize("how", ["size", "no size"])
def test_files_are_read_ahead(tmp_path, how):
    skip_without_compiler()
    root = tmp_path / "files"
    root.mkdir()
    for i in range(COUNT):
        (root / f"{i:03}.png").write_bytes(raw_images.encode(np.full((4, 4), i, np.uint8)))
    slow = SlowFiles(root, tmp_path)
    slow.start(open_ms=20)
    program = [sys.executable, "-c", PROGRAM, str(root), how]
    done = subprocess.run(
        program, env=child_env(**slow.environment()), check=True, capture_output=True, text=True, timeout=60
    )
    assert done.stdout == "True\n"
    # By the threads that decode alone, no more files would be open than there are of these.
    assert slow.counts()["most_opens"] > 2 * NUM_THREADS
