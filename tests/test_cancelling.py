# SPDX-License-Identifier: BSD-3-Clause
"""Whoever cancels a batch waits for a row of MCUs, and not for an image."""

import struct
import threading
import time

import numpy as np
import pytest
from support import jpegs

import fastimg._decode as _decode
from fastimg.options import make_options
from fastimg.sources import SourceList


def long_image():
    """A grey progressive image that takes a second: 80 megapixels in 60 scans of nothing, for lenient decoding."""
    data = bytearray(jpegs.many_scans(60))
    at = data.index(b"\xff\xc2") + 5
    data[at : at + 4] = struct.pack(">HH", 8000, 10000)
    return bytes(data)


def batch_of(data):
    batch = _decode.Batch(SourceList(data), None, make_options(size=8, strict=False), None, False, True)
    out = np.empty((len(data), 3, 8, 8), np.uint8)
    batch.set_output(out, out.shape)
    return batch


@pytest.mark.parametrize("count", [1, 3])
def test_an_image_under_way_ends_early(count):
    data = [long_image()] * count
    whole = batch_of(data[:1])
    began = time.perf_counter()
    whole.run(0)
    full = time.perf_counter() - began
    assert whole.failures() == []

    batch = batch_of(data)
    thread = threading.Thread(target=batch.run, args=(0,))
    thread.start()
    time.sleep(full / 4)
    began = time.perf_counter()
    batch.cancel()
    thread.join()
    # Not for how fast it is: an image that goes on would take three times as long.
    assert time.perf_counter() - began < full / 4
    assert batch.failures() == [] and batch.finished
    # The decoder that was stopped is as good as before.
    for _ in range(8):
        good = batch_of([jpegs.jpeg()])
        good.run(0)
        assert good.failures() == []
