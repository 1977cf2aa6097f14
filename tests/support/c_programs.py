# SPDX-License-Identifier: BSD-3-Clause
"""Compiles C programs from the core's sources, where there is a compiler."""

import atexit
import functools
import hashlib
import os
import pathlib
import shlex
import shutil
import subprocess
import tempfile
from multiprocessing.pool import ThreadPool

import pytest

TESTS = pathlib.Path(__file__).parent.parent
CORE = TESTS.parent / "fastimg" / "_core"
COMPILER = shlex.split(os.environ.get("CC", "")) or ["cc"]
SANITIZE = ["-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"]
LINK_FLAGS = {"-shared", "-static"}  # of which clang would say that compiling does not use them
CPUS = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()

THREAD_SANITIZE = ["-g", "-fsanitize=thread"]
AT_FIXED_PLACES = ["setarch", "-R"] if shutil.which("setarch") else []  # where ThreadSanitizer expects memory

# A build for the sanitizers preloads their library, which suits no other program, and keeps their reports.
PLAIN_ENV = {
    name: value
    for name, value in os.environ.items()
    if name != "LD_PRELOAD" and not name.endswith("SAN_OPTIONS")
}


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
    """Compiles and links a program; what a test has compiled with the same flags is not compiled again."""
    files = [source for source in sources if isinstance(source, pathlib.Path)]
    libraries = [source for source in sources if not isinstance(source, pathlib.Path)]
    with ThreadPool(CPUS) as pool:
        compiled = pool.map(lambda path: compile_object(path, flags, compiler), files)
    for _, done in compiled:
        if done.returncode:
            return done
    return run_compiler([*compiler, *flags, *(path for path, _ in compiled), *libraries, "-lm", "-o", target])


def compile_program(sources, target, *flags):
    """A program with the sanitizers, if the compiler has any; the test is skipped without a compiler or sources."""
    skip_without_compiler()
    skip_without([source for source in [*sources, CORE / "cpu.c"] if isinstance(source, pathlib.Path)])
    compiled = compile_c(sources, target, *(SANITIZE if has_sanitizers() else []), *flags)
    assert compiled.returncode == 0, compiled.stderr
    return target


def compile_object(path, flags, compiler):
    """The object file of a source, and how the compiler ended."""
    flags = [flag for flag in flags if flag not in LINK_FLAGS]
    command = [*compiler, "-std=c11", "-O2", "-Wall", "-Wextra", "-Werror", *flags, "-I", CORE, "-c", path]
    key = repr((command, path.read_bytes())).encode()  # headers stay what they are while the tests run
    target = objects_folder() / f"{hashlib.sha256(key).hexdigest()}.o"
    if target.exists():
        return target, subprocess.CompletedProcess(command, 0)
    unfinished = target.with_suffix(".unfinished.o")
    done = run_compiler([*command, "-o", unfinished])
    if done.returncode == 0:
        unfinished.rename(target)
    return target, done


@functools.cache
def objects_folder():
    """A folder that lasts as long as the tests."""
    folder = tempfile.mkdtemp(prefix="fastimg-objects-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return pathlib.Path(folder)


def run_compiler(command):
    return subprocess.run(command, capture_output=True, text=True, timeout=120, env=PLAIN_ENV)


def has_sanitizers(*flags):
    """Whether programs with SANITIZE, and these flags, can be compiled and run here."""
    return _runs_with(*SANITIZE, *flags)


def has_thread_sanitizer():
    """Whether programs with THREAD_SANITIZE can be compiled and run here."""
    return _runs_with(*THREAD_SANITIZE, runner=tuple(AT_FIXED_PLACES))


@functools.cache
def _runs_with(*flags, runner=()):
    empty = objects_folder() / "empty.c"
    empty.write_text("int main(void) { return 0; }\n")
    program = empty.with_suffix("")
    if compile_c([empty], program, *flags).returncode:
        return False
    return subprocess.run([*runner, program], capture_output=True, env=PLAIN_ENV).returncode == 0
