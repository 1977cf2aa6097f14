# SPDX-License-Identifier: BSD-3-Clause
"""Reader threads: the options, and results that do not depend on them."""

import os
import pathlib
import threading
import warnings

import numpy as np
import pytest
from support import jpegs
from support.data_sources import tasks, wait_until
from support.jpegs import assert_all_same, assert_same
from support.reader_objects import WAYS, Broken, Memory

import fastimg
from fastimg.data_source import ArrayDataSource
from fastimg.sources import ReaderItem

READ_THREADS = [None, 0, 1, 7, 64]
READ_AHEAD = [1, 5000, "64 MiB"]


@pytest.fixture(params=READ_THREADS, ids=lambda n: f"{n} readers")
def read_threads(request):
    return request.param


@pytest.fixture(params=WAYS)
def way(request):
    return WAYS[request.param]


def begin(sources, **options):
    ArrayDataSource([fastimg.ImageFileAccessor(sources)]).batch_iterator(2, **options)


MAKERS = {
    "load": fastimg.load,
    "accessor": fastimg.ImageFileAccessor,
    "mixed accessor": fastimg.NonUniformImageFileAccessor,
    "iterator": begin,
}


# ---- options -----------------------------------------------------------------------------------


@pytest.mark.parametrize("maker", MAKERS)
@pytest.mark.parametrize("value", [True, False, 1.0, "4", b"4", [4], np.True_, object], ids=repr)
def test_read_threads_of_a_wrong_type(batch, maker, value):
    with pytest.raises(TypeError, match="read_threads must be") as caught:
        MAKERS[maker](batch.paths, read_threads=value)
    assert repr(value) in str(caught.value)


@pytest.mark.parametrize("maker", MAKERS)
@pytest.mark.parametrize("value", [-1, np.int64(-5), -(2**70)], ids=repr)
def test_read_threads_out_of_range(batch, maker, value):
    with pytest.raises(ValueError, match="read_threads must be") as caught:
        MAKERS[maker](batch.paths, read_threads=value)
    assert str(int(value)) in str(caught.value)


@pytest.mark.parametrize("maker", MAKERS)
@pytest.mark.parametrize("value", [True, 1.5, b"1 MB", ["1 MB"], np.True_, object], ids=repr)
def test_read_ahead_of_a_wrong_type(batch, maker, value):
    with pytest.raises(TypeError, match="read_ahead must be") as caught:
        MAKERS[maker](batch.paths, read_ahead=value)
    assert repr(value) in str(caught.value)


WRONG_AHEAD = [
    0,
    -1,
    np.int64(0),
    -(2**70),
    "",
    " ",
    "0",
    "0 MiB",
    "-1",
    "-1 MB",
    "MB",
    "many",
    "1 XB",
    "64 MiBs",
]
WRONG_AHEAD += ["1 2 MB", "1 MB 2", "0x10", "1e3", "inf", "nan", "64\0MiB", "٣ MB", "1_000", "+5 kB"]


@pytest.mark.parametrize("maker", MAKERS)
@pytest.mark.parametrize("value", WRONG_AHEAD, ids=ascii)
def test_read_ahead_out_of_range(batch, maker, value):
    with pytest.raises(ValueError, match="read_ahead must be") as caught:
        MAKERS[maker](batch.paths, read_ahead=value)
    assert repr(value) in str(caught.value) or str(value) in str(caught.value)


@pytest.mark.parametrize(
    "value", [1, np.int32(70), 2**40, "64 MiB", "1 GB", "500 kB", "1024", "1 TiB"], ids=repr
)
def test_read_ahead(way, batch, value):
    assert_all_same(way(batch.paths, read_ahead=value), batch.images)


@pytest.mark.parametrize("value", [np.int64(3), np.uint8(0), 1000, 2**70], ids=repr)
def test_read_threads(way, batch, value):
    assert_all_same(way(batch.paths[:9], read_threads=value), batch.images[:9])


def test_none_in_an_iterator_means_the_accessors(batch):
    # The accessor says how many; the iterator may say another number.
    seen = []

    class Looks(Memory):
        def read(self, i):
            seen.append(threading.get_ident())
            gate.wait()
            return super().read(i)

    for of_accessor, given, expected in ((3, None, 3), (2, 4, 4), (4, 2, 2)):
        gate = threading.Barrier(expected, timeout=60)
        accessor = fastimg.ImageFileAccessor(Looks(batch.data[:12]), read_threads=of_accessor, size=9)
        source = ArrayDataSource([accessor])
        seen.clear()
        batches = source.batch_iterator(12, prefetch=1, read_threads=given)
        assert_same(next(batches)[0], fastimg.load(batch.data[:12], size=9))
        assert len(seen) == 12 and len(set(seen)) == expected


# ---- the same results --------------------------------------------------------------------------


@pytest.mark.parametrize("num_threads", [1, 3])
@pytest.mark.parametrize("read_ahead", READ_AHEAD)
def test_files(way, batch, read_threads, read_ahead, num_threads):
    options = {"read_threads": read_threads, "read_ahead": read_ahead, "num_threads": num_threads}
    assert_all_same(way(batch.paths, **options), batch.images)


@pytest.mark.parametrize("read_ahead", READ_AHEAD)
def test_sources_of_all_kinds(way, batch, tmp_path, read_threads, read_ahead):
    # Files, ranges, bytes, records of readers, and some of them more than once.
    shard = tmp_path / "shard"
    shard.write_bytes(b"x" + b"".join(batch.data))
    starts = 1 + np.cumsum([0, *map(len, batch.data)])
    reader = Memory(batch.data)
    kinds = [
        lambda i: batch.paths[i],
        lambda i: batch.data[i],
        lambda i: fastimg.FileRange(shard, int(starts[i]), len(batch.data[i])),
        lambda i: memoryview(bytearray(batch.data[i])),
        lambda i: ReaderItem(reader, i),
        lambda i: pathlib.Path(batch.paths[i]),
    ]
    order = np.random.default_rng(1).integers(0, 37, 90)
    sources = [kinds[k % len(kinds)](int(i)) for k, i in enumerate(order)]
    sources += sources[:7]
    expected = [batch.images[i] for i in order]
    found = way(sources, read_threads=read_threads, read_ahead=read_ahead)
    assert_all_same(found, expected + expected[:7])


def test_images_of_several_sizes(mixed, read_threads):
    for read_ahead in READ_AHEAD:
        options = {"read_threads": read_threads, "read_ahead": read_ahead}
        accessor = fastimg.NonUniformImageFileAccessor(mixed.paths, **options)
        assert_all_same(accessor[:], mixed.images)
        assert_all_same(accessor[[3, 3, 0]], [mixed.images[i] for i in (3, 3, 0)])
        view = fastimg.ImageFileAccessor(mixed.paths, **options).random_resized_crop(9, seed=3)
        expected = fastimg.ImageFileAccessor(mixed.data).random_resized_crop(9, seed=3)
        for epoch in range(3):
            assert_same(view.with_epoch(epoch)[:], expected.with_epoch(epoch)[:])


def test_one_file_larger_than_the_bound(way, batch, tmp_path, read_threads):
    # What follows the image counts as well: 3 MB where 4,000 bytes may be read ahead.
    large = tmp_path / "large.jpg"
    large.write_bytes(batch.data[5] + bytes(3_000_000))
    sources = [*batch.paths[:5], str(large), *batch.paths[6:]]
    assert_all_same(way(sources, read_threads=read_threads, read_ahead=4000), batch.images)


def test_nothing_to_read(way, read_threads):
    if way is not WAYS["iterator"]:
        assert way([], size=9, read_threads=read_threads) == []
        assert way(Memory([]), size=9, read_threads=read_threads) == []


def test_crops_and_a_given_array(mixed, read_threads):
    sizes = np.array([image.shape[1:] for image in mixed.images])
    crops = fastimg.random_crops(sizes, 3)
    out = np.empty((len(mixed.paths), 9, 11, 3), np.float32)
    options = {"crop": crops, "size": (9, 11), "layout": "HWC", "dtype": "float32", "mean": 0.5}
    assert fastimg.load(mixed.paths, out, read_threads=read_threads, **options) is out
    assert_same(out, fastimg.load(mixed.data, **options))


def test_progress(batch, read_threads):
    calls = []
    fastimg.load(
        batch.paths, read_threads=read_threads, progress=lambda done, total: calls.append((done, total))
    )
    assert calls[-1] == (37, 37) and calls == sorted(calls)


def test_no_more_threads_than_files(batch):
    counts = []

    class Counts(Memory):
        def read(self, i):
            counts.append(tasks())
            return super().read(i)

    before = tasks()
    fastimg.load(Counts(batch.data[:3]), size=9, read_threads=64, num_threads=1)
    assert len(counts) == 3 and max(counts) <= before + 4
    wait_until(lambda: tasks() <= before)


def test_headers(mixed, bad_files, read_threads):
    # A list that holds records of readers, too.
    reader = Memory(mixed.data)
    sources = [path if i % 2 else ReaderItem(reader, i) for i, path in enumerate(mixed.paths)]
    expected = [fastimg.read_header(data) for data in mixed.data]
    assert fastimg.read_headers(sources) == expected
    assert fastimg.read_headers(reader) == expected


# ---- bad files ---------------------------------------------------------------------------------


@pytest.fixture
def everything_bad(bad_files, tmp_path):
    """Name of an error -> a path that raises it."""
    os.mkfifo(tmp_path / "fifo")
    (tmp_path / "empty.jpg").touch()
    loop = tmp_path / "loop.jpg"
    loop.symlink_to(loop)
    return bad_files | {
        "OSError": str(tmp_path / "fifo"),
        "TruncatedJpegError, empty": str(tmp_path / "empty.jpg"),
        "OSError, loop": str(loop),
        "NotADirectoryError": bad_files["CorruptJpegError"] + "/x.jpg",
    }


@pytest.mark.parametrize("num_threads", [1, 2])
def test_each_error(batch, everything_bad, read_threads, num_threads):
    options = {"read_threads": read_threads, "num_threads": num_threads, "size": 9}
    for name, path in everything_bad.items():
        expected = None
        for way in WAYS.values():
            with pytest.raises((fastimg.JpegError, OSError)) as caught:
                way([*batch.paths[:20], path, *batch.paths], **options)
            assert type(caught.value).__name__ == name.partition(",")[0]
            assert (caught.value.index, caught.value.source) == (20, path)
            expected = expected or str(caught.value)
            assert str(caught.value) == expected


@pytest.mark.parametrize("num_threads", [1, 4])
def test_fill_and_callables(batch, everything_bad, read_threads, num_threads):
    sources = list(batch.paths)
    places = dict(zip(range(2, 37, 3), everything_bad.items(), strict=False))
    for i, (_, path) in places.items():
        sources[i] = path
    assert len(places) == len(everything_bad)
    good = np.array([i not in places for i in range(37)])
    failures = []
    for on_error in ("fill", failures.append):
        options = {"read_threads": read_threads, "num_threads": num_threads, "on_error": on_error}
        for read_ahead in (1, 20_000):
            with warnings.catch_warnings(record=True) as caught:
                warnings.simplefilter("always")
                images, mask = fastimg.load(
                    sources, size=(24, 31), return_mask=True, read_ahead=read_ahead, **options
                )
            assert len(caught) == (on_error == "fill")
            assert mask.tolist() == good.tolist()
            for i in range(37):
                assert_same(images[i], batch.images[i] if good[i] else np.zeros((3, 24, 31), np.uint8))
    expected = [(i, name.partition(",")[0], path) for i, (name, path) in places.items()]
    assert [(error.index, type(error).__name__, error.source) for error in failures] == expected * 2


def test_strict_and_lenient(batch, read_threads):
    cut = [jpegs.truncated(data) if i % 5 == 4 else data for i, data in enumerate(batch.data)]
    reader = Memory(cut)
    expected = fastimg.load(cut, strict=False, size=9)
    assert_same(fastimg.load(reader, strict=False, size=9, read_threads=read_threads or 1), expected)
    with pytest.raises(fastimg.TruncatedJpegError) as caught:
        fastimg.load(reader, size=9, read_threads=read_threads or 1)
    assert caught.value.index == 4


@pytest.mark.parametrize("num_threads", [1, 2, 5])
def test_the_lowest_failing_index_is_raised(batch, everything_bad, num_threads):
    # What fails first is slow, what fails after it is quick: the result is that of a loop over the images.
    rng = np.random.default_rng(num_threads)
    bad = list(everything_bad.values())
    for turn in range(60):
        sources = [batch.paths[i] for i in rng.integers(0, 37, 60)]
        places = np.sort(rng.choice(60, 1 + turn % 6, replace=False)).tolist()
        for place in places:
            sources[place] = bad[rng.integers(len(bad))]
        first = places[0]
        if turn % 2:
            slow = Broken([b""] * 60, {first: KeyError("slow")}, {first: 0.01})
            sources[first] = ReaderItem(slow, first)
        options = {"read_threads": READ_THREADS[turn % 5], "read_ahead": READ_AHEAD[turn % 3]}
        if turn % 2:
            options["read_threads"] = options["read_threads"] or None
        with pytest.raises((fastimg.JpegError, OSError, KeyError)) as caught:
            fastimg.load(sources, size=9, num_threads=num_threads, **options)
        assert caught.value.index == first
        assert isinstance(caught.value, KeyError) == bool(turn % 2)


def test_images_before_the_failing_one_are_there(batch, everything_bad, read_threads):
    sources = [*batch.paths[:20], everything_bad["FileNotFoundError"], *batch.paths[20:]]
    out = np.zeros((38, 3, 24, 31), np.uint8)
    with pytest.raises(FileNotFoundError):
        fastimg.load(sources, out, size=(24, 31), read_threads=read_threads, num_threads=2)
    for image, expected in zip(out[:20], batch.images[:20], strict=True):
        assert_same(image, expected)
