# SPDX-License-Identifier: BSD-3-Clause
"""A library that was built here must run with a glibc as old as manylinux_2_28 has."""

import platform
import re
import shutil
import subprocess

import pytest

from fastimg import _decode

OLDEST = (2, 28)


def versions_needed(path):
    """{version of glibc: symbols} that a library takes from others."""
    table = subprocess.run(["objdump", "-T", path], check=True, capture_output=True, text=True).stdout
    found = {}
    for version, name in re.findall(r"GLIBC_([0-9.]+)\)? +(\S+)$", table, re.MULTILINE):
        found.setdefault(tuple(map(int, version.split("."))), []).append(name)
    return found


@pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="another C library")
@pytest.mark.skipif(
    platform.machine() not in ("x86_64", "aarch64"), reason="wheels are not built for this processor"
)
@pytest.mark.skipif(not shutil.which("objdump"), reason="no objdump")
def test_old_glibc_is_enough():
    found = versions_needed(_decode.__file__)
    assert any("clock_gettime" in names for names in found.values())
    assert {version: names for version, names in found.items() if version > OLDEST} == {}
