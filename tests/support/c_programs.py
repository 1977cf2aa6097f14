# SPDX-License-Identifier: BSD-3-Clause
"""Compiles C programs from the core's sources, where there is a compiler."""

import os
import pathlib
import shlex
import shutil
import subprocess

import pytest

TESTS = pathlib.Path(__file__).parent.parent
CORE = TESTS.parent / "fastimg" / "_core"
COMPILER = shlex.split(os.environ.get("CC", "")) or ["cc"]
SANITIZE = ["-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"]

# A build for the sanitizers preloads their library, which suits no other program.
PLAIN_ENV = {name: value for name, value in os.environ.items() if name != "LD_PRELOAD"}


def skip_without_compiler():
    if not shutil.which(COMPILER[0]):
        pytest.skip(f"no C compiler: {COMPILER[0]}")


def skip_without(sources):
    missing = [path.name for path in sources if not path.exists()]
    if missing:
        pytest.skip(f"no C sources: {', '.join(missing)}")


def jpeg_flags(kind):
    """The compiler's ("cflags") or the linker's ("libs") for libjpeg-turbo, as setup.py finds it."""
    if root := os.environ.get("FASTIMG_JPEG_ROOT"):
        folders = [f"{root}/lib64", f"{root}/lib"]
        libs = [*(f"-L{folder}" for folder in folders), *(f"-Wl,-rpath,{folder}" for folder in folders)]
        return [f"-I{root}/include"] if kind == "cflags" else [*libs, "-ljpeg"]
    try:
        found = subprocess.run(["pkg-config", f"--{kind}", "libjpeg"], capture_output=True, text=True)
    except FileNotFoundError:
        return []
    return shlex.split(found.stdout)


def compile_c(sources, target, *flags, compiler=COMPILER):
    command = [*compiler, "-std=c11", "-O2", "-Wall", "-Wextra", "-Werror", *flags, "-I", CORE, *sources]
    return subprocess.run(
        [*command, "-lm", "-o", target], capture_output=True, text=True, timeout=120, env=PLAIN_ENV
    )


def has_sanitizers(folder):
    """Whether sanitized programs can be compiled and run here."""
    empty = folder / "empty.c"
    empty.write_text("int main(void) { return 0; }\n")
    if compile_c([empty], folder / "empty", *SANITIZE).returncode:
        return False
    return subprocess.run([folder / "empty"], capture_output=True, env=PLAIN_ENV).returncode == 0
