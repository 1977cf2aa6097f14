# SPDX-License-Identifier: BSD-3-Clause
"""The core as a program for Windows: all that `scripts/wine.sh` tests."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest
from support.c_programs import PLAIN_ENV

ROOT = Path(__file__).resolve().parent.parent
WINE = shutil.which("wine64", path=f"{os.environ.get('PATH', '')}:/usr/lib/wine")


@pytest.mark.skipif(
    not os.environ.get("FASTIMG_EXTENDED"), reason="takes minutes: FASTIMG_EXTENDED=1 runs it"
)
@pytest.mark.skipif(not os.environ.get("FASTIMG_JPEG_SOURCE"), reason="needs FASTIMG_JPEG_SOURCE")
@pytest.mark.skipif(not WINE or not shutil.which("x86_64-w64-mingw32-gcc"), reason="no Wine or no mingw-w64")
@pytest.mark.timeout(1800)
def test_windows():
    done = subprocess.run(
        ["bash", ROOT / "scripts" / "wine.sh"], capture_output=True, text=True, timeout=1700, env=PLAIN_ENV
    )
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    assert done.stdout.count("all lines are equal") == 2
