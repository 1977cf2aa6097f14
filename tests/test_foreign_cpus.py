# SPDX-License-Identifier: BSD-3-Clause
"""The core on other processors: that it compiles there."""

import platform
import subprocess

import pytest
from support.c_programs import (
    COMPILER,
    CORE,
    PLAIN_ENV,
    jpeg_flags,
    skip_without,
    skip_without_compiler,
)


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="of x86")
def test_core_compiles_where_floats_are_computed_with_more_digits(tmp_path):
    skip_without_compiler()
    sources = sorted(CORE.rglob("*.c"))
    skip_without(sources[:1])
    empty = tmp_path / "empty.c"
    empty.write_text("int empty;\n")
    command = [
        *COMPILER,
        "-std=c11",
        "-Wall",
        "-Wextra",
        "-Werror",
        "-fsyntax-only",
        "-mfpmath=387",
        "-I",
        CORE,
    ]
    if subprocess.run([*command, empty], capture_output=True, env=PLAIN_ENV).returncode:
        pytest.skip("the compiler does not compute with the registers of x87")
    done = subprocess.run(
        [*command, *jpeg_flags("cflags"), *sources],
        capture_output=True,
        text=True,
        timeout=120,
        env=PLAIN_ENV,
    )
    assert (done.returncode, done.stderr) == (0, "")
