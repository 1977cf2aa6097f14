# SPDX-License-Identifier: BSD-3-Clause
"""Every allocation of the decode path fails in turn: no crash, no leak, and the next calls are right.

With FASTIMG_EXTENDED all files are decoded after all others.
"""

import json
import os
import re
import subprocess
import sys

import pytest
from support import jpegs
from support.c_programs import (
    CORE,
    PLAIN_ENV,
    TESTS,
    compile_c,
    compile_program,
    jpeg_flags,
    skip_without,
    skip_without_compiler,
)
from support.processes import HAS_GIL, child_env, run_probe

pytestmark = pytest.mark.skipif(
    not sys.platform.startswith("linux"), reason="replaces the C library's malloc"
)

FAILING_MALLOC = TESTS / "core" / "failing_malloc.c"
PROGRAM = [TESTS / "core" / f"{name}.c" for name in ("test_out_of_memory", "memory_cases", "memory_batches")]
EXTENDED = bool(os.environ.get("FASTIMG_EXTENDED"))


def damaged(data):
    """Zeros in the middle of the entropy-coded data."""
    middle = (jpegs.scan_offset(data) + len(data)) // 2
    return data[:middle] + bytes(8) + data[middle + 8 :]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    skip_without_compiler()
    skip_without([FAILING_MALLOC])
    folder = tmp_path_factory.mktemp("files")
    files = {
        "colour": jpegs.turbo(jpegs.noise(96, 128), quality=97),  # larger than what is read first
        "grey": jpegs.turbo(jpegs.pixels(48, 64, 1)),  # defines fewer tables: libjpeg is set up anew
        "progressive": jpegs.turbo(jpegs.pixels(64, 80), progressive=True),
        "truncated": jpegs.truncated(jpegs.jpeg(40, 48)),
        "cmyk": jpegs.turbo(jpegs.pixels(40, 48, 4)),
        "damaged": damaged(jpegs.jpeg(48, 64)),
        "rotated": jpegs.oriented(jpegs.jpeg(40, 56, "4:4:4"), 6),
    }
    for name, data in files.items():
        (folder / f"{name}.jpg").write_bytes(data)
    return folder


def test_core(folder, tmp_path):
    sources = [FAILING_MALLOC, *PROGRAM, *sorted(CORE.rglob("*.c")), *jpeg_flags("libs"), "-ldl"]
    flags = ["-O1", *jpeg_flags("cflags")]  # compiled sooner
    program = compile_program(sources, tmp_path / "program", *flags)
    command = [program, *(["--all"] if EXTENDED else []), *sorted(folder.glob("*.jpg"))]
    done = subprocess.run(command, capture_output=True, text=True, timeout=250, env=PLAIN_ENV)
    assert (done.returncode, done.stderr) == (0, "")
    assert int(re.fullmatch(r"(\d+) cases\n", done.stdout)[1]) >= (23000 if EXTENDED else 7000)


@pytest.mark.skipif("LD_PRELOAD" in os.environ, reason="a sanitizer has the place of malloc")
@pytest.mark.parametrize(
    ("whose", "stride", "least"), [("thread", 7, 0), ("core", 1, 300), ("objects", 31, 80)], ids=str
)
def test_python(folder, tmp_path, whose, stride, least):
    pytest.importorskip("_testcapi")
    if whose == "objects" and sys.version_info >= (3, 13):
        pytest.skip("CPython 3.13 crashes if it has no memory for a function")
    library = tmp_path / "failing_malloc.so"
    compiled = compile_c([FAILING_MALLOC, "-ldl"], library, "-shared", "-fPIC")
    assert compiled.returncode == 0, compiled.stderr
    # CPython's own small objects do not come from malloc, unless PYTHONMALLOC says so: 3.11 loops for ever if it has no
    # memory for an int while it handles an exception.
    # FASTIMG_PARTS: threads share the images, however small.
    more = {"PYTHONMALLOC": "pymalloc"} if HAS_GIL else {}
    if whose != "objects":
        more["FASTIMG_PARTS"] = "1,300"
    env = child_env(LD_PRELOAD=str(library), **more)
    if EXTENDED and whose != "objects":  # NumPy 2.4 crashes if some of its objects cannot be made
        stride = 1
    counts = json.loads(run_probe("out_of_memory_probe", folder, whose, stride, env=env))
    cases, failures, _ = map(sum, zip(*counts.values(), strict=True))
    assert cases >= failures >= least
    if whose == "core":
        assert counts["decode"][1] >= 6  # libjpeg-turbo allocates several times
        # A leak would leave a block or more per failure. The first call, in a new process, fills caches.
        for name, (_, failed, blocks) in list(counts.items())[1:]:
            assert blocks < max(16, failed), name


def test_no_with_in_cython():
    """Where there is no memory for a traceback, Cython's `with` gives __exit__ a null pointer: such code has `try`."""
    sources = [*CORE.parent.glob("*.pyx"), *CORE.parent.glob("*.pxi")]
    if not sources:
        pytest.skip("not a checkout")
    found = [
        (source.name, line)
        for source in sources
        for line in source.read_text().splitlines()
        if re.match(r"\s*with (?!(nogil|gil)\b)", line)
    ]
    assert found == []
