# SPDX-License-Identifier: BSD-3-Clause
"""Machines without threads, descriptors or memory to spare: good images never become zeros, and nothing hangs."""

import json
import os
import pathlib
import sys

import pytest
from support import jpegs
from support.c_programs import compile_c, skip_without, skip_without_compiler
from support.processes import child_env, run_probe

LIBRARY = pathlib.Path(__file__).parent / "core" / "failing_threads.c"

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc")


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "images"
    folder.mkdir()
    for i in range(12):
        (folder / f"{i:02}.jpg").write_bytes(jpegs.jpeg(60, 80, seed=i))
    return folder


def run(what, folder, **env):
    failures, cases = json.loads(
        run_probe("scarcity_probe", what, folder, env=child_env(FASTIMG_PARTS="1,300", **env))
    )
    return failures, cases


@pytest.mark.skipif("LD_PRELOAD" in os.environ, reason="a sanitizer has the place of pthread_create")
def test_threads(folder, tmp_path):
    """Where the caller or another thread can do the work, that is slower and no error."""
    skip_without_compiler()
    skip_without([LIBRARY])
    library = tmp_path / "failing_threads.so"
    compiled = compile_c([LIBRARY, "-ldl"], library, "-shared", "-fPIC")
    assert compiled.returncode == 0, compiled.stderr
    failures, cases = run("threads", folder, LD_PRELOAD=str(library))
    assert cases > 100 and 0 < failures < cases / 2


def test_descriptors(folder):
    failures, cases = run("descriptors", folder)
    assert 0 < failures < cases


@pytest.mark.skipif("LD_PRELOAD" in os.environ, reason="a sanitizer needs terabytes of addresses")
def test_memory(folder):
    failures, cases = run("memory", folder)
    assert failures < cases == 42  # how many depends on what malloc still has
