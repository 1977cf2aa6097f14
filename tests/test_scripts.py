# SPDX-License-Identifier: BSD-3-Clause
"""What the scripts choose by themselves."""

import os
import re
import subprocess
from pathlib import Path

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
