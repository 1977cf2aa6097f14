# SPDX-License-Identifier: BSD-3-Clause
"""The sinks without libjpeg: a C program feeds them rows that no JPEG ever held."""

import subprocess

import pytest
from support.c_programs import CORE, PLAIN_ENV, TESTS, compile_program

PROGRAM = TESTS / "core" / "test_sinks.c"


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    sources = [PROGRAM, *sorted((CORE / "pixels").glob("*.c")), CORE / "cpu.c", CORE / "plan.c"]
    return compile_program(sources, tmp_path_factory.mktemp("sinks") / "test_sinks")


@pytest.mark.parametrize("kernels", [[], ["c"]], ids=["native", "c"])
def test_sinks(program, kernels):
    done = subprocess.run([program, *kernels], capture_output=True, text=True, timeout=120, env=PLAIN_ENV)
    assert (done.returncode, done.stdout, done.stderr) == (0, "ok\n", "")
