# SPDX-License-Identifier: BSD-3-Clause
"""Every allocation of the threads that decode one image fails in turn: the pixels of one thread, or no memory."""

import re
import subprocess
import sys

import pytest
from support import jpegs
from support.c_programs import CORE, PLAIN_ENV, TESTS, compile_program, jpeg_flags
from support.entropy_files import turbo_setting

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="replaces the C library's malloc"
)

NAMES = ("test_parts_memory", "memory_cases", "failing_malloc")


def files():
    photo = jpegs.pixels(120, 150)
    yield jpegs.turbo(photo)
    yield jpegs.turbo(photo, "4:4:4")
    with turbo_setting("TJ_RESTART", "1"):
        yield jpegs.turbo(photo)
    yield jpegs.truncated(jpegs.turbo(photo))
    yield jpegs.oriented(jpegs.jpeg(90, 120), 6)


def test_core(tmp_path):
    sources = [*(TESTS / "core" / f"{name}.c" for name in NAMES), *sorted(CORE.rglob("*.c"))]
    sources += [*jpeg_flags("libs"), "-ldl"]
    program = compile_program(sources, tmp_path / "program", "-O1", *jpeg_flags("cflags"))
    for i, data in enumerate(files()):
        (tmp_path / f"{i}.jpg").write_bytes(data)
    paths = sorted(tmp_path.glob("*.jpg"))
    done = subprocess.run([program, *paths], capture_output=True, text=True, timeout=250, env=PLAIN_ENV)
    assert (done.returncode, done.stderr) == (0, "")
    cases, images = map(int, re.fullmatch(r"(\d+) cases, (\d+) images\n", done.stdout).groups())
    assert cases >= 1000 and images >= cases
