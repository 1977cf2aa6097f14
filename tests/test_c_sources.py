# SPDX-License-Identifier: BSD-3-Clause
"""The core compiles with every interface of libjpeg-turbo, and its real numbers do not depend on the compiler."""

import platform
import re
import shutil

import pytest
from support.c_programs import COMPILER, CORE, jpeg_flags, run_compiler, skip_without_compiler

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
    return run_compiler(command)


# Ubuntu's is that of libjpeg 8.
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


@pytest.mark.parametrize("compiler", [COMPILER, ["clang"]], ids=["cc", "clang"])
@pytest.mark.parametrize(
    "source", sorted(CORE.rglob("*.c")), ids=lambda path: path.relative_to(CORE).as_posix()
)
def test_products_and_sums_are_not_fused(source, compiler, tmp_path):
    """Clang fuses them by itself wherever it may use the instruction: on every ARM, and on x86 with -mfma."""
    if not shutil.which(compiler[0]):
        pytest.skip(f"no {compiler[0]}")
    flags = ["-mfma"] if platform.machine() in ("x86_64", "AMD64") else []
    command = [*compiler, "-std=c11", "-D_GNU_SOURCE", "-O3", *flags, "-I", CORE, *jpeg_flags("cflags")]
    assembly = tmp_path / "source.s"
    done = run_compiler([*command, "-S", source, "-o", assembly])
    if done.returncode and "jpeglib.h" in done.stderr:
        pytest.skip("no headers of libjpeg-turbo")
    assert done.returncode == 0, done.stderr
    fused = re.findall(r"^\s+(?:v?fn?m(?:add|sub|la|ls)\S*)\s.*", assembly.read_text(), re.M)
    assert not fused
