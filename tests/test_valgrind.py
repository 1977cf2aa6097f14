# SPDX-License-Identifier: BSD-3-Clause
"""The core's C programs under valgrind, which sees what the sanitizers do not: the use of what was never written."""

import os
import re
import shutil
import subprocess

import pytest
from support import jpegs
from support.c_programs import (
    CORE,
    PLAIN_ENV,
    TESTS,
    compile_c,
    jpeg_flags,
    skip_without,
    skip_without_compiler,
)

pytestmark = [
    pytest.mark.skipif(not os.environ.get("FASTIMG_EXTENDED"), reason="takes minutes: FASTIMG_EXTENDED=1"),
    pytest.mark.skipif(not shutil.which("valgrind"), reason="no valgrind"),
    pytest.mark.timeout(1800),
]

# Name -> the program's other sources, its arguments before the files, and how many files it gets.
PROGRAMS = {
    "test_sinks": ([], [], 0),
    "test_views": ([], [], 5),
    "test_threads": ([], ["2"], 7),
    "test_out_of_memory": (["failing_malloc", "memory_batches", "memory_cases"], [], 2),
}
# failing_malloc.c remains the one that allocates.
OPTIONS = {"test_out_of_memory": ["--soname-synonyms=somalloc=nouserintercepts"]}


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    folder = tmp_path_factory.mktemp("files")
    colour = jpegs.jpeg(96, 81)
    files = {
        "0-colour": colour,
        "1-grey": jpegs.turbo(jpegs.pixels(64, 64, 1)),
        "2-progressive": jpegs.jpeg(96, 81, progressive=True),
        "3-turned": jpegs.oriented(jpegs.jpeg(80, 133, "4:1:1"), 6),
        "4-cmyk": jpegs.turbo(jpegs.pixels(72, 72, 4)),
        "5-truncated": jpegs.truncated(colour),
        "6-text": b"no picture\n" * 20,
    }
    for name, data in files.items():
        (folder / name).write_bytes(data)
    return sorted(folder.iterdir())


@pytest.mark.parametrize("name", PROGRAMS)
def test_memcheck(name, files, tmp_path):
    skip_without_compiler()
    others, arguments, count = PROGRAMS[name]
    sources = [TESTS / "core" / f"{source}.c" for source in (name, *others)]
    skip_without(sources)
    flags = ["-O1", "-g", *jpeg_flags("cflags")]
    sources += [*sorted(CORE.rglob("*.c")), *jpeg_flags("libs"), "-ldl"]
    compiled = compile_c(sources, tmp_path / name, *flags)
    assert compiled.returncode == 0, compiled.stderr
    valgrind = ["valgrind", "--quiet", "--error-exitcode=9", "--leak-check=full", *OPTIONS.get(name, [])]
    command = [*valgrind, tmp_path / name, *arguments, *files[:count]]
    done = subprocess.run(command, capture_output=True, text=True, timeout=1700, env=PLAIN_ENV)
    assert (done.returncode, done.stderr) == (0, "")
    assert re.fullmatch(r"ok\n|\d+ cases\n", done.stdout)
