# SPDX-License-Identifier: BSD-3-Clause
"""Calls of a fallback by itself, without the core."""

import pickle
import threading
import time

import numpy as np
import pytest

import fastimg
from fastimg.fallback import parse_fallback

PILLOW = parse_fallback("pillow")
LIMIT = 178_956_970


def decode(source, fallback=PILLOW, *, data=None, max_pixels=LIMIT, pad_value=(0, 0, 0), mode="RGB"):
    """(pixels, orientation)"""
    return fallback.decode(source, data, max_pixels, pad_value, mode)


def refused(source, fallback=PILLOW, kind=fastimg.FallbackError, **options):
    """The error of this class, which pickles."""
    with pytest.raises(kind) as caught:
        decode(source, fallback, **options)
    assert type(caught.value) is kind
    assert type(pickle.loads(pickle.dumps(caught.value))) is kind
    return caught.value


class Slow:
    """A function as a fallback that takes a while; `most` is the largest number of calls at once."""

    def __init__(self, seconds):
        self.seconds, self.most, self._running, self._lock = seconds, 0, 0, threading.Lock()

    def __call__(self, _):
        with self._lock:
            self._running += 1
            self.most = max(self.most, self._running)
        time.sleep(self.seconds)
        with self._lock:
            self._running -= 1
        return np.zeros((5, 7), np.uint8)
