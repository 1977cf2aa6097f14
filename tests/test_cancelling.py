# SPDX-License-Identifier: BSD-3-Clause
"""Whoever cancels a batch waits for a row of MCUs, and not for an image; and no Ctrl-C comes at a bad time."""

import signal
import struct
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from support import jpegs
from support.processes import child_env

import fastimg
import fastimg._decode as _decode
from fastimg.options import make_options
from fastimg.sources import SourceList

HOW = {"size": 8, "strict": False, "max_scans": 10_000}


def long_image():
    """A grey progressive image that takes a while: 20 megapixels in 60 scans of nothing, for lenient decoding."""
    data = bytearray(jpegs.many_scans(60))
    at = data.index(b"\xff\xc2") + 5
    data[at : at + 4] = struct.pack(">HH", 2000, 10000)
    return bytes(data)


def batch_of(data):
    batch = _decode.Batch(SourceList(data), None, make_options(**HOW), None, False, True)
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


class Alarm(Exception):
    pass


def in_batches(**how):
    return fastimg.load([long_image()] * 2, **HOW, **how)


def interrupt_by(handler, seconds, call):
    """Calls `call` while a signal arrives after some seconds."""
    before = signal.signal(signal.SIGALRM, handler)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        return call()
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


def decode_long(out=None):
    return fastimg.decode(long_image(), out=out, **HOW)


@pytest.mark.parametrize(
    "call",
    [
        decode_long,
        lambda: fastimg.ImageFileAccessor([long_image()], **HOW)[0],
        lambda: fastimg.load(
            [long_image()], views=[{"size": 8}, {"size": 9}], strict=False, max_scans=10_000
        )[1],
        lambda: in_batches(num_threads=1),
        lambda: in_batches(num_threads=1, read_threads=1),
        lambda: in_batches(num_threads=2),
    ],
    ids=["decode", "accessor", "views", "batch", "with readers", "threads"],
)
def test_a_signals_handler_ends_a_single_image(call):
    def handler(*_):
        raise Alarm("now")

    began = time.perf_counter()
    call()
    full = time.perf_counter() - began
    began = time.perf_counter()
    with pytest.raises(Alarm, match=r"^now$"):
        interrupt_by(handler, full / 4, call)
    assert time.perf_counter() - began < full * 3 / 4
    assert np.array_equal(fastimg.decode(jpegs.jpeg()), jpegs.reference(jpegs.jpeg()))


def test_a_handler_that_returns_runs_before_the_image_is_complete():
    times = []
    decode_long()
    interrupt_by(lambda *_: times.append(time.perf_counter()), 0.05, decode_long)
    ended = time.perf_counter()
    assert len(times) == 1 and times[0] < ended


def test_ctrl_c_ends_a_single_image():
    out = np.zeros((3, 8, 8), np.uint8)
    with pytest.raises(KeyboardInterrupt):
        # By the system's clock: a thread may be so late that it ends whatever comes after the image.
        interrupt_by(lambda *_: signal.raise_signal(signal.SIGINT), 0.05, lambda: decode_long(out))


def test_signals_are_the_main_threads():
    """An image that another thread decodes goes on while the main thread handles them."""
    results, times = [], []
    thread = threading.Thread(target=lambda: results.append(decode_long()))

    def wait():
        thread.start()
        thread.join()

    interrupt_by(lambda *_: times.append(1), 0.05, wait)
    assert len(results) == len(times) == 1


WITHOUT_TRACEBACK = """
import sys
import numpy as np
import fastimg
from support import jpegs
from support.processes import child_env

def fail(*_):
    raise KeyboardInterrupt

data = jpegs.jpeg(8, 8)
sys._getframe = fail
fastimg.decode(data)
for out in (np.zeros((3, 8, 8), object), b"bytes"):
    try:
        fastimg.decode(data, out)
    except (TypeError, ValueError) as error:
        print(type(error).__name__)
"""


def test_errors_that_get_no_traceback():
    # Cython's limited API calls sys._getframe for it, where a signal's handler may raise, or memory end.
    command = [sys.executable, "-P", "-c", WITHOUT_TRACEBACK]
    done = subprocess.run(command, capture_output=True, text=True, env=child_env(), timeout=120)
    assert (done.returncode, done.stdout, done.stderr) == (0, "TypeError\nValueError\n", "")
