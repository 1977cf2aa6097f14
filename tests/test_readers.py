# SPDX-License-Identifier: BSD-3-Clause
"""Objects with `__len__` and `read(i)` in the place of a list of sources."""

import array
import concurrent.futures
import mmap
import pickle
import threading

import numpy as np
import pytest
from support import jpegs
from support.data_sources import PATIENCE
from support.jpegs import assert_all_same, assert_same
from support.reader_objects import WAYS, Alone, Meeting, Memory, Named, Sized, Watched

import fastimg
from fastimg.data_source import ArrayDataSource
from fastimg.sources import ReaderItem

CLASSES = [Memory, Named, Sized, Watched, Alone]


@pytest.fixture(params=WAYS)
def way(request):
    return WAYS[request.param]


# ---- the same as a list ------------------------------------------------------------------------


@pytest.mark.parametrize("read_threads", [None, 1, 7, 64])
@pytest.mark.parametrize("cls", CLASSES)
def test_results(way, batch, cls, read_threads):
    for read_ahead in (1, 5000, "64 MiB"):
        reader = cls(batch.data)
        found = way(reader, read_threads=read_threads, read_ahead=read_ahead)
        assert_all_same(found, batch.images)


def test_without_reader_threads(way, batch):
    # There is no other thread then that could read.
    reader = Watched(batch.data)
    assert_all_same(way(reader, read_threads=0), batch.images)
    assert set(reader.asked) == set(range(37))


def test_several_sizes(mixed):
    reader = Memory(mixed.data)
    assert_all_same(fastimg.NonUniformImageFileAccessor(reader)[:], mixed.images)
    sizes = np.array([image.shape[1:] for image in mixed.images])
    crops = fastimg.random_crops(sizes, 5)
    assert_same(fastimg.random_crops(reader, 5), crops)
    assert_same(fastimg.load(reader, crop=crops, size=8), fastimg.load(mixed.data, crop=crops, size=8))
    with pytest.raises(ValueError, match=r"one size .*image 0, Memory\[0\].*image 1, Memory\[1\]") as caught:
        fastimg.load(reader)
    assert (caught.value.index, caught.value.source) == (1, "Memory[1]")


def test_indexing(batch):
    accessor = fastimg.ImageFileAccessor(Memory(batch.data))
    assert len(accessor) == 37 and accessor.shape == (37, 3, 24, 31)
    mask = np.arange(37) % 3 == 0
    for index in (slice(3, 20, 4), [5, 5, -1], np.array([36, 0]), mask, []):
        chosen = np.arange(37)[index] if len(np.arange(37)[index]) else []
        expected = np.stack([batch.images[i] for i in chosen]) if len(chosen) else accessor[:0]
        assert_same(accessor[index], expected)
    assert_same(accessor[-2], batch.images[35])
    assert_same(np.asarray(accessor), np.stack(batch.images))
    out = np.empty((2, 3, 24, 31), np.uint8)
    assert accessor.read_into([4, 4], out) is out
    assert_same(out, np.stack([batch.images[4]] * 2))
    with pytest.raises(IndexError):
        accessor[37]


def test_random_resized_crop(mixed):
    view = fastimg.ImageFileAccessor(Memory(mixed.data)).random_resized_crop(9, seed=11)
    expected = fastimg.ImageFileAccessor(mixed.data).random_resized_crop(9, seed=11)
    for epoch in range(3):
        for index in (slice(None), [7, 0, 7]):
            assert_same(view.with_epoch(epoch)[index], expected.with_epoch(epoch)[index])
            for one, other in zip(view.boxes(index), expected.boxes(index), strict=True):
                assert_same(one, other)


def test_batches(batch, mixed, prefetch):
    arrays = [
        fastimg.ImageFileAccessor(Alone(batch.data[:19])),
        fastimg.NonUniformImageFileAccessor(Memory(mixed.data)),
        fastimg.ImageFileAccessor(Named(mixed.data)).random_resized_crop(8),
        np.arange(19),
    ]
    same = [
        fastimg.ImageFileAccessor(batch.paths[:19]),
        fastimg.NonUniformImageFileAccessor(mixed.paths),
        fastimg.ImageFileAccessor(mixed.paths).random_resized_crop(8),
        np.arange(19),
    ]
    for epoch in range(2):
        found, expected = (
            list(ArrayDataSource(each).batch_iterator(4, shuffle=9, prefetch=prefetch, epoch=epoch))
            for each in (arrays, same)
        )
        assert_all_same(found, expected)


def test_headers(mixed):
    expected = [fastimg.read_header(data) for data in mixed.data]
    for cls in CLASSES:
        for num_threads in (None, 1, 8):
            assert fastimg.read_headers(cls(mixed.data), num_threads=num_threads) == expected


# ---- records in a list -------------------------------------------------------------------------


def test_items(way, batch):
    one, other = Memory(batch.data), Named(batch.data[::-1])
    sources, expected = [], []
    for i in range(37):
        sources.append([batch.paths[i], ReaderItem(one, i), batch.data[i], ReaderItem(other, 36 - i)][i % 4])
        expected.append(batch.images[i])
    assert_all_same(way(sources), expected)
    assert str(ReaderItem(one, 3)) == "Memory[3]" and str(ReaderItem(other, 3)) == "record 3"
    assert ReaderItem(one, 3) == ReaderItem(one, 3)
    with pytest.raises(AttributeError):
        ReaderItem(one, 3).index = 4


def test_decode_and_read_header_of_one_item(batch):
    item = ReaderItem(Memory(batch.data), 7)
    assert_same(fastimg.load([item])[0], batch.images[7])
    assert fastimg.read_headers([item]) == [fastimg.read_header(batch.data[7])]


# ---- what read may return ----------------------------------------------------------------------

BUFFERS = {
    "bytes": bytes,
    "bytearray": bytearray,
    "memoryview": memoryview,
    "part of a memoryview": lambda data: memoryview(b"xx" + data + b"y")[2:-1],
    "uint8": lambda data: np.frombuffer(data, np.uint8),
    "int8": lambda data: np.frombuffer(data, np.int8).copy(),
    "array": lambda data: array.array("B", data),
    "two axes": lambda data: np.frombuffer(data + bytes(-len(data) % 4), np.uint8).reshape(-1, 4),
}


@pytest.mark.parametrize("kind", BUFFERS)
def test_buffers(way, batch, kind):
    assert_all_same(way(Memory(BUFFERS[kind](data) for data in batch.data)), batch.images)


def test_buffers_are_let_go(way, batch, bad_files):
    # A bytearray that somebody looks at cannot grow.
    items = [bytearray(data) for data in batch.data]
    way(Memory(items))
    for item in items:
        item.append(0)
    items[20][:] = b"no picture"
    with pytest.raises(fastimg.UnsupportedJpegError):
        way(Memory(items), size=9)
    for item in items:
        item.append(0)


# ---- threads -----------------------------------------------------------------------------------


@pytest.mark.parametrize("count", [1, 2, 7, 64])
def test_so_many_reads_at_once(way, batch, count):
    # They wait for one another, so fewer would never end.
    order = np.arange(70) % 37
    reader = Meeting([batch.data[i] for i in order], count)
    options = {"size": (24, 31), "read_threads": count, "num_threads": 1}
    options |= {"batch_size": 70} if way is WAYS["iterator"] else {}
    assert_all_same(way(reader, **options), [batch.images[i] for i in order])
    assert reader.most == count == len(reader.idents)


def test_reads_are_not_in_the_callers_thread(way, batch):
    reader = Watched(batch.data)
    way(reader, size=9)
    assert threading.get_ident() not in reader.idents


def test_the_number_of_threads_is_found(way, batch):
    # A read takes much longer than a decode: one thread after the other is of use.
    order = np.arange(600) % 37
    reader = Watched([batch.data[i] for i in order], 0.02)
    options = {"batch_size": 300} if way is WAYS["iterator"] else {}
    assert_all_same(way(reader, size=(24, 31), **options), [batch.images[i] for i in order])
    assert 16 <= reader.most <= 64


@pytest.mark.parametrize("read_threads", [None, 5])
@pytest.mark.parametrize("cls", [Alone, "attribute"])
def test_a_reader_that_must_be_called_alone(way, batch, cls, read_threads):
    reader = Alone(batch.data, 0.0005)
    if cls == "attribute":
        reader = Watched(batch.data, 0.0005)
        reader.thread_safe = False
    assert_all_same(way(reader, read_threads=read_threads, num_threads=3), batch.images)
    assert reader.most == 1


def test_a_reader_is_alone_in_all_that_use_it(batch):
    # One object: two accessors, a list that holds its records, batches made ahead, and several callers.
    reader = Alone(batch.data, 0.0005)
    accessors = [fastimg.ImageFileAccessor(reader, size=9), fastimg.NonUniformImageFileAccessor(reader)]
    accessors.append(fastimg.ImageFileAccessor([ReaderItem(reader, i) for i in range(37)]))
    source = ArrayDataSource(accessors)
    small = fastimg.load(batch.data, size=9)

    def work(turn):
        if turn % 2:
            assert_same(fastimg.load(reader, size=9), small)
            return
        for x, y, z in source.batch_iterator(5, prefetch=3):
            assert len(x) == len(y) == len(z)
            assert_same(np.stack(y), z)

    with concurrent.futures.ThreadPoolExecutor(4) as pool:
        for future in [pool.submit(work, turn) for turn in range(4)]:
            future.result(timeout=PATIENCE)
    assert reader.most == 1


def test_others_run_meanwhile(way, batch):
    # The first read ends when the others have been decoded: nobody waits for it.
    seen = set()

    class First(Memory):
        def read(self, i):
            if i == 0:
                assert others.wait(PATIENCE)
            else:
                seen.add(i)
                if len(seen) == 36:
                    others.set()
            return self.items[i]

    for options in ({}, {"read_threads": 2}, {"read_threads": 2, "num_threads": 1, "read_ahead": "1 MiB"}):
        options |= {"batch_size": 37} if way is WAYS["iterator"] else {}
        others = threading.Event()
        seen.clear()
        assert_all_same(way(First(batch.data), size=(24, 31), **options), batch.images)


def test_decoders_do_not_wait_for_a_read(batch):
    # All but the first are decoded, not only read, before it comes.
    others = threading.Event()

    class First(Memory):
        def read(self, i):
            assert i or others.wait(PATIENCE)
            return self.items[i]

    def progress(done, total):
        if done == total - 1:
            others.set()

    for options in ({}, {"read_threads": 3, "num_threads": 1}, {"read_threads": 2, "read_ahead": 3000}):
        others.clear()
        options |= {"size": (24, 31), "progress": progress}
        assert_all_same(list(fastimg.load(First(batch.data), **options)), batch.images)


def test_a_reader_that_uses_the_library(way, batch):
    class Nested(Memory):
        def read(self, i):
            image = fastimg.load(Memory([self.items[i]] * 3), read_threads=2)[1]
            assert_same(image, batch.images[i])
            return self.items[i]

    assert_all_same(way(Nested(batch.data), read_threads=3), batch.images)


# ---- pickling ----------------------------------------------------------------------------------


def test_pickling(batch, mixed):
    reader = Memory(batch.data)
    for accessor in (
        fastimg.ImageFileAccessor(reader),
        fastimg.NonUniformImageFileAccessor(reader, size=9),
        fastimg.ImageFileAccessor(reader).random_resized_crop(9, seed=3),
        fastimg.ImageFileAccessor([ReaderItem(reader, i) if i % 3 else batch.paths[i] for i in range(37)]),
    ):
        copied = pickle.loads(pickle.dumps(accessor))
        assert_all_same(copied[[3, 0, 36]], accessor[[3, 0, 36]])
    # The reader is in it once, however many of its records are.
    once = len(pickle.dumps(fastimg.ImageFileAccessor(reader)))
    many = fastimg.ImageFileAccessor([ReaderItem(reader, i) for i in range(37)])
    assert once <= len(pickle.dumps(many)) < once + 5000


# ---- what is no reader -------------------------------------------------------------------------


def test_what_is_no_reader(batch, tmp_path):
    class NoLength:
        def read(self, i):
            raise AssertionError("called")

    class NoRead:
        def __len__(self):
            return 3

    for wrong in (NoLength(), NoRead(), Memory, 5, None):
        for maker in (fastimg.load, fastimg.ImageFileAccessor, fastimg.NonUniformImageFileAccessor):
            with pytest.raises(TypeError):
                maker(wrong)
    with pytest.raises(TypeError, match="Memory"):
        fastimg.load([batch.paths[0], Memory(batch.data)], size=9)


def test_a_map_of_a_file_is_data(batch, tmp_path):
    # It has a length, and a method `read`.
    with open(batch.paths[3], "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
        assert_same(fastimg.load([data])[0], batch.images[3])
        for maker in (fastimg.load, fastimg.ImageFileAccessor, fastimg.read_headers):
            with pytest.raises(TypeError, match="mmap"):
                maker(data)


@pytest.mark.parametrize("orient", [True, False])
def test_orientation(orient):
    files = [jpegs.oriented(jpegs.jpeg(16, 40, seed=o), o) for o in range(1, 9)]
    found = fastimg.NonUniformImageFileAccessor(Memory(files), orient=orient)[:]
    assert_all_same(found, [fastimg.decode(data, orient=orient) for data in files])
