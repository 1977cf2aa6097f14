# SPDX-License-Identifier: BSD-3-Clause
"""Builds the one extension. Everything else about the project is in pyproject.toml."""

import glob
import os
import re
import subprocess
import sys
import sysconfig
import tempfile
import tomllib
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

INSTALL = """fastimg needs the headers of libjpeg-turbo 2.1 or newer, {found}. Install them with one of

    apt-get install libjpeg62-turbo-dev pkg-config      (Ubuntu: libjpeg-turbo8-dev)
    dnf install libjpeg-turbo-devel pkgconf-pkg-config
    brew install jpeg-turbo pkg-config

or set FASTIMG_JPEG_ROOT to the prefix it is installed under (with include/ and lib/)."""

PROBE = """#include <stdio.h>
#include <jpeglib.h>
#if !defined(LIBJPEG_TURBO_VERSION_NUMBER) || LIBJPEG_TURBO_VERSION_NUMBER < 2001000
#error plain or old libjpeg
#endif
"""

# abi3: one binary for every CPython from 3.11 on. Free-threaded builds have no limited API yet.
LIMITED = not sysconfig.get_config_var("Py_GIL_DISABLED")


def jpeg_flags() -> tuple[list[str], list[str]]:
    """Compiler and linker flags for libjpeg-turbo."""
    root = os.environ.get("FASTIMG_JPEG_ROOT")
    if root:
        lib = next(
            (d for d in (f"{root}/lib64", f"{root}/lib") if glob.glob(f"{d}/libjpeg.*")), f"{root}/lib"
        )
        return [f"-I{root}/include"], [f"-L{lib}", "-ljpeg", f"-Wl,-rpath,{lib}"]

    def ask(flag: str) -> list[str]:
        command = [os.environ.get("PKG_CONFIG", "pkg-config"), flag, "libjpeg"]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()

    try:
        return ask("--cflags"), ask("--libs")
    except (OSError, subprocess.CalledProcessError):
        return [], ["-ljpeg"]  # where the compiler looks by itself; checked before anything is built


def readme() -> str:
    """README.md for a package index, where links into the repository must say where that is."""
    repository = tomllib.loads(Path("pyproject.toml").read_text("utf-8"))["project"]["urls"]["Repository"]
    text = Path("README.md").read_text("utf-8")
    text = re.sub(r"(!\[[^]]*\]\()(?![a-z]+:)", rf"\1{repository}/raw/main/", text)
    return re.sub(r"(\]\()(?![a-z]+:)", rf"\1{repository}/blob/main/", text)


class BuildExt(build_ext):
    def build_extensions(self) -> None:
        with tempfile.TemporaryDirectory() as folder:
            probe = Path(folder, "probe.c")
            probe.write_text(PROBE)
            command = [*self.compiler.compiler_so, *CFLAGS, "-c", str(probe), "-o", f"{folder}/probe.o"]
            result = subprocess.run(command, capture_output=True, text=True)
        if result.returncode:
            old = "plain or old libjpeg" in result.stderr
            sys.exit(INSTALL.format(found="but found another libjpeg" if old else "but found none"))
        super().build_extensions()


CFLAGS, LIBS = jpeg_flags()
STRICT = ["-Wall", "-Wextra", "-Werror"] if os.environ.get("FASTIMG_WERROR") == "1" else []

extension = Extension(
    "fastimg._decode",
    ["fastimg/_decode.pyx", *sorted(glob.glob("fastimg/_core/**/*.c", recursive=True))],
    depends=glob.glob("fastimg/_core/**/*.h", recursive=True),
    include_dirs=["fastimg", "fastimg/_core"],
    define_macros=[("Py_LIMITED_API", "0x030B0000")] if LIMITED else [],
    extra_compile_args=["-std=c11", "-O3", "-pthread", "-fvisibility=hidden", *CFLAGS, *STRICT],
    extra_link_args=[*LIBS, "-lm", "-pthread"],
    py_limited_api=LIMITED,
)
setup(
    long_description=readme(),
    long_description_content_type="text/markdown",
    ext_modules=cythonize([extension]),
    cmdclass={"build_ext": BuildExt},
    options={"bdist_wheel": {"py_limited_api": "cp311"}} if LIMITED else {},
)
