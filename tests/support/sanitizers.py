# SPDX-License-Identifier: BSD-3-Clause
"""Whether this process runs under a sanitizer, whose memory and time are not those of the code."""

import ctypes

import pytest

# One function of each runtime.
_FUNCTIONS = {"address": "__asan_init", "thread": "__tsan_init"}


def loaded():
    """The name of the sanitizer that has replaced malloc in this process, or None."""
    process = ctypes.CDLL(None)
    return next((name for name, function in _FUNCTIONS.items() if hasattr(process, function)), None)


def skip_measuring(what):
    """Skip a test of memory or address space, which the sanitizer that is loaded takes for itself."""
    if name := loaded():
        pytest.skip(f"cannot measure {what}: the {name} sanitizer takes its own")
