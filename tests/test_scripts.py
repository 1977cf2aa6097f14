# SPDX-License-Identifier: BSD-3-Clause
"""What the scripts choose by themselves."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from support.c_programs import PLAIN_ENV, has_sanitizers

ROOT = Path(__file__).resolve().parent.parent
FAULTS = """\
#include <stdlib.h>
int overflow(int a) { return a + 2147483647; }
int overrun(int a) { return ((char *)malloc(a))[a]; }
"""
RUN_FAULT = """\
. "$1"
use_sanitizers
${CC:-gcc} -shared -fPIC $CFLAGS faults.c $LDFLAGS -o faults.so
"${run_env[@]}" "$2" -c "import ctypes; ctypes.CDLL('./faults.so').$3(8)" >/dev/null 2>&1 || echo died
reports
"""


def test_the_tests_that_start_threads():
    """Those that scripts/test.sh runs under ThreadSanitizer: each topic's, and no topic has lost its tests."""
    text = (ROOT / "scripts" / "test.sh").read_text()
    names = re.search(r'^with_threads="[^"]*"$', text, re.MULTILINE)[0]
    choice = re.search(r"^if [^\n]* = thread .*?^fi$", text, re.MULTILINE | re.DOTALL)[0]
    done = subprocess.run(
        ["bash", "-euc", f'{names}\n{choice}\nprintf "%s\\n" "$@"', "bash"],
        cwd=ROOT,
        env={**os.environ, "FASTIMG_SANITIZE": "thread"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stderr) == (0, "")
    found = done.stdout.split()
    assert [name for name in found if not (ROOT / name).is_file()] == []
    expected = set()
    for topic in re.split(r'[\s"]+', names)[1:-1]:
        files = [path for glob in ("", "_*") for path in (ROOT / "tests").glob(f"test_{topic}{glob}.py")]
        assert files, topic
        expected |= {f"tests/{path.name}" for path in files}
    assert set(found) == expected and "tests/test_concurrency_exits.py" in found


@pytest.mark.parametrize(
    ("fault", "report"),
    [
        ("overflow", "runtime error: signed integer overflow"),
        ("overrun", "ERROR: AddressSanitizer: heap-buffer"),
    ],
)
def test_what_either_sanitizer_finds_is_reported(fault, report, tmp_path):
    if sys.platform != "linux" or not has_sanitizers("-static-libubsan"):
        pytest.skip("no gcc with sanitizers, or they do not run here")
    (tmp_path / "faults.c").write_text(FAULTS)
    done = subprocess.run(
        ["bash", "-euc", RUN_FAULT, "bash", ROOT / "scripts" / "setup-env.sh", sys.executable, fault],
        cwd=tmp_path,
        env={**PLAIN_ENV, "FASTIMG_SANITIZE": "address,undefined"},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert (done.returncode, done.stdout) == (1, "died\n"), done.stderr
    assert report in done.stderr and done.stderr.endswith("== Reports of address,undefined: 1\n")


@pytest.mark.skipif(not shutil.which("bash"), reason="no bash")
@pytest.mark.parametrize(
    ("source", "message"),
    [
        (None, "set FASTIMG_JPEG_SOURCE to the source archive of libjpeg-turbo"),
        ("missing.tar.gz", "cannot get missing.tar.gz"),
        # The checksum of no bytes at all.
        ("empty.tar.gz", "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855 found"),
    ],
)
def test_libjpeg_turbo_is_built_from_the_expected_source_alone(source, message, tmp_path):
    (tmp_path / "empty.tar.gz").touch()
    env = {name: value for name, value in os.environ.items() if name != "FASTIMG_JPEG_SOURCE"}
    done = subprocess.run(
        ["bash", ROOT / "scripts" / "libjpeg-turbo.sh", "prefix"],
        cwd=tmp_path,
        env={**env, **({"FASTIMG_JPEG_SOURCE": source} if source else {})},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1 and message in done.stderr
    assert not [path for path in tmp_path.rglob("*") if path.name not in ("empty.tar.gz", "prefix")]


def test_the_tests_of_each_wheel_exist():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["cibuildwheel"]
    files = [word for word in settings["test-command"].split() if word.startswith("tests/")]
    assert "tests/test_wheel.py" in files and all((ROOT / file).is_file() for file in files)
    assert all((ROOT / path).exists() for path in settings["test-sources"])
