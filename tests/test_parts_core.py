# SPDX-License-Identifier: BSD-3-Clause
"""One image in several threads, in a C program without Python, under the sanitizers of memory and of threads."""

import subprocess

import numpy as np
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
from support.entropy_files import bases, mutate, turbo_setting

PROGRAM = TESTS / "core" / "test_parts.c"


def files():
    for subsampling, interval in (("4:2:0", "0"), ("4:4:4", "0"), ("4:2:2", "3B"), ("4:2:0", "1")):
        with turbo_setting("TJ_RESTART", interval):
            yield jpegs.turbo(jpegs.pixels(120, 150), subsampling)
    yield jpegs.turbo(jpegs.pixels(90, 60, 1))
    yield jpegs.truncated(jpegs.jpeg(80, 90))
    yield jpegs.oriented(jpegs.jpeg(96, 81), 6)
    rng = np.random.default_rng(5)
    kinds = list(bases())
    for i in range(20):
        yield mutate(rng, kinds[i % len(kinds)])


@pytest.mark.parametrize("sanitizer", ["address", "thread"])
def test_parts(sanitizer, tmp_path):
    skip_without_compiler()
    sources = [PROGRAM, *sorted(CORE.rglob("*.c"))]
    skip_without(sources[:2])
    sources += jpeg_flags("libs")
    command = [tmp_path / "program"]
    if sanitizer == "address":
        compile_program(sources, command[0], "-O1", *jpeg_flags("cflags"))
    else:
        if not has_thread_sanitizer():
            pytest.skip("no ThreadSanitizer, or it does not run here")
        compiled = compile_c(sources, command[0], *THREAD_SANITIZE, "-O1", *jpeg_flags("cflags"))
        assert compiled.returncode == 0, compiled.stderr
        command = [*AT_FIXED_PLACES, *command]
    for i, data in enumerate(files()):
        (tmp_path / f"{i}.jpg").write_bytes(data)
    paths = sorted(tmp_path.glob("*.jpg"))
    done = subprocess.run([*command, *paths], capture_output=True, text=True, timeout=280, env=PLAIN_ENV)
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{len(paths)} files\n", "")
