# SPDX-License-Identifier: BSD-3-Clause
"""However a call ends, it leaves no memory, files or threads.

FASTIMG_LEAKS: how many calls of each outcome, by default 400. From 20000 on each outcome has a process of its own, and
its resident memory is judged. Fewer calls are judged by what malloc says is in use, by the same number of bytes per
call.
"""

import json
import os
import sys

import pytest
from support import leak_outcomes
from support.leak_probe import allowed
from support.processes import HAS_GIL, child_env, run_probe
from support.sanitizers import loaded, skip_measuring

pytestmark = pytest.mark.skipif(not sys.platform.startswith("linux"), reason="reads /proc/self/statm")

CALLS = int(os.environ.get("FASTIMG_LEAKS", "400"))
LONG = CALLS >= 20_000
RESIDENT_LIMIT = 256 * 1024


@pytest.fixture
def folder(tmp_path):
    leak_outcomes.write_files(tmp_path)
    return tmp_path


def run(folder, names, **env):
    found = json.loads(run_probe("leak_probe", folder, CALLS, *names, env=child_env(**env), timeout=3600))
    print(*(f"{name}: {result}" for name, result in found.items()), sep="\n")
    return found


def run_short(folder, names):
    """With malloc for Python's objects, too, and no cache above it: then it says how much is in use."""
    if not HAS_GIL:
        pytest.skip("CPython without the GIL takes no memory for its objects from malloc")
    return run(folder, names, PYTHONMALLOC="malloc", GLIBC_TUNABLES="glibc.malloc.tcache_count=0")


def is_clean(result):
    if any(result[key] for key in ("wrong", "files", "threads", "tasks")):
        return False
    if loaded():
        return True  # the sanitizer keeps what was freed
    if LONG or "in_use" not in result:
        return result["resident"] <= RESIDENT_LIMIT
    return result["in_use"] <= allowed(result["calls"])


@pytest.mark.timeout(36_000 if LONG else 900)
def test_nothing_is_left(folder):
    names = list(leak_outcomes.outcomes(str(folder)))
    assert len(names) > 50
    results = {}
    if LONG:
        for name in names:
            results |= run(folder, [name])
    else:
        results = run_short(folder, names)
    assert {name: result for name, result in results.items() if not is_clean(result)} == {}


def test_leaks_are_seen(folder):
    skip_measuring("growth")
    names = list(leak_outcomes.leaks(leak_outcomes.paths(folder)))
    for name, result in run_short(folder, names).items():
        assert not is_clean(result), name
