# SPDX-License-Identifier: BSD-3-Clause
"""Sources in memory: what is contiguous is taken as bytes, and what changes meanwhile does no harm."""

import array
import collections
import ctypes
import mmap
import os
import pickle
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest
from support import jpegs
from support.jpegs import assert_same
from support.processes import child_env
from support.reader_objects import Memory

import fastimg

DATA = jpegs.insert(jpegs.jpeg(24, 31), jpegs.segment(0xE5, bytes(5)))
DATA = jpegs.insert(DATA, jpegs.segment(0xE5, bytes(-len(DATA) % 8 + 4)))
EXPECTED = jpegs.reference(DATA)
HEIGHT_AT = DATA.index(b"\xff\xc0") + 5

#: Every way in for a source in memory: the pixels, or the height and width.
ENTRIES = {
    "decode": fastimg.decode,
    "load": lambda source: fastimg.load([source])[0],
    "load, threads": lambda source: fastimg.load([source] * 5, size=(24, 31), num_threads=2)[4],
    "views": lambda source: fastimg.load([source], views=[{"crop": (0, 0, 24, 31)}, {"size": 4}])[0][0],
    "accessor": lambda source: fastimg.ImageFileAccessor([source])[0],
    "non-uniform": lambda source: fastimg.NonUniformImageFileAccessor([source])[0],
    "reader": lambda source: fastimg.load(Memory([source]))[0],
    "reader, slow": lambda source: fastimg.load(Memory([source]), read_threads=2)[0],
    "read_header": lambda source: fastimg.read_header(source).shape,
    "read_headers": lambda source: fastimg.read_headers([source])[0].shape,
    "fallback": lambda source: fastimg.decode(source, fallback="pillow"),
}


@pytest.fixture(params=ENTRIES)
def entry(request):
    return ENTRIES[request.param]


def strided(step):
    spread = np.zeros(len(DATA) * abs(step), np.uint8)
    spread[::step] = np.frombuffer(DATA, np.uint8)
    return spread[::step]


def anonymous(data):
    mapped = mmap.mmap(-1, len(data))
    mapped[:] = data
    return mapped


TAKEN = {
    "two axes": memoryview(DATA).cast("B", (len(DATA) // 8, 8)),
    "three axes": np.frombuffer(DATA, np.uint8).reshape(2, -1, 4),
    "one column in Fortran's order": np.asfortranarray(np.frombuffer(DATA, np.uint8).reshape(-1, 1)),
    "int32": memoryview(DATA).cast("i"),
    "float64": np.frombuffer(DATA, np.float64),
    "big-endian": np.frombuffer(DATA, ">u2"),
    "bool": np.frombuffer(DATA, np.bool_),
    "void": np.frombuffer(DATA, "V8"),
    "array.array": array.array("H", DATA),
    "ctypes": (ctypes.c_uint16 * (len(DATA) // 2)).from_buffer_copy(DATA),
    "read-only view of a bytearray": memoryview(bytearray(DATA)).toreadonly(),
    "view of a view": memoryview(memoryview(b"xx" + DATA + b"yy")[2:-2]),
    "PickleBuffer": pickle.PickleBuffer(DATA),
    "anonymous mapping": anonymous(DATA),
    "reversed twice": memoryview(DATA)[::-1][::-1],
}


@pytest.mark.parametrize("source", TAKEN.values(), ids=TAKEN)
def test_taken(entry, source):
    found = entry(source)
    if isinstance(found, tuple):
        assert found == (3, 24, 31)
    else:
        assert_same(found, EXPECTED)


REFUSED = {
    "reversed": memoryview(DATA)[::-1],
    "strided": memoryview(strided(2)),
    "strided array": strided(3),
    "backward array": strided(-1),
    "Fortran's order": np.asfortranarray(np.frombuffer(DATA, np.uint8).reshape(-1, 8)),
    "columns": np.frombuffer(DATA, np.uint8).reshape(-1, 8)[:, :4],
    "broadcast": np.broadcast_to(np.uint8(7), (50,)),
    "strided PickleBuffer": pickle.PickleBuffer(strided(2)),
}


@pytest.mark.parametrize("source", REFUSED.values(), ids=REFUSED)
def test_not_contiguous(entry, source):
    with pytest.raises(ValueError, match="contiguous") as caught:
        entry(source)
    assert not isinstance(caught.value, fastimg.ImageError)


@pytest.mark.parametrize(
    "source", [b"", bytearray(), memoryview(b""), np.empty((0, 3), np.uint8), np.empty(0, np.uint8)[::-1]]
)
def test_nothing(entry, source):
    with pytest.raises(fastimg.ImageError, match=r"0 bytes|empty"):
        entry(source)


def test_released(entry):
    released, closed = memoryview(DATA), anonymous(DATA)
    released.release()
    closed.close()
    for source in (released, closed):
        with pytest.raises(ValueError, match=r"released|closed") as caught:
            entry(source)
        assert not isinstance(caught.value, fastimg.ImageError)


def test_released_between_two_calls():
    view = memoryview(DATA)
    images = fastimg.ImageFileAccessor([view])
    assert_same(images[0], EXPECTED)
    view.release()
    with pytest.raises(ValueError, match="released"):
        images[0]


# ---- held


def assert_held(data):
    for change in (lambda: data.append(0), data.clear, lambda: data.extend(bytes(9))):
        with pytest.raises(BufferError):
            change()


def test_held_while_one_image_is_decoded():
    data = bytearray(b"no JPEG")

    def decode(content):
        assert_held(data)
        return np.zeros((3, 4), np.uint8)

    fastimg.decode(data, fallback=decode)
    data.append(0)


def test_held_while_many_are():
    sources = [bytearray(DATA) for _ in range(9)]
    fastimg.load(sources, num_threads=2, progress=lambda done, total: list(map(assert_held, sources)))
    for source in sources:
        source.append(0)


def test_not_held_by_an_accessor():
    data = bytearray(DATA)
    images = fastimg.ImageFileAccessor([data])
    assert_same(images[0], EXPECTED)
    data.append(0)
    assert_same(images[0], EXPECTED)


# ---- changed


class Meddling(np.ndarray):
    """A bfloat16 array that, when its bits are asked for, changes the source: between header and decoding."""

    def view(self, *args):
        self.meddle()
        return np.ndarray.view(self, *args)


@pytest.mark.parametrize("size", [(24, 31), (12, 20)])
@pytest.mark.parametrize("damage", ["smaller", "larger", "zeros", "sampling"])
def test_what_was_checked_is_what_is_decoded(damage, size):
    ml_dtypes = pytest.importorskip("ml_dtypes")
    data = bytearray(DATA)

    def meddle():
        if damage == "zeros":
            data[:] = bytes(len(data))
        elif damage == "sampling":
            data[HEIGHT_AT + 6] = 0x11
        else:
            data[HEIGHT_AT : HEIGHT_AT + 4] = (b"\0\1\0\1", b"\xff\xff\xff\xff")[damage == "larger"]

    out = np.zeros((3, *size), ml_dtypes.bfloat16).view(Meddling)
    out.meddle = meddle
    options = {"dtype": "bfloat16", "size": size} if size != (24, 31) else {"dtype": "bfloat16"}
    fastimg.decode(data, out, **options)
    assert data != DATA
    expected = np.zeros((3, *size), np.uint16)
    fastimg.decode(DATA, expected, **options)
    assert_same(np.asarray(out).view(np.uint16), expected)


def test_changed_between_header_and_decoding():
    """A list is checked as a whole first; then each image is read anew, and judged by what it is then."""
    data = bytearray(DATA)
    images = fastimg.ImageFileAccessor([DATA, data])
    data[HEIGHT_AT + 1] -= 8
    with pytest.raises(ValueError, match="height 24 and width 31"):
        images[:]
    assert_same(images[0], EXPECTED)


def test_out_in_the_memory_of_the_source():
    memory = np.zeros(max(len(DATA), EXPECTED.size), np.uint8)
    memory[: len(DATA)] = np.frombuffer(DATA, np.uint8)
    out = memory[: EXPECTED.size].reshape(EXPECTED.shape)
    assert_same(fastimg.decode(memory[: len(DATA)], out), EXPECTED)


@pytest.fixture
def meddled():
    """Gives a function that makes a bytearray whose bytes a thread changes all the time, at some positions."""
    stop, threads = threading.Event(), []
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)

    def begin(data, positions, values):
        buffer = bytearray(data)

        def meddle():
            rng = np.random.default_rng(len(threads))
            while not stop.is_set():
                for at, value in zip(rng.choice(positions, 64), rng.choice(values, 64), strict=True):
                    buffer[at] = value

        threads.append(threading.Thread(target=meddle))
        threads[-1].start()
        return buffer

    yield begin
    stop.set()
    for thread in threads:
        thread.join()
    sys.setswitchinterval(interval)


def outcomes_of(call, seconds=0.1):
    """How often a call ended in each way: the class and the text of its error, or the shape of its result."""
    found = collections.Counter()
    end = time.perf_counter() + seconds
    while time.perf_counter() < end:
        try:
            found[call().shape] += 1
        except (ValueError, fastimg.ImageError) as error:
            found[f"{type(error).__name__}: {error}"] += 1
    return found


def test_a_size_that_changes_all_the_time(meddled):
    """Every image is whole, of one of the sizes, and none has two at once."""
    data = jpegs.jpeg(64, 64)
    at = data.index(b"\xff\xc0") + 5
    source = meddled(data, [at + 1, at + 3], [32, 64])
    found = outcomes_of(lambda: fastimg.decode(source, strict=False), 0.3)
    assert set(found) <= {(3, height, width) for height in (32, 64) for width in (32, 64)}
    assert len(found) > 1


@pytest.mark.parametrize("progressive", [False, True])
def test_bytes_that_change_all_the_time(meddled, progressive):
    data = jpegs.jpeg(40, 56, progressive=progressive)
    source = meddled(data, np.arange(2, len(data)), np.arange(256))
    options = {"strict": False, "max_pixels": 10**6}
    found = collections.Counter()
    for call in (
        lambda: fastimg.decode(source, **options),
        lambda: fastimg.decode(source, size=24, **options),
        lambda: fastimg.load([source] * 6, size=24, num_threads=2, on_error=[].append, **options),
        lambda: fastimg.load(Memory([source] * 6), size=24, num_threads=2, on_error=[].append, **options),
        lambda: np.empty(fastimg.read_header(source).shape and ()),
    ):
        found += outcomes_of(call)
    assert found
    assert not [text for text in found if "two ways" in str(text)]


# ---- cut short

CUT_SHORT = """
import mmap, os, sys
import fastimg
path = sys.argv[1]
size = os.path.getsize(path)
with open(path, "rb") as file:
    mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
os.truncate(path, 100)
for source in (path, fastimg.FileRange(path, 0, size), mapped):
    try:
        fastimg.decode(source)
    except ValueError as error:
        print(type(error).__name__, flush=True)
"""


@pytest.mark.skipif(not hasattr(signal, "SIGBUS"), reason="no SIGBUS here")
def test_a_file_that_is_cut_short(tmp_path):
    """A path, and a part of it, is an error. A mapping of the caller's is a signal, as documented."""
    path = tmp_path / "x.jpg"
    path.write_bytes(jpegs.turbo(jpegs.noise(200, 200)))
    done = subprocess.run(
        [sys.executable, "-P", "-c", CUT_SHORT, str(path)],
        env=child_env(), capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert done.stdout == "TruncatedJpegError\n" * 2
    if "LD_PRELOAD" not in os.environ:  # sanitizers take signals
        assert done.returncode == -signal.SIGBUS
    assert done.returncode != 0
