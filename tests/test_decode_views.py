# SPDX-License-Identifier: BSD-3-Clause
"""Several views of one image in the core: a C program compares them with calls of their own."""

import subprocess

import pytest
from support import jpegs
from support.c_programs import CORE, PLAIN_ENV, TESTS, compile_program, jpeg_flags

PROGRAM = TESTS / "core" / "test_views.c"


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    sources = [PROGRAM, *sorted(CORE.rglob("*.c")), *jpeg_flags("libs")]
    target = tmp_path_factory.mktemp("views") / "program"
    return compile_program(sources, target, "-O1", *jpeg_flags("cflags"))


def test_views_are_what_they_are_alone(program, tmp_path):
    files = jpegs.of_every_kind() | {
        "rgb": jpegs.pillow(jpegs.pixels(70, 90), keep_rgb=True),
        "mirrored": jpegs.oriented(jpegs.jpeg(96, 81), 3),
    }
    for name, data in files.items():
        (tmp_path / name).write_bytes(data)
    command = [program, *sorted(tmp_path.iterdir())]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, env=PLAIN_ENV)
    assert (done.returncode, done.stdout, done.stderr) == (0, "ok\n", "")
