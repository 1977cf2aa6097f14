# SPDX-License-Identifier: BSD-3-Clause
"""The machine that figures depend on."""

import os
import pathlib
import platform
import re
import subprocess
import sys


def cpu_model() -> str:
    """Return the name of the processor as the system reports it."""
    cpuinfo = pathlib.Path("/proc/cpuinfo")
    text = cpuinfo.read_text() if cpuinfo.exists() else ""
    if found := re.search(r"^(?:model name|hardware).*?:\s*(.*)", text, re.MULTILINE | re.IGNORECASE):
        return found[1]
    if sys.platform == "darwin":
        ask = ["sysctl", "-n", "machdep.cpu.brand_string"]
        return subprocess.run(ask, capture_output=True, text=True, check=False).stdout.strip()
    return platform.processor() or platform.machine()


def usable_cpus() -> int:
    """Return how many CPUs this process may run on, by affinity; cgroup quotas are ignored."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
