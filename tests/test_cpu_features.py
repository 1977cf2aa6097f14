# SPDX-License-Identifier: BSD-3-Clause
"""Features of the processor are found as the compiler finds them, here and on processors that qemu emulates."""

import platform
import shutil
import subprocess

import pytest
from support.c_programs import CORE, PLAIN_ENV, TESTS, compile_c, skip_without, skip_without_compiler

SOURCES = [TESTS / "core" / "test_cpu.c", CORE / "cpu.c"]
# With each set of features; with one missing; without what keeps AVX registers; and without cpuid's leaf 7. With a pdep
# in microcode.
MODELS = {
    "qemu64": 0,
    "Nehalem": 1,
    "SandyBridge": 1,
    "Haswell": 23,
    "Haswell,-bmi2": 3,
    "Haswell,-avx2": 21,
    "Haswell,-xsave": 21,
    "Haswell,level=6": 1,
    "EPYC": 7,
    "EPYC-Rome": 7,
    "EPYC-Milan": 23,
}
# Of makers that the compiler's own functions find nothing of; and without features that they do not ask for.
OTHERS = {"Dhyana": 7, "Haswell,vendor=CentaurHauls": 7, "Haswell,-popcnt": 7, "Haswell,-abm": 7}


@pytest.fixture(scope="module")
def program(tmp_path_factory):
    skip_without_compiler()
    skip_without(SOURCES)
    program = tmp_path_factory.mktemp("cpu") / "program"
    compiled = compile_c(SOURCES, program)
    assert compiled.returncode == 0, compiled.stderr
    return program


def run(*command):
    return subprocess.run(command, capture_output=True, text=True, timeout=60, env=PLAIN_ENV)


def test_here(program):
    done = run(program)
    assert done.returncode == 0, done.stdout


@pytest.mark.skipif(platform.machine() != "x86_64", reason="of x86")
@pytest.mark.skipif(not shutil.which("qemu-x86_64"), reason="no qemu-x86_64")
@pytest.mark.parametrize("model", MODELS)
def test_on_models_of_x86(program, model):
    done = run("qemu-x86_64", "-cpu", model, program)
    assert (done.returncode, done.stdout) == (0, f"{MODELS[model]}, expected {MODELS[model]}\n")


@pytest.mark.skipif(platform.machine() != "x86_64", reason="of x86")
@pytest.mark.skipif(not shutil.which("qemu-x86_64"), reason="no qemu-x86_64")
@pytest.mark.parametrize("model", OTHERS)
def test_no_fast_pdep(program, model):
    assert run("qemu-x86_64", "-cpu", model, program).stdout.startswith(f"{OTHERS[model]}, ")


@pytest.mark.skipif(not shutil.which("aarch64-linux-gnu-gcc"), reason="no aarch64-linux-gnu-gcc")
@pytest.mark.skipif(not shutil.which("qemu-aarch64_be"), reason="no qemu-aarch64_be")
def test_no_neon_on_big_endian_arm(tmp_path):
    skip_without(SOURCES)
    (tmp_path / "gnu").mkdir()
    (tmp_path / "gnu" / "stubs-lp64_be.h").touch()  # all that headers of the other kind lack
    flags = ["-mbig-endian", "-nostdlib", "-static", "-O2", "-ffunction-sections", "-Wl,--gc-sections"]
    folders = ["-I", CORE, "-idirafter", tmp_path]
    program = tmp_path / "program"
    compiled = run("aarch64-linux-gnu-gcc", *flags, *folders, *SOURCES, "-o", program)
    assert compiled.returncode == 0, compiled.stderr
    assert run("qemu-aarch64_be", program).returncode == 0
