# SPDX-License-Identifier: BSD-3-Clause
"""The core in many threads: a C program without Python, under the sanitizers of memory and of threads."""

import os
import subprocess

import pytest
from support import jpegs
from support.c_programs import (
    AT_FIXED_PLACES,
    CORE,
    PLAIN_ENV,
    TESTS,
    THREAD_SANITIZE,
    compile_c,
    compile_program,
    has_thread_sanitizer,
    jpeg_flags,
    skip_without,
    skip_without_compiler,
)

PROGRAM = TESTS / "core" / "test_threads.c"
ROUNDS = 200 if os.environ.get("FASTIMG_EXTENDED") else 2


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    colour = jpegs.jpeg(96, 81)
    files = {
        "colour": jpegs.turbo(jpegs.noise(96, 128), quality=97),  # larger than what is read first
        "grey": jpegs.turbo(jpegs.pixels(48, 64, 1)),
        "progressive": jpegs.turbo(jpegs.pixels(64, 80), progressive=True),
        "turned": jpegs.oriented(colour, 6),
        "truncated": jpegs.truncated(colour),
        "text": b"no picture\n" * 20,  # for the fallback
        "empty": b"",
    }
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return folder


@pytest.fixture(scope="module", params=["address", "thread"])
def program(request, tmp_path_factory):
    skip_without_compiler()
    sources = [PROGRAM, *sorted(CORE.rglob("*.c"))]
    skip_without(sources[:2])
    sources += jpeg_flags("libs")
    target, flags = tmp_path_factory.mktemp("threads") / "program", jpeg_flags("cflags")
    if request.param == "address":
        return [compile_program(sources, target, "-O1", *flags)]
    if not has_thread_sanitizer():
        pytest.skip("no ThreadSanitizer, or it does not run here")
    compiled = compile_c(sources, target, *THREAD_SANITIZE, "-O0", *flags)  # compiled sooner
    assert compiled.returncode == 0, compiled.stderr
    return [*AT_FIXED_PLACES, target]


def test_threads(program, folder):
    command = [*program, str(ROUNDS), *sorted(folder.iterdir())]
    done = subprocess.run(command, capture_output=True, text=True, timeout=280, env=PLAIN_ENV)
    assert (done.returncode, done.stdout, done.stderr) == (0, "ok\n", "")
