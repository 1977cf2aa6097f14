# SPDX-License-Identifier: BSD-3-Clause
"""Builds the one extension. Everything else about the project is in pyproject.toml."""

import glob
import os
import re
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import tomllib
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.bdist_wheel import bdist_wheel
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

WINDOWS = sys.platform == "win32"
ROOT = os.environ.get("FASTIMG_JPEG_ROOT") and os.path.abspath(os.environ["FASTIMG_JPEG_ROOT"])
STATIC = os.environ.get("FASTIMG_JPEG_STATIC") == "1"  # for wheels: see scripts/libjpeg-turbo.sh

# What a wheel's binary leaves out: symbols, and libjpeg-turbo's code that decoding does not use.
SMALLER = {
    "linux": ["-s", "-Wl,--gc-sections", "-Wl,--exclude-libs,ALL", "-Wl,-z,relro,-z,now"],
    "darwin": ["-Wl,-x", "-Wl,-dead_strip", "-Wl,-exported_symbol,_PyInit__decode"],
}


def jpeg_flags() -> tuple[list[str], list[str]]:
    """Compiler and linker flags for libjpeg-turbo."""
    if STATIC:
        if not ROOT:
            sys.exit("FASTIMG_JPEG_STATIC=1 needs FASTIMG_JPEG_ROOT, which scripts/libjpeg-turbo.sh makes")
        names = [f"{ROOT}/{lib}" for lib in ("lib64/libjpeg.a", "lib/libjpeg.a", "lib/jpeg-static.lib")]
        library = next(filter(os.path.exists, names), None)
        if not library:
            sys.exit(f"FASTIMG_JPEG_STATIC=1 needs one of {', '.join(names)}")
        return [f"-I{ROOT}/include", "-DFASTIMG_JPEG_STATIC"], [library, *SMALLER.get(sys.platform, [])]
    if ROOT:
        lib = next(
            (d for d in (f"{ROOT}/lib64", f"{ROOT}/lib") if glob.glob(f"{d}/libjpeg.*")), f"{ROOT}/lib"
        )
        libs = [f"{lib}/jpeg.lib"] if WINDOWS else [f"-L{lib}", "-ljpeg", f"-Wl,-rpath,{lib}"]
        return [f"-I{ROOT}/include"], libs

    def ask(flag: str) -> list[str]:
        command = [os.environ.get("PKG_CONFIG", "pkg-config"), flag, "libjpeg"]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.split()

    try:
        return ask("--cflags"), ask("--libs")
    except (OSError, subprocess.CalledProcessError):
        # Where the compiler looks by itself: checked before anything is built.
        return [], ["jpeg.lib" if WINDOWS else "-ljpeg"]


def readme() -> str:
    """README.md for a package index, where links into the repository must say where that is."""
    repository = tomllib.loads(Path("pyproject.toml").read_text("utf-8"))["project"]["urls"]["Repository"]
    text = Path("README.md").read_text("utf-8")
    text = re.sub(r"(!\[[^]]*\]\()(?![a-z]+:)", rf"\1{repository}/raw/main/", text)
    return re.sub(r"(\]\()(?![a-z]+:)", rf"\1{repository}/blob/main/", text)


class BuildExt(build_ext):
    def build_extensions(self) -> None:
        if self.compiler.compiler_type == "msvc":
            # The core needs C11's atomics and attributes of GNU C, which cl.exe has not and clang-cl has.
            self.compiler.initialize()
            self.compiler.cc = shutil.which("clang-cl") or sys.exit(
                "fastimg needs clang-cl on PATH: install LLVM, or Visual Studio's C++ Clang tools"
            )
            probe_command = [self.compiler.cc, "/nologo"]
        else:
            probe_command = [*self.compiler.compiler_so, "-fsyntax-only"]
            for extension in self.extensions:  # those that cythonize made
                extension.extra_compile_args += GNU_FLAGS
                extension.extra_link_args += ["-lm", "-pthread"]
        with tempfile.TemporaryDirectory() as folder:
            probe = Path(folder, "probe.c")
            probe.write_text(PROBE)
            command = [*probe_command, *CFLAGS, "-c", str(probe), "-o", f"{folder}/probe.o"]
            result = subprocess.run(command, capture_output=True, text=True)
        if result.returncode:
            old = "plain or old libjpeg" in result.stderr
            sys.exit(INSTALL.format(found="but found another libjpeg" if old else "but found none"))
        super().build_extensions()


class BdistWheel(bdist_wheel):
    def egg2dist(self, egginfo_path: str, distinfo_path: str) -> None:
        super().egg2dist(egginfo_path, distinfo_path)
        if STATIC:
            sys.path.insert(0, "scripts")
            import wheel_notices

            wheel_notices.add(Path(distinfo_path), Path(ROOT))


CFLAGS, LIBS = jpeg_flags()
GNU_FLAGS = ["-std=c11", "-O3", "-pthread", "-fvisibility=hidden"]
if os.environ.get("FASTIMG_WERROR") == "1":
    GNU_FLAGS += ["-Wall", "-Wextra", "-Werror"]

extension = Extension(
    "fastimg._decode",
    ["fastimg/_decode.pyx", *sorted(glob.glob("fastimg/_core/**/*.c", recursive=True))],
    depends=glob.glob("fastimg/_core/**/*.h", recursive=True),
    include_dirs=["fastimg", "fastimg/_core"],
    define_macros=[("Py_LIMITED_API", "0x030B0000")] if LIMITED else [],
    extra_compile_args=CFLAGS,
    extra_link_args=LIBS,
    py_limited_api=LIMITED,
)
setup(
    long_description=readme(),
    long_description_content_type="text/markdown",
    ext_modules=cythonize([extension]),
    cmdclass={"build_ext": BuildExt, "bdist_wheel": BdistWheel},
    options={"bdist_wheel": {"py_limited_api": "cp311"}} if LIMITED else {},
)
