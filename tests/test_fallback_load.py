# SPDX-License-Identifier: BSD-3-Clause
"""The way of images that are none for the core: to the fallback, through the sinks, into their own rows."""

import pickle
import threading

import numpy as np
import pytest
from support import jpegs, raw_images
from support.jpegs import assert_same
from support.reader_objects import Memory
from support.resize_reference import resample, to_pixels

import fastimg
from fastimg.sources import ReaderItem


def pixels(height, width, channels=3, seed=0):
    rng = np.random.default_rng(seed)
    shape = (height, width, channels) if channels else (height, width)
    return rng.integers(0, 256, shape, np.uint8)


def load(sources, **options):
    return fastimg.load(sources, **{"fallback": raw_images.decode, "layout": "HWC", **options})


@pytest.fixture
def mixed(tmp_path):
    """20 files, JPEG and raw in turns, and their pixels."""
    paths, images = [], []
    for i in range(20):
        path = tmp_path / f"{i:02}.jpg"
        if i % 2:
            images.append(pixels(30 + i, 40 - i, seed=i))
            path.write_bytes(raw_images.encode(images[-1]))
        else:
            path.write_bytes(jpegs.jpeg(30 + i, 40 - i, quality=80 + i))
            images.append(fastimg.decode(path, layout="HWC"))
        paths.append(str(path))
    return paths, images


# ---- pixels ------------------------------------------------------------------------------------


@pytest.mark.parametrize("channels", [0, 1, 3])
@pytest.mark.parametrize("mode", ["RGB", "BGR", "L"])
@pytest.mark.parametrize("layout", ["CHW", "HWC"])
def test_pixels_are_copied_as_they_are(channels, mode, layout):
    image = pixels(13, 7, channels)
    rgb = np.broadcast_to(image.reshape(13, 7, -1), (13, 7, 3)).astype(int)
    luma = (19595 * rgb[:, :, 0] + 38470 * rgb[:, :, 1] + 7471 * rgb[:, :, 2] + 32768) >> 16
    wanted = {"RGB": rgb, "BGR": rgb[:, :, ::-1], "L": luma[:, :, None]}[mode].astype(np.uint8)
    wanted = wanted if layout == "HWC" else wanted.transpose(2, 0, 1)
    data = raw_images.encode(image)
    options = {"mode": mode, "layout": layout, "fallback": raw_images.decode}
    assert_same(fastimg.decode(data, **options), np.ascontiguousarray(wanted))
    flipped = np.flip(wanted, wanted.ndim - 2 if layout == "HWC" else 2)
    assert_same(fastimg.decode(data, flip=True, **options), np.ascontiguousarray(flipped))
    out = np.empty(wanted.shape, np.uint8)
    assert fastimg.decode(data, out=out, **options) is out
    assert_same(out, np.ascontiguousarray(wanted))


@pytest.mark.parametrize("channels", [0, 3])
@pytest.mark.parametrize("height", [1, 7, 8, 9, 16, 41])
def test_pixels_are_resampled_as_those_of_a_jpeg(height, channels):
    image = pixels(height, 33, channels)
    plain = np.broadcast_to(image.reshape(height, 33, -1), (height, 33, 3)).astype(float)
    for size in ((3, 5), (41, 20), (height, 33), (90, 80)):
        for name in ("bilinear", "lanczos", "box"):
            found = fastimg.decode(
                raw_images.encode(image), size=size, resample=name, layout="HWC", fallback=raw_images.decode
            )
            wanted = to_pixels(np.clip(resample(plain, size, name), 0, 255))
            assert np.abs(found.astype(int) - wanted).max() <= 1, (size, name)


def test_every_option_works():
    image = pixels(60, 90)
    data = raw_images.encode(image)
    plain = fastimg.decode(data, layout="HWC", fallback=raw_images.decode)
    assert_same(plain, image)
    for options in (
        {"crop": (5, 10, 20, 30)},
        {"center_crop": 70, "pad_value": (1, 2, 3)},
        {"dtype": "float32", "mean": (0.1, 0.2, 0.3), "std": 0.5, "mode": "BGR"},
        {"dtype": "float16", "layout": "CHW", "flip": True},
    ):
        # The same through a lossless way: a reader of the same pixels.
        found = fastimg.decode(data, fallback=lambda source: image, **options)
        assert_same(found, load([data], **{"layout": "CHW", **options})[0])
    assert_same(
        fastimg.decode(data, crop=(5, 10, 20, 30), layout="HWC", fallback=raw_images.decode),
        image[5:25, 10:40],
    )


def test_one_pixel_and_large_sides():
    assert load([raw_images.encode(pixels(1, 1))]).shape == (1, 1, 1, 3)
    wide = pixels(2, 70_000)
    assert_same(load([raw_images.encode(wide)])[0], wide)
    assert load([raw_images.encode(wide)], size=8).shape == (1, 8, 8, 3)


# ---- rows --------------------------------------------------------------------------------------


@pytest.mark.parametrize("read_threads", [None, 0, 1, 5])
@pytest.mark.parametrize("num_threads", [1, 2, 5])
def test_no_row_is_shifted(mixed, num_threads, read_threads):
    paths, images = mixed
    found = load(paths, size=24, num_threads=num_threads, read_threads=read_threads)
    expected = np.stack(
        [fastimg.decode(path, size=24, layout="HWC", fallback=raw_images.decode) for path in paths]
    )
    assert_same(found, expected)
    assert_same(found[::2], fastimg.load(paths[::2], size=24, layout="HWC"))
    accessor = fastimg.NonUniformImageFileAccessor(
        paths, layout="HWC", fallback=raw_images.decode, num_threads=num_threads, read_threads=read_threads
    )
    for one, other in zip(accessor[:], images, strict=True):
        assert_same(one, other)


def test_every_kind_of_source(tmp_path):
    image = pixels(9, 11)
    data = raw_images.encode(image)
    path = tmp_path / "a.png"
    path.write_bytes(b"before" + data + b"after")
    whole = tmp_path / "b.png"
    whole.write_bytes(data)
    reader = Memory([jpegs.jpeg(9, 11), data])
    sources = [
        str(whole), whole, data, bytearray(data), memoryview(data), np.frombuffer(data, np.uint8),
        fastimg.FileRange(path, 6, len(data)), ReaderItem(reader, 1),
    ]  # fmt: skip
    for source in sources:
        assert_same(fastimg.decode(source, layout="HWC", fallback=raw_images.decode), image)
    for read_threads in (None, 0, 3):
        assert_same(load(sources, read_threads=read_threads), np.stack([image] * len(sources)))
    assert_same(load(reader)[1], image)


def test_a_callable_gets_a_path_or_bytes(tmp_path):
    data = raw_images.encode(pixels(2, 2))
    path = tmp_path / "a.png"
    path.write_bytes(data)
    seen = []

    def decode(source):
        seen.append(source)
        return raw_images.decode(source)

    sources = [path, str(path), bytearray(data), fastimg.FileRange(path, 0, len(data))]
    fastimg.load(sources, size=4, fallback=decode, num_threads=1)
    assert seen == [str(path), str(path), data, data]
    seen.clear()
    fastimg.decode(path, fallback=decode)
    assert seen == [path]


def test_accessors_know_sizes(mixed):
    paths, images = mixed
    accessor = fastimg.ImageFileAccessor(paths[1:2], fallback=raw_images.decode)
    assert accessor.shape == (1, 3, *images[1].shape[:2])
    crops = fastimg.ImageFileAccessor(paths, fallback=raw_images.decode, layout="HWC").random_resized_crop(
        16, seed=3
    )
    boxes, flips = crops.boxes(slice(None))
    assert (boxes[:, :2] + boxes[:, 2:] <= [image.shape[:2] for image in images]).all()
    assert_same(crops[:], load(paths, crop=boxes, flip=flips, size=16))
    assert_same(pickle.loads(pickle.dumps(crops))[:], crops[:])
    later = crops.with_epoch(1)
    assert_same(later[::-1], later[:][::-1])


@pytest.mark.parametrize("prefetch", [0, 2])
@pytest.mark.parametrize("read_threads", [None, 2])
def test_batches_of_a_data_source(mixed, prefetch, read_threads):
    paths, _ = mixed
    accessor = fastimg.ImageFileAccessor(paths, size=12, layout="HWC", fallback=raw_images.decode)
    source = fastimg.data_source.ArrayDataSource([accessor, np.arange(len(paths))])
    rows = {}
    for images, numbers in source.batch_iterator(7, shuffle=1, prefetch=prefetch, read_threads=read_threads):
        rows.update(zip(numbers.tolist(), images, strict=True))
    assert_same(np.stack([rows[i] for i in range(len(paths))]), load(paths, size=12))


# ---- failures ----------------------------------------------------------------------------------


@pytest.mark.parametrize("read_threads", [None, 0, 3])
@pytest.mark.parametrize("num_threads", [1, 4])
def test_what_the_fallback_cannot_read_is_that_images_error(mixed, num_threads, read_threads):
    paths, _ = mixed
    for i in (3, 8, 15):
        with open(paths[i], "wb") as file:
            file.write(b"neither this nor that" * 10)
    options = {"size": 8, "num_threads": num_threads, "read_threads": read_threads}
    with pytest.raises(fastimg.FallbackError, match=r"image 3: .*03\.jpg.*no raw image") as caught:
        load(paths, **options)
    assert (caught.value.index, caught.value.source) == (3, paths[3])
    assert isinstance(caught.value.__cause__, ValueError)
    assert isinstance(caught.value, fastimg.ImageError) and not isinstance(caught.value, fastimg.JpegError)
    failures = []
    array, mask = load(paths, on_error=failures.append, return_mask=True, **options)
    assert [error.index for error in failures] == [3, 8, 15] == np.flatnonzero(~mask).tolist()
    assert not array[~mask].any() and array[mask].any(axis=(1, 2, 3)).all()
    expected = load([path for i, path in enumerate(paths) if mask[i]], size=8)
    assert_same(array[mask], expected)


def test_the_lowest_failure_is_raised_whichever_came_first(mixed):
    paths, _ = mixed
    with open(paths[4], "r+b") as file:
        file.truncate(300)  # a JPEG, damaged after its header
    with open(paths[5], "wb") as file:
        file.write(b"neither")
    for accessor in (fastimg.NonUniformImageFileAccessor, fastimg.ImageFileAccessor):
        for options in ({}, {"size": 4}):
            if accessor is fastimg.ImageFileAccessor and not options:
                continue
            images = accessor(paths, fallback=raw_images.decode, **options)
            with pytest.raises(fastimg.ImageError) as caught:
                images[:]
            assert caught.value.index == 4


def test_max_pixels_is_the_fallbacks_limit_too():
    data = raw_images.encode(pixels(20, 30))
    assert load([data], max_pixels=600).shape == (1, 20, 30, 3)
    for call in (lambda: load([data], max_pixels=599), lambda: load([data, data], size=4, max_pixels=599)):
        with pytest.raises(fastimg.ImageTooLargeError, match="30 x 20") as caught:
            call()
        assert caught.value.index == 0


@pytest.mark.parametrize(
    "error", [MemoryError("full"), OSError(24, "too many open files"), KeyboardInterrupt()]
)
@pytest.mark.parametrize("num_threads", [1, 3])
def test_the_machine_is_not_the_images_fault(mixed, error, num_threads):
    paths, _ = mixed

    def decode(source):
        raise error

    with pytest.raises(type(error)):
        load(paths, size=8, fallback=decode, on_error=lambda found: None, num_threads=num_threads)


@pytest.mark.parametrize(
    "wrong",
    [None, "pixels", np.zeros((4, 4), np.float32), np.zeros((4, 4, 2), np.uint8), np.zeros(4, np.uint8),
     np.zeros((0, 4, 3), np.uint8), np.zeros((3, 4, 4, 3), np.uint8)],
    ids=repr,
)  # fmt: skip
def test_what_is_no_image(wrong):
    for call in (
        lambda: fastimg.decode(b"other", fallback=lambda _: wrong),
        lambda: load([b"other"], fallback=lambda _: wrong),
    ):
        with pytest.raises(fastimg.FallbackError, match=r"other|uint8|array"):
            call()


def test_arrays_need_not_be_contiguous():
    image = pixels(10, 12)
    for view in (image[::-1], image[:, ::2], image[:, :, ::-1], image.transpose(1, 0, 2), image[2:5, 3:4]):
        assert_same(
            fastimg.decode(b"other", layout="HWC", fallback=lambda _, view=view: view),
            np.ascontiguousarray(view),
        )


@pytest.mark.parametrize("value", ["Pillow", "opencv", 5, b"pillow", ["pillow"]])
def test_other_values_are_refused(value):
    for call in (
        lambda: fastimg.decode(jpegs.jpeg(), fallback=value),
        lambda: fastimg.load([], fallback=value),
        lambda: fastimg.ImageFileAccessor([], fallback=value),
    ):
        with pytest.raises((ValueError, TypeError), match="fallback"):
            call()


def test_jpegs_never_meet_the_fallback(mixed):
    paths, _ = mixed

    def decode(source):
        raise AssertionError(source)

    assert_same(load(paths[::2], size=8, fallback=decode), fastimg.load(paths[::2], size=8, layout="HWC"))
    damaged = jpegs.truncated(jpegs.jpeg(), 0.5)
    with pytest.raises(fastimg.TruncatedJpegError):
        fastimg.decode(damaged, fallback=decode)
    with pytest.raises(fastimg.TruncatedJpegError):
        fastimg.decode(b"", fallback=decode)
    with pytest.raises(FileNotFoundError):
        fastimg.decode("none.png", fallback=decode)


def test_it_is_called_in_the_threads_that_decode(mixed):
    paths, _ = mixed
    most, now, calls = 0, 0, 0
    lock, both = threading.Lock(), threading.Event()

    def decode(source):
        nonlocal most, now, calls
        with lock:
            calls, now = calls + 1, now + 1
            most = max(most, now)
            if now == 2:
                both.set()
        if threading.current_thread() is not threading.main_thread():  # which begins alone
            both.wait(10)
        with lock:
            now -= 1
        return raw_images.decode(source)

    load(
        [paths[1], *paths[1::2], paths[1]][: 1 + 2 * 4],
        size=8,
        fallback=decode,
        num_threads=2,
        read_threads=4,
    )
    assert most == 2 and calls == 9


def test_an_accessor_pickles_with_its_fallback(mixed):
    paths, _ = mixed
    accessor = fastimg.ImageFileAccessor(paths, size=8, fallback=raw_images.decode)
    copy = pickle.loads(pickle.dumps(accessor))
    assert_same(copy[:], accessor[:])
    other = fastimg.ImageFileAccessor(paths, size=8)
    assert copy.__dask_tokenize__() == accessor.__dask_tokenize__() != other.__dask_tokenize__()
