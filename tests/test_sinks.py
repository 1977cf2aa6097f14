# SPDX-License-Identifier: BSD-3-Clause
"""The sinks without libjpeg: a C program feeds them rows that no JPEG ever held."""

import shutil
import subprocess
from pathlib import Path

import pytest
from test_kernels import COMPILER, CORE, PLAIN_ENV, compile_c

PROGRAM = Path(__file__).parent / "core" / "test_sinks.c"


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    sources = [PROGRAM, *sorted((CORE / "pixels").glob("*.c")), CORE / "cpu.c", CORE / "plan.c"]
    if not shutil.which(COMPILER[0]):
        pytest.skip(f"no C compiler: {COMPILER[0]}")
    if not CORE.exists():
        pytest.skip("no C sources")
    target = tmp_path_factory.mktemp("sinks") / "test_sinks"
    compiled = compile_c(sources, target)
    assert compiled.returncode == 0, compiled.stderr
    return target


@pytest.mark.parametrize("kernels", [[], ["c"]], ids=["native", "c"])
def test_sinks(program, kernels):
    done = subprocess.run([program, *kernels], capture_output=True, text=True, timeout=120, env=PLAIN_ENV)
    assert (done.returncode, done.stdout, done.stderr) == (0, "ok\n", "")
