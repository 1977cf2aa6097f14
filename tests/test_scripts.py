# SPDX-License-Identifier: BSD-3-Clause
"""What the scripts choose by themselves."""

import os
import re
import shutil
import subprocess
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent


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
