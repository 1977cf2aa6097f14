# SPDX-License-Identifier: BSD-3-Clause
"""The sinks without libjpeg: a C program feeds them rows that no JPEG ever held."""

import subprocess

import pytest
from support.c_programs import (
    CORE,
    PLAIN_ENV,
    SANITIZE,
    TESTS,
    compile_c,
    has_sanitizers,
    skip_without,
    skip_without_compiler,
)

PROGRAM = TESTS / "core" / "test_sinks.c"


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    sources = [PROGRAM, *sorted((CORE / "pixels").glob("*.c")), CORE / "cpu.c", CORE / "plan.c"]
    skip_without_compiler()
    skip_without([PROGRAM, CORE / "cpu.c"])
    folder = tmp_path_factory.mktemp("sinks")
    target = folder / "test_sinks"
    compiled = compile_c(sources, target, *(SANITIZE if has_sanitizers() else []))
    assert compiled.returncode == 0, compiled.stderr
    return target


@pytest.mark.parametrize("kernels", [[], ["c"]], ids=["native", "c"])
def test_sinks(program, kernels):
    done = subprocess.run([program, *kernels], capture_output=True, text=True, timeout=120, env=PLAIN_ENV)
    assert (done.returncode, done.stdout, done.stderr) == (0, "ok\n", "")
