# SPDX-License-Identifier: BSD-3-Clause
"""The bound on what is read ahead, in bytes: it is never passed, and nothing stands still because of it."""

import contextlib
import itertools
import time

import numpy as np
import pytest
from support import jpegs
from support.data_sources import PATIENCE
from support.jpegs import assert_same
from support.processes import run_probe
from support.reader_objects import Alone, Held, Memory, Sized, Watched, no_thread_left
from support.sanitizers import skip_measuring

import fastimg
from fastimg.data_source import ArrayDataSource
from fastimg.sources import ReaderItem


@pytest.fixture(scope="module")
def files():
    """60 images of 2 to 90 kB, in no order, which take longer to decode than to read."""
    sides = np.random.default_rng(2).permutation(np.linspace(40, 300, 60).astype(int)).tolist()
    return [jpegs.turbo(jpegs.noise(side, side, seed=side), quality=80) for side in sides]


@pytest.fixture(scope="module")
def images(files):
    return fastimg.load(files, size=9)


@pytest.mark.parametrize("num_threads", [1, 2])
@pytest.mark.parametrize("read_threads", [None, 1, 4, 64])
@pytest.mark.parametrize("read_ahead", [1, 20_000, 100_000, 400_000, "64 MiB"])
def test_the_bound_is_exact(files, images, read_ahead, read_threads, num_threads):
    reader = Held(files)
    options = {"read_ahead": read_ahead, "read_threads": read_threads, "num_threads": num_threads}
    with no_thread_left():
        assert_same(fastimg.load(reader, size=9, **options), images)
    assert reader.bytes == reader.count == 0
    bound = 64 << 20 if type(read_ahead) is str else read_ahead
    # What is larger than the bound is alone.
    assert reader.most_of_many <= bound
    assert reader.most <= max(bound, *map(len, files))


def test_it_reads_ahead(files):
    # What follows the batch that the caller has, and the one that is made meanwhile, but not all that there is.
    reader = Held(files)
    seen = []
    reader.read = lambda i: seen.append(i) or Held.read(reader, i)
    source = ArrayDataSource([fastimg.ImageFileAccessor(reader, size=9)])
    with source.batch_iterator(1, prefetch=1, read_threads=4, read_ahead=400_000) as batches:
        next(batches)
        for _ in range(100):
            time.sleep(0.02)
            if sum(len(files[i]) for i in seen if i > 1) > 200_000:
                break
        time.sleep(0.1)
        assert 200_000 < sum(len(files[i]) for i in seen if i > 1) <= 400_000
        assert len(seen) > 4


@pytest.mark.parametrize("prefetch", [0, 1, 4])
@pytest.mark.parametrize("read_ahead", [1, 50_000, 200_000])
def test_the_bound_is_that_of_an_iterator(files, images, read_ahead, prefetch):
    # However many batches are made at once.
    reader = Held(files)
    source = ArrayDataSource([fastimg.ImageFileAccessor(reader, size=9), np.arange(60)])
    with no_thread_left():
        batches = source.batch_iterator(
            7, shuffle=3, prefetch=prefetch, read_ahead=read_ahead, read_threads=8
        )
        for x, indices in batches:
            assert_same(x, images[indices])
    assert reader.most_of_many <= read_ahead
    assert reader.most <= max(read_ahead, *map(len, files))


def test_without_sizes_in_advance(files, images):
    # Each thread may have one more than the bound allows: it knows only after it has read it.
    class Unknown(Held):
        nbytes = property()

    for read_ahead in (1, 50_000, 200_000):
        reader = Unknown(files)
        assert not hasattr(reader, "nbytes")
        options = {"read_ahead": read_ahead, "read_threads": 3, "num_threads": 1}
        assert_same(fastimg.load(reader, size=9, **options), images)
        assert reader.most <= read_ahead + 4 * max(map(len, files))


def test_after_errors_nothing_is_held(files):
    for on_error in ("raise", "fill"):
        reader = Held(files)
        reader.items[7] = reader.items[30] = b"no image"
        with no_thread_left():
            try:
                with pytest.warns(UserWarning) if on_error == "fill" else contextlib.nullcontext():
                    fastimg.load(reader, size=9, read_ahead=50_000, read_threads=8, on_error=on_error)
            except fastimg.UnsupportedJpegError as error:
                assert error.index == 7
            else:
                assert on_error == "fill"
        assert reader.bytes == reader.count == 0


def test_memory_in_use(tmp_path):
    skip_measuring("memory in use")
    # 60 files of 4 MB, of which nothing but the first few kB is an image.
    for i in range(60):
        path = tmp_path / f"{i}.jpg"
        path.write_bytes(jpegs.jpeg(40, 40, seed=i))
        with open(path, "r+b") as file:
            file.truncate(4_000_000)
    (tmp_path / "0.jpg").write_bytes(b"no image")  # at which the decoder waits
    large = int(run_probe("reading_probe", tmp_path, "100 MB", 80_000, PATIENCE))
    small = int(run_probe("reading_probe", tmp_path, "8 MB", 25_000, 0.5))
    assert 80_000 <= large < 130_000  # kB: so much is really read ahead
    assert small < 25_000  # the bound, a file in the decoder, and what else a first call needs


# ---- nothing stands still ----------------------------------------------------------------------


def test_odd_combinations(files, images):
    # A claim that waits for room while what it waits for waits for it would never end.
    sizes, ahead, threads = [1, 2, 7, 60], [1, 30_000, 90_000], [1, 2, 64]
    kinds = itertools.cycle([Memory, Sized])
    with no_thread_left():
        for batch_size, read_ahead, read_threads, prefetch in itertools.product(
            sizes, ahead, threads, [0, 1, 5]
        ):
            accessors = [
                fastimg.ImageFileAccessor(next(kinds)(files), size=9),
                fastimg.NonUniformImageFileAccessor(next(kinds)(files), size=9),
            ]
            batches = ArrayDataSource(accessors).batch_iterator(
                batch_size, prefetch=prefetch, read_ahead=read_ahead, read_threads=read_threads, num_threads=1
            )
            count = 2 if batch_size < 7 else 60
            for k, (x, y) in enumerate(itertools.islice(batches, count)):
                assert_same(x, images[k * batch_size : (k + 1) * batch_size])
                assert_same(np.stack(y), x)
            batches.close()


def test_two_accessors_of_one_reader(files, images):
    # Both halves of a batch wait for room in one bound, and for one lock.
    class Locked(Sized):
        thread_safe = False

    reader = Locked(files)
    items = [ReaderItem(reader, i) for i in range(60)]
    arrays = [
        fastimg.ImageFileAccessor(reader, size=9),
        fastimg.ImageFileAccessor(items).random_resized_crop(9),
        fastimg.NonUniformImageFileAccessor(items[::-1], size=9),
    ]
    expected = fastimg.ImageFileAccessor(files).random_resized_crop(9)[:]
    with no_thread_left():
        for prefetch, read_ahead in itertools.product([0, 1, 3], [1, 90_000]):
            source = ArrayDataSource(arrays)
            batches = source.batch_iterator(11, prefetch=prefetch, read_ahead=read_ahead, epoch=0)
            found = [np.concatenate(parts) for parts in zip(*batches, strict=True)]
            for one, other in zip(found, (images, expected, images[::-1]), strict=True):
                assert_same(one, other)


@pytest.mark.parametrize("read_threads", [1, 2, 64])
@pytest.mark.parametrize("prefetch", [0, 1, 4])
def test_files_beside_data_in_memory(files, images, tmp_path, read_threads, prefetch):
    # What need not be read must not wait for a thread that waits for room.
    paths = [tmp_path / f"{i}.jpg" for i in range(60)]
    for path, data in zip(paths, files, strict=True):
        path.write_bytes(data)
    mixture = [path if i // 4 % 2 else data for i, (path, data) in enumerate(zip(paths, files, strict=True))]
    arrays = [fastimg.ImageFileAccessor(each, size=9) for each in (paths, files, mixture)]
    arrays.append(fastimg.ImageFileAccessor(files).random_resized_crop(9))
    with no_thread_left():
        for read_ahead in (1, 50_000):
            options = {"prefetch": prefetch, "read_threads": read_threads, "read_ahead": read_ahead}
            for x, y, z, _, i in ArrayDataSource([*arrays, np.arange(60)]).batch_iterator(4, **options):
                for found in (x, y, z):
                    assert_same(found, images[i])


@pytest.mark.parametrize("read_threads", [1, 2, 3, 64])
def test_what_is_kept_with_its_header(tmp_path, read_threads):
    # The first and the last fit in together; those between them wait for room that the last one has.
    data = jpegs.jpeg(24, 31)
    sources = []
    for i, more in enumerate((0, 2000, 2000, 0)):
        sources.append(tmp_path / f"{i}.jpg")
        sources[-1].write_bytes(data + bytes(more))
    expected = fastimg.load([data] * 4)
    options = {"read_threads": read_threads, "read_ahead": 2 * len(data) + 100}
    with no_thread_left():
        for _ in range(5):
            assert_same(fastimg.load(sources, **options), expected)
            assert_same(np.stack(fastimg.NonUniformImageFileAccessor(sources, **options)[:]), expected)


@pytest.mark.parametrize("cls", [Watched, Alone])
@pytest.mark.parametrize("prefetch", [0, 2])
def test_two_accessors_of_unknown_size(cls, prefetch):
    # The first image says what size all have, while headers of a batch are still being read.
    data = [jpegs.jpeg(24, 31, seed=i) for i in range(37)]
    expected = fastimg.load(data)
    for _ in range(15):
        arrays = [fastimg.ImageFileAccessor(cls(data, 0.0005)) for _ in range(2)]
        for k, pair in enumerate(ArrayDataSource(arrays).batch_iterator(5, prefetch=prefetch)):
            for images in pair:
                assert_same(images, expected[5 * k : 5 * k + 5])
