# SPDX-License-Identifier: BSD-3-Clause
"""Every version of a kernel equals the C version, and the C version equals its definition."""

import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor

import pytest
from support.c_programs import (
    COMPILER,
    CORE,
    CPUS,
    PLAIN_ENV,
    SANITIZE,
    TESTS,
    compile_c,
    has_sanitizers,
    skip_without,
    skip_without_compiler,
)
from support.processes import best_kernels

SOURCES = [*(TESTS / "kernels").glob("*.c"), *(CORE / "pixels").glob("*.c"), CORE / "cpu.c"]
KERNELS = (
    *("deinterleave3", "interleave3", "reverse", "transpose", "normalize32", "lut16"),
    *(f"{sampling}_to_{what}" for what in ("planes", "pixels") for sampling in ("h1v1", "h2v1", "h2v2")),
    *("resample_h", "resample_h_q6", "resample_h_shuffle", "resample_v", "round_q6"),
    *("ycc_q6_to_rgb", "idct_4", "idct_2", "reduce_pixels", "idct_8"),
)
FORMULAS = ("cmyk_to_rgb", "rgb_to_luma", "jfif", "low_pass", "edges", "accuracy")
# Kernels that an instruction set has no version of.
LACKING = {"avx2": {"lut16"}, "neon": {"idct_2", "reduce_pixels"}}


@pytest.fixture(scope="module", params=["native", "sanitized", "neon"])
def program(request, tmp_path_factory):
    """The command that runs tests/kernels, the name of the best versions where it runs, and runs that have begun.

    These are of the kernels that are going to be tested, in as many processes as there are CPUs.
    "neon" runs the versions for ARM on any machine that has the tools (Debian: gcc-aarch64-linux-gnu, qemu-user).
    """
    folder = tmp_path_factory.mktemp(request.param)
    flags, compiler, launcher, best = [], COMPILER, [], best_kernels()
    if request.param == "neon":
        compiler, emulator = shutil.which("aarch64-linux-gnu-gcc"), shutil.which("qemu-aarch64")
        if not compiler or not emulator:
            pytest.skip("needs aarch64-linux-gnu-gcc and qemu-aarch64")
        flags, compiler, launcher, best = ["-static"], [compiler], [emulator], "neon"
    skip_without_compiler()
    skip_without([TESTS / "kernels" / "harness.c", CORE / "cpu.c"])
    if request.param == "sanitized":
        if not has_sanitizers():
            pytest.skip("no sanitizers, or they do not run here")
        flags = SANITIZE
    compiled = compile_c(SOURCES, folder / "kernels", *flags, compiler=compiler)
    assert compiled.returncode == 0, compiled.stderr
    command = [*launcher, folder / "kernels"]
    names = [
        item.callspec.params["kernel"]
        for item in request.session.items
        if getattr(item, "function", None) is test_kernel and item.callspec.params["program"] == request.param
    ]
    with ThreadPoolExecutor(CPUS) as pool:
        yield command, best, {name: pool.submit(run, [*command, name]) for name in names}
        pool.shutdown(cancel_futures=True)


def run(command):
    done = subprocess.run(command, capture_output=True, text=True, timeout=250, env=PLAIN_ENV)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout[-2000:] + done.stderr[-2000:]
    return done.stdout.splitlines()


@pytest.mark.parametrize("kernel", KERNELS + FORMULAS)
def test_kernel(program, kernel):
    _, best, runs = program
    found = dict(line.removeprefix(kernel).split(maxsplit=1) for line in runs[kernel].result())
    expected = {"c": "equals its definition"}
    if kernel in KERNELS:
        expected |= dict.fromkeys(found.keys() - {"c"}, "equals c")
        assert best in found or best not in LACKING or kernel in LACKING[best]
    if kernel == "idct_8":  # the C version is libjpeg's
        expected = dict.fromkeys(found, "equals its definition")
        assert "c" not in found
    assert found == expected


def test_list(program):
    command, *_ = program
    assert sorted(run([*command, "--list"])) == sorted(KERNELS + FORMULAS)
