# SPDX-License-Identifier: BSD-3-Clause
"""The core on other processors: that it compiles there, and that scripts/qemu.sh finds this machine's pixels."""

import os
import platform
import shutil
import subprocess

import pytest
from support import jpegs
from support.c_programs import (
    COMPILER,
    CORE,
    PLAIN_ENV,
    TESTS,
    jpeg_flags,
    skip_without,
    skip_without_compiler,
)

SCRIPT = TESTS.parent / "scripts" / "qemu.sh"
# As the script calls it -> what its compiler and qemu's emulator are called.
PROCESSORS = {
    "aarch64": ("aarch64-linux-gnu-gcc", "qemu-aarch64"),
    "armhf": ("arm-linux-gnueabihf-gcc", "qemu-arm"),
    "i386": ("i686-linux-gnu-gcc", "qemu-i386"),
    "s390x": ("s390x-linux-gnu-gcc", "qemu-s390x"),
}


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


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """What FASTIMG_TEST_DATA may name: files that all libjpeg-turbos decode alike, and damaged ones."""
    folder = tmp_path_factory.mktemp("data")
    for i, (name, data) in enumerate(jpegs.of_every_kind().items()):
        path = folder / ("photos" if i < 5 else "awkward") / f"{name.replace(':', '')}.jpg"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(data)
    return folder


@pytest.mark.skipif(not os.environ.get("FASTIMG_EXTENDED"), reason="takes minutes: FASTIMG_EXTENDED=1")
@pytest.mark.skipif(not shutil.which("apt-get"), reason="qemu.sh knows only Debian's packages")
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("processor", PROCESSORS)
def test_pixels_are_the_same_on_other_processors(processor, folder):
    if missing := [tool for tool in PROCESSORS[processor] if not shutil.which(tool)]:
        pytest.skip(f"needs {' and '.join(missing)}")
    skip_without([SCRIPT])
    env = PLAIN_ENV | {"FASTIMG_TEST_DATA": str(folder)}
    command = ["bash", SCRIPT, "pixels", processor]
    done = subprocess.run(command, capture_output=True, text=True, timeout=1700, env=env)
    if "no libjpeg-turbo for" in done.stderr:
        pytest.skip("apt has no libjpeg-turbo for this processor, or cannot be reached")
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert done.stdout == f"pixels of 8 of 8 files are equal on {processor}\n"
    kernels, dct = ("neon", "own") if processor == "aarch64" else ("c", "libjpeg's")
    assert f"kernels: {kernels}; hooks: own; inverse DCT: {dct}\n" in done.stderr
