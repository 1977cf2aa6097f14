# SPDX-License-Identifier: BSD-3-Clause
"""A library that was built here must run with a glibc as old as manylinux_2_28 has, and keep its names to itself."""

import platform
import re
import shutil
import subprocess

import pytest

from fastimg import _decode

OLDEST = (2, 28)

pytestmark = [
    pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library"),
    pytest.mark.skipif(not shutil.which("objdump"), reason="no objdump"),
]


@pytest.fixture(scope="module")
def symbols():
    """The table of what the library takes from others, and of what it has for them."""
    return subprocess.check_output(["objdump", "-T", _decode.__file__], text=True)


def versions_needed(symbols):
    """{version of glibc: symbols} that a library takes from others."""
    found = {}
    for version, name in re.findall(r"GLIBC_([0-9.]+)\)? +(\S+)$", symbols, re.MULTILINE):
        found.setdefault(tuple(map(int, version.split("."))), []).append(name)
    return found


@pytest.mark.skipif(
    platform.machine() not in ("x86_64", "aarch64"), reason="wheels are not built for this processor"
)
def test_old_glibc_is_enough(symbols):
    found = versions_needed(symbols)
    assert any("clock_gettime" in names for names in found.values())
    assert {version: names for version, names in found.items() if version > OLDEST} == {}


def test_the_core_is_not_exported(symbols):
    """By one of the compiler's flags in setup.py, which cythonize must not lose."""
    assert "PyInit__decode" in symbols
    assert re.findall(r"\bfi_\w+", symbols) == []
