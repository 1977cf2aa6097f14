# SPDX-License-Identifier: BSD-3-Clause
"""Readers that raise, give what is no data, or hang: the error of their image, with its name."""

import errno
import pickle
import threading
import time
import traceback
import warnings

import numpy as np
import pytest
from support import jpegs
from support.data_sources import PATIENCE
from support.jpegs import assert_same
from support.reader_objects import WAYS, Broken, Memory, Named, no_thread_left

import fastimg
from fastimg.data_source import ArrayDataSource
from fastimg.sources import ReaderItem

BAD = 20


class Two(Exception):
    """Of two arguments, of which pickle could not make it again."""

    def __init__(self, one, two):
        super().__init__(f"{one} and {two}")
        self.one, self.two = one, two


class Silent(Exception):
    def __str__(self):
        raise RuntimeError("no text")


class Sealed(Exception):
    """Does not take the attributes that errors about images have."""

    @property
    def index(self):
        return "mine"

    @property
    def source(self):
        return "mine, too"


@pytest.fixture(params=WAYS)
def way(request):
    return WAYS[request.param]


@pytest.fixture(params=[None, 1, 5], ids=lambda n: f"{n} readers")
def read_threads(request):
    return request.param


# ---- what is raised ----------------------------------------------------------------------------

ERRORS = [
    ValueError("what", 3),
    KeyError("key"),
    OSError(errno.EIO, "no connection", "shard-17"),
    ConnectionResetError("gone"),
    TimeoutError(),
    RuntimeError(),
    IndexError("list index out of range"),
    UnicodeDecodeError("utf-8", b"\xff", 0, 1, "invalid start byte"),
    EOFError("end"),
    AssertionError(),
    RecursionError("deep"),
    ZeroDivisionError("division by zero"),
    Two(1, 2),
    fastimg.CorruptJpegError("of the reader's own"),
    ExceptionGroup("several", [ValueError(1), KeyError(2)]),
]


@pytest.mark.parametrize("error", ERRORS, ids=lambda error: type(error).__name__)
def test_errors(way, batch, error, read_threads):
    reader = Broken(batch.data, {BAD: error})
    text = str(error)
    with no_thread_left(), pytest.raises(type(error)) as caught:
        way(reader, size=9, read_threads=read_threads)
    found = caught.value
    assert type(found) is type(error)
    assert str(found) == text and found.args == error.args
    assert (found.index, found.source) == (BAD, f"Broken[{BAD}]")
    # A traceback shows which image it was and which line of the reader.
    shown = "".join(traceback.format_exception(found))
    assert str(BAD) in shown and f"Broken[{BAD}]" in shown
    assert "in give" in shown


def test_the_exception_is_not_marked_twice(batch):
    # One object, raised again and again.
    error = ValueError("again")
    for i in (3, 8, 8):
        with pytest.raises(ValueError, match=r"^again\nwhile reading image \d: Broken\[\d\]$") as caught:
            fastimg.load(Broken(batch.data, {i: error}), size=9)
        assert (caught.value.index, caught.value.source) == (i, f"Broken[{i}]")
        shown = "".join(traceback.format_exception(caught.value))
        assert shown.count("Broken[") == 1


def test_names(way, batch):
    class Failing(Named):
        def read(self, i):
            if i == BAD:
                raise KeyError("missing")
            return self.items[i]

    class Mine(Memory):
        def read(self, i):
            raise KeyError("missing")

    with pytest.raises(KeyError) as caught:
        way(Failing(batch.data), size=9)
    assert (caught.value.index, caught.value.source) == (BAD, f"record {BAD}")
    with pytest.raises(KeyError) as caught:
        way(Mine(batch.data), size=9)
    assert (caught.value.index, caught.value.source) == (0, "Mine[0]")
    # The index is that in the list, the name that of the record.
    sources = [*batch.paths[:4], ReaderItem(Failing(batch.data), BAD), ReaderItem(Mine(batch.data), 1)]
    with pytest.raises(KeyError) as caught:
        way(sources, size=9)
    assert (caught.value.index, caught.value.source) == (4, f"record {BAD}")
    assert caught.value.__class__ is KeyError


@pytest.mark.parametrize("error", [StopIteration, StopIteration("end"), StopAsyncIteration()], ids=repr)
def test_an_error_that_would_end_a_loop(batch, error, read_threads):
    reader = Broken(batch.data, {BAD: error})
    with pytest.raises((StopIteration, StopAsyncIteration, RuntimeError)):
        fastimg.load(reader, size=9, read_threads=read_threads)
    # A loop must not look as if it had come to its end.
    source = ArrayDataSource([fastimg.ImageFileAccessor(reader, size=9)])
    for prefetch in (0, 2):
        with pytest.raises((StopAsyncIteration, RuntimeError)):
            for _ in source.batch_iterator(5, prefetch=prefetch, read_threads=read_threads):
                pass


@pytest.mark.parametrize("on_error", ["raise", "fill", "call"])
@pytest.mark.parametrize("error", [KeyboardInterrupt, SystemExit(3), GeneratorExit], ids=repr)
def test_what_ends_the_program_is_no_bad_image(way, batch, error, on_error, read_threads):
    calls = []
    on_error = calls.append if on_error == "call" else on_error
    cls = error if isinstance(error, type) else type(error)
    with no_thread_left(), pytest.raises(cls) as caught:
        way(Broken(batch.data, {BAD: error}), size=9, on_error=on_error, read_threads=read_threads)
    assert type(caught.value) is cls
    assert not calls


@pytest.mark.parametrize("on_error", ["fill", "call"])
@pytest.mark.parametrize(
    "error",
    [
        MemoryError(),
        OSError(errno.EMFILE, "many"),
        OSError(errno.ENFILE, "many"),
        OSError(errno.ENOMEM, "no"),
    ],
    ids=str,
)
def test_faults_of_the_machine_stop_the_batch(way, batch, error, on_error):
    # As in test_machine_faults: the images may be good.
    calls = []
    on_error = calls.append if on_error == "call" else on_error
    with no_thread_left(), pytest.raises(type(error)) as caught:
        way(Broken(batch.data, {BAD: error}), size=9, on_error=on_error)
    assert (caught.value.index, caught.value.source) == (BAD, f"Broken[{BAD}]")
    assert not calls


@pytest.mark.parametrize("error", [Silent(), Sealed("sealed")], ids=lambda error: type(error).__name__)
def test_exceptions_that_are_hard_to_carry(way, batch, error):
    with no_thread_left(), pytest.raises(type(error)):
        way(Broken(batch.data, {BAD: error}), size=9)


def test_an_error_in_the_name_or_the_size(way, batch):
    class Nameless(Broken):
        def name(self, i):
            raise LookupError("no name")

    class Sizeless(Memory):
        def nbytes(self, i):
            if i == BAD:
                raise LookupError("no size")
            return len(self.items[i])

    with no_thread_left(), pytest.raises((KeyError, LookupError)):
        way(Nameless(batch.data, {BAD: KeyError("it")}), size=9)
    with no_thread_left(), pytest.raises(LookupError, match="no size") as caught:
        way(Sizeless(batch.data), size=9)
    assert (caught.value.index, caught.value.source) == (BAD, f"Sizeless[{BAD}]")


@pytest.mark.parametrize("value", [None, "12", 1.5], ids=repr)
def test_a_size_that_is_none(way, batch, value):
    class Wrong(Memory):
        def nbytes(self, i):
            return value

    with no_thread_left(), pytest.raises((TypeError, ValueError), match="nbytes"):
        way(Wrong(batch.data), size=9)


@pytest.mark.parametrize("factor", [0, 0.001, 1000, 1e12])
def test_a_size_that_is_wrong(way, batch, factor):
    # It costs memory or time, not images.
    class Wrong(Memory):
        def nbytes(self, i):
            return int(len(self.items[i]) * factor)

    for read_ahead in (1, 20_000):
        images = way(Wrong(batch.data), size=(24, 31), read_threads=5, read_ahead=read_ahead)
        assert_same(np.stack(images), np.stack(batch.images))


# ---- what is no data ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("value", "error"),
    [
        (None, TypeError), ("text", TypeError), (7, TypeError), ([1, 2], TypeError), (object(), TypeError),
        (memoryview(bytes(100))[::2], ValueError), (np.zeros((9, 9), np.uint8)[:, ::2], ValueError),
    ],
    ids=lambda value: type(value).__name__ if not isinstance(value, type) else value.__name__,
)  # fmt: skip
def test_what_is_no_bytes(way, batch, value, error, read_threads):
    reader = Memory(batch.data)
    reader.items[BAD] = value
    with no_thread_left(), pytest.raises(error, match=r"bytes-like|contiguous") as caught:
        way(reader, size=9, read_threads=read_threads)
    assert (caught.value.index, caught.value.source) == (BAD, f"Memory[{BAD}]")
    assert f"Memory[{BAD}]" in str(caught.value)


SHORT = {
    "nothing": (lambda data: b"", fastimg.TruncatedJpegError),
    "one byte": (lambda data: data[:1], fastimg.JpegError),
    "half a header": (lambda data: data[:100], fastimg.TruncatedJpegError),
    "half an image": (jpegs.truncated, fastimg.TruncatedJpegError),
    "a message": (lambda data: b"503 Service Unavailable", fastimg.UnsupportedJpegError),
}


@pytest.mark.parametrize("kind", SHORT)
def test_short_data(way, batch, kind, read_threads):
    cut, cls = SHORT[kind]
    reader = Memory(batch.data)
    reader.items[BAD] = cut(batch.data[BAD])
    with pytest.raises(cls) as caught:
        way(reader, size=9, read_threads=read_threads)
    assert (caught.value.index, caught.value.source) == (BAD, f"Memory[{BAD}]")
    assert str(caught.value).startswith(f"image {BAD}: Memory[{BAD}]: ")
    copied = pickle.loads(pickle.dumps(caught.value))
    assert (copied.index, copied.source, str(copied)) == (BAD, f"Memory[{BAD}]", str(caught.value))


# ---- on_error ----------------------------------------------------------------------------------


@pytest.fixture
def several(batch):
    """A reader of which 3, 4, 20 and 36 fail, each in its way, and what the good ones give."""
    errors = {3: KeyError("three"), 20: OSError(errno.EIO, "twenty")}
    reader = Broken(batch.data, errors, {3: 0.01})
    reader.items[4] = None
    reader.items[36] = jpegs.truncated(batch.data[36])
    return reader, {3: KeyError, 4: TypeError, 20: OSError, 36: fastimg.TruncatedJpegError}


@pytest.mark.parametrize("num_threads", [1, 3])
def test_fill_and_callables(way, batch, several, read_threads, num_threads):
    reader, bad = several
    failures = []
    for on_error in ("fill", failures.append):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            images = way(
                reader, size=(24, 31), on_error=on_error, read_threads=read_threads, num_threads=num_threads
            )
        assert len(images) == 37
        for i, image in enumerate(images):
            assert_same(image, np.zeros_like(image) if i in bad else batch.images[i])
        assert len(caught) == (on_error == "fill")
    assert [(error.index, type(error), error.source) for error in failures] == [
        (i, cls, f"Broken[{i}]") for i, cls in bad.items()
    ]


def test_drop_and_masks(batch, several, prefetch):
    reader, bad = several
    source = ArrayDataSource([fastimg.ImageFileAccessor(reader, size=(24, 31)), np.arange(37)])
    with pytest.warns(UserWarning, match="left out"):
        found = list(source.batch_iterator(2, prefetch=prefetch, on_error="drop"))
    assert [i for _, labels in found for i in labels.tolist()] == [i for i in range(37) if i not in bad]
    for images, labels in found:
        assert_same(images, np.stack([batch.images[i] for i in labels]))
    with pytest.warns(UserWarning, match="zeros"):
        found = list(source.batch_iterator(5, prefetch=prefetch, on_error="fill", include_mask=True))
    assert np.flatnonzero(~np.concatenate([mask for *_, mask in found])).tolist() == list(bad)


def test_an_error_in_its_place(batch, prefetch):
    # Batches before it come first, and those after it do not.
    source = ArrayDataSource([fastimg.ImageFileAccessor(Broken(batch.data, {BAD: KeyError("x")}), size=9)])
    batches = source.batch_iterator(4, prefetch=prefetch)
    for _ in range(BAD // 4):
        next(batches)
    with pytest.raises(KeyError) as caught:
        next(batches)
    assert caught.value.index == BAD
    assert list(batches) == []


@pytest.mark.parametrize("num_threads", [1, 2, 5])
def test_the_lowest_failing_index_is_raised(batch, num_threads):
    rng = np.random.default_rng(num_threads)
    for turn in range(60):
        places = np.sort(rng.choice(37, 1 + turn % 6, replace=False)).tolist()
        delays = {place: rng.choice([0, 0.003, 0.01]) for place in places}
        reader = Broken(batch.data, {place: ERRORS[place % len(ERRORS)] for place in places}, delays)
        expected = type(ERRORS[places[0] % len(ERRORS)])
        with pytest.raises(expected) as caught:
            fastimg.load(
                reader, size=9, num_threads=num_threads, read_threads=[None, 1, 8][turn % 3],
                read_ahead=[1, 3000, "64 MiB"][turn // 3 % 3],
            )  # fmt: skip
        assert type(caught.value) is expected
        assert caught.value.index == places[0]


# ---- a reader that hangs -----------------------------------------------------------------------


def test_a_read_that_hangs_for_a_second(way, batch):
    class Hangs(Memory):
        def read(self, i):
            if i == BAD:
                time.sleep(1)
            return self.items[i]

    with no_thread_left():
        images = way(Hangs(batch.data), size=(24, 31))
    assert_same(np.stack(images), np.stack(batch.images))


def test_no_read_begins_after_an_error(batch):
    # The error is raised when the reads under way have ended, not when all images have been read.
    order = np.arange(3000) % 37
    failed = threading.Event()

    class Fails(Memory):
        late = 0

        def read(self, i):
            if i == 5:
                failed.set()
                raise KeyError("five")
            assert failed.wait(PATIENCE) or i < 5
            type(self).late += 1
            time.sleep(0.002)
            return self.items[i]

    with no_thread_left(), pytest.raises(KeyError):
        fastimg.load(Fails([batch.data[i] for i in order]), size=9, read_threads=8)
    assert Fails.late < 1000
