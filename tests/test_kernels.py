# SPDX-License-Identifier: BSD-3-Clause
"""Every kernel gives what its C version gives: each by itself, and in the whole library."""

import os
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CORE = ROOT / "fastimg" / "_core"
FOLDER = ROOT / "tests" / "kernels"
SOURCES = [CORE / name for name in ("kernels.c", "cpu.c", "pixels.c", "idct.c")]
COMPILER = shlex.split(os.environ.get("CC", "")) or ["cc"]
SANITIZE = ["-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"]

# A build for the sanitizers preloads their library, which suits no other program.
PLAIN_ENV = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}

# What each of the programs tests: kernels (of which some have a version for every processor), and formulas.
PROGRAMS = {
    "test_kernels": (
        ("split3", "merge3", "reverse", "transpose", "normalize32", "map16", "ycc8_to_rgb"),
        ("cmyk", "luma", "jfif"),
    ),
    "test_resize_kernels": (
        ("resample_rows", "resample_near", "resample_across", "round_levels", "ycc_to_rgb"),
        (),
    ),
    "test_idct_kernels": (("idct_4",), ("low_pass", "edges")),
    "test_idct_8_kernel": (("idct_8",), ("accuracy",)),
}
# Kernels without a C version, each with those that it has.
ONLY = {"idct_8": ("avx2",)}


def compile_c(sources, target, *flags, compiler=COMPILER):
    command = [*compiler, "-std=c11", "-O2", "-Wall", "-Wextra", "-Werror", *flags, "-I", CORE, *sources]
    return subprocess.run(
        [*command, "-lm", "-o", target], capture_output=True, text=True, timeout=120, env=PLAIN_ENV
    )


@pytest.fixture(scope="module", autouse=True)
def _sources():
    headers = (FOLDER / name for name in ("check.h", "coefficients.h"))
    needed = [*(FOLDER / f"{name}.c" for name in PROGRAMS), *headers, *SOURCES]
    missing = [path.name for path in needed if not path.exists()]
    if missing:
        pytest.skip(f"no C sources: {', '.join(missing)}")


@pytest.fixture
def compiler():
    if not shutil.which(COMPILER[0]):
        pytest.skip(f"no C compiler: {COMPILER[0]}")


def check_kernels(folder, name, kernels, *flags, compiler=COMPILER, launcher=()):
    """Build a program of tests and run it; `kernels` is what the processor's own versions are called."""
    program = folder / name
    compiled = compile_c([FOLDER / f"{name}.c", *SOURCES], program, *flags, compiler=compiler)
    assert compiled.returncode == 0, compiled.stderr
    done = subprocess.run([*launcher, program], capture_output=True, text=True, timeout=300, env=PLAIN_ENV)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout[-2000:] + done.stderr[-2000:]

    tested, formulas = PROGRAMS[name]
    verdicts = {tuple(line.split()[:2]): line.split(maxsplit=2)[2] for line in done.stdout.splitlines()}
    for each in ONLY.keys() & tested:
        for version in {"c", kernels}:
            expected = "equals its definition" if version in ONLY[each] else "does not exist"
            assert verdicts.pop((each, version)) == expected
    with_c = [each for each in tested if each not in ONLY]
    for each in (*with_c, *formulas):
        assert verdicts.pop((each, "c")) == "equals its definition"
    if kernels != "c":
        # Some must have been tried, or the table is not what it says it is.
        found = [verdicts.pop((each, kernels)) for each in with_c]
        assert found.count("equals c") >= min(4, len(with_c))
    assert not verdicts


@pytest.fixture(scope="module")
def best_kernels():
    """The name of the versions this processor gets, whatever FASTIMG_CPU says."""
    import fastimg

    env = {name: value for name, value in os.environ.items() if name != "FASTIMG_CPU"}
    env["PYTHONPATH"] = os.pathsep.join(
        [str(Path(fastimg.__file__).parent.parent), env.get("PYTHONPATH", "")]
    )
    code = "import fastimg; print(fastimg.build_info()['kernels'])"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env)
    return done.stdout.strip()


@pytest.mark.usefixtures("compiler")
@pytest.mark.parametrize("name", PROGRAMS)
def test_every_version(tmp_path, best_kernels, name):
    check_kernels(tmp_path, name, best_kernels)


@pytest.mark.usefixtures("compiler")
@pytest.mark.parametrize("name", PROGRAMS)
def test_every_version_sanitized(tmp_path, best_kernels, name):
    # Whether the sanitizers are installed, and may run here, shows in a program that does nothing.
    empty = tmp_path / "empty.c"
    empty.write_text("int main(void) { return 0; }\n")
    if compile_c([empty], tmp_path / "empty", *SANITIZE).returncode:
        pytest.skip("the compiler has no sanitizers")
    if subprocess.run([tmp_path / "empty"], capture_output=True, env=PLAIN_ENV).returncode:
        pytest.skip("sanitized programs do not run here")
    check_kernels(tmp_path, name, best_kernels, *SANITIZE)


@pytest.mark.parametrize("name", PROGRAMS)
def test_neon_emulated(tmp_path, name):
    """The versions for ARM on any machine that has the tools (Debian: gcc-aarch64-linux-gnu, qemu-user)."""
    compiler, emulator = shutil.which("aarch64-linux-gnu-gcc"), shutil.which("qemu-aarch64")
    if not compiler or not emulator:
        pytest.skip("needs aarch64-linux-gnu-gcc and qemu-aarch64")
    check_kernels(tmp_path, name, "neon", "-static", compiler=[compiler], launcher=[emulator])
