# SPDX-License-Identifier: BSD-3-Clause
"""The core compiles with every interface that libjpeg-turbo can be built with: Ubuntu's is that of libjpeg 8."""

import subprocess

import pytest
from support.c_programs import COMPILER, CORE, PLAIN_ENV, jpeg_flags, skip_without_compiler

JCONFIG = """
#include_next <jconfig.h>
#undef JPEG_LIB_VERSION
#define JPEG_LIB_VERSION {version}
"""


def compiles(*arguments):
    command = [
        *COMPILER,
        "-std=c11",
        "-D_GNU_SOURCE",
        "-Wall",
        "-Wextra",
        "-Werror",
        "-fsyntax-only",
        *arguments,
    ]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env=PLAIN_ENV)


@pytest.mark.parametrize("version", [62, 70, 80])
def test_interfaces(version, tmp_path):
    skip_without_compiler()
    probe = tmp_path / "probe.c"
    probe.write_text("#include <stdio.h>\n#include <jpeglib.h>\n")
    if compiles(*jpeg_flags("cflags"), probe).returncode:
        pytest.skip("no headers of libjpeg-turbo")
    (tmp_path / "jconfig.h").write_text(JCONFIG.format(version=version))
    sources = sorted(CORE.rglob("*.c"))
    assert sources
    done = compiles("-I", tmp_path, "-I", CORE, *jpeg_flags("cflags"), *sources)
    assert done.returncode == 0, done.stderr
