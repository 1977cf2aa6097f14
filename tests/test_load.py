# SPDX-License-Identifier: BSD-3-Clause
"""load: N singles at once, whatever the threads do; and what happens to the files that fail."""

import io
import mmap
import pathlib
import re
import threading
import warnings

import numpy as np
import pytest
from support import jpegs
from support.jpegs import assert_same

import fastimg

THREADS = [1, 2, 8]


@pytest.fixture(params=THREADS, ids=lambda n: f"{n} threads")
def num_threads(request):
    return request.param


@pytest.fixture
def spoiled(batch, bad_files):
    """The batch with four files that fail, at positions 5, 11, 17 and 30."""
    paths = list(batch.paths)
    names = ["TruncatedJpegError", "FileNotFoundError", "CorruptJpegError", "UnsupportedJpegError"]
    where = dict(zip([5, 11, 17, 30], names, strict=True))
    for index, name in where.items():
        paths[index] = bad_files[name]
    return paths, where


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"layout": "HWC", "mode": "BGR"},
        {"mode": "L", "flip": True},
        {"dtype": "float32", "mean": (0.4, 0.5, 0.6), "std": (0.2, 0.3, 0.4)},
        {"dtype": "float16", "crop": (3, 4, 11, 17), "layout": "HWC"},
    ],
    ids=str,
)
def test_a_batch_equals_its_singles(batch, num_threads, options):
    singles = np.stack([fastimg.decode(path, **options) for path in batch.paths])
    assert_same(singles, np.stack([jpegs.reference(data, **options) for data in batch.data]))
    assert_same(fastimg.load(batch.paths, num_threads=num_threads, **options), singles)
    out = np.empty_like(singles)
    assert fastimg.load(batch.paths, out, num_threads=num_threads, **options) is out
    assert_same(out, singles)


@pytest.mark.parametrize("count", range(1, 12))
def test_small_batches(batch, count, num_threads):
    assert_same(fastimg.load(batch.paths[:count], num_threads=num_threads), np.stack(batch.images[:count]))


def test_many_images(batch, num_threads):
    order = np.random.default_rng(0).integers(0, len(batch.paths), 1500)
    images = fastimg.load([batch.data[i] for i in order], num_threads=num_threads)
    assert_same(images, np.stack(batch.images)[order])


def test_upright_size_is_what_counts(tmp_path, num_threads):
    lying, standing = jpegs.oriented(jpegs.jpeg(24, 31), 8), jpegs.jpeg(31, 24, seed=1)
    images = fastimg.load([lying, standing], num_threads=num_threads)
    assert_same(images, np.stack([jpegs.reference(lying), jpegs.reference(standing)]))
    with pytest.raises(ValueError):
        fastimg.load([lying, standing], num_threads=num_threads, orient=False)


def test_crop_makes_sizes_equal(mixed, num_threads):
    crop = (1, 2, 8, 20)
    expected = np.stack([image[:, 1:9, 2:22] for image in mixed.images])
    assert_same(fastimg.load(mixed.paths, crop=crop, num_threads=num_threads), expected)


# ---- sources -----------------------------------------------------------------------------------


def test_mixed_kinds_of_source(batch, tmp_path, num_threads):
    archive = tmp_path / "archive"
    archive.write_bytes(b"junk" + batch.data[5] + b"junk")
    with open(batch.paths[6], "rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as mapped:
        sources = [
            batch.paths[0],
            pathlib.Path(batch.paths[1]),
            batch.data[2],
            bytearray(batch.data[3]),
            memoryview(batch.data[4]),
            fastimg.FileRange(str(archive), 4, len(batch.data[5])),
            mapped,
            np.frombuffer(batch.data[7], np.uint8),
        ]
        images = fastimg.load(sources, num_threads=num_threads)
    assert_same(images, np.stack(batch.images[:8]))


def test_any_iterable(batch):
    paths, expected = batch.paths[:9], np.stack(batch.images[:9])
    for sources in (
        paths,
        tuple(paths),
        iter(paths),
        (path for path in paths),
        dict.fromkeys(paths),
        np.array(paths),
        np.array(paths, object),
        map(pathlib.Path, paths),
    ):
        assert_same(fastimg.load(sources), expected)


def test_a_source_many_times(batch):
    sources = [batch.data[0]] * 100 + [batch.paths[0]] * 100
    assert_same(fastimg.load(sources, num_threads=8), np.stack([batch.images[0]] * 200))


def test_an_iterable_that_fails(batch):
    def broken():
        yield batch.paths[0]
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fastimg.load(broken())


@pytest.mark.parametrize("sources", [None, 5, 2.5, object], ids=repr)
def test_not_iterable(sources):
    with pytest.raises(TypeError):
        fastimg.load(sources)


@pytest.mark.parametrize("bad", [None, 5, 2.5, ["a.jpg"], object], ids=repr)
def test_not_a_source(batch, bad):
    with pytest.raises(TypeError, match=type(bad).__name__):
        fastimg.load([batch.paths[0], bad], on_error="fill")


def test_empty():
    for sources in ([], (), iter([]), np.array([], object)):
        assert_same(fastimg.load(sources), np.empty((0, 3, 0, 0), np.uint8))
    assert_same(fastimg.load([], layout="HWC", dtype="float16"), np.empty((0, 0, 0, 3), np.float16))
    assert_same(fastimg.load([], mode="L"), np.empty((0, 1, 0, 0), np.uint8))
    assert_same(fastimg.load([], crop=(5, 5, 7, 9)), np.empty((0, 3, 7, 9), np.uint8))
    assert_same(fastimg.load([], crop=(5, 5, 7, 9), layout="HWC"), np.empty((0, 7, 9, 3), np.uint8))
    out = np.empty((0, 3, 24, 31), np.uint8)
    assert fastimg.load([], out) is out
    with pytest.raises(ValueError):
        fastimg.load([], np.empty((1, 3, 24, 31), np.uint8))


# ---- different sizes ---------------------------------------------------------------------------


@pytest.mark.parametrize("on_error", ["raise", "fill", lambda error: None], ids=["raise", "fill", "call"])
def test_different_sizes(tmp_path, num_threads, on_error):
    paths = []
    for name, shape in (("a", (19, 23)), ("b", (19, 23)), ("c", (29, 31)), ("d", (41, 43))):
        paths.append(str(tmp_path / f"{name}.jpg"))
        pathlib.Path(paths[-1]).write_bytes(jpegs.jpeg(*shape))
    out = np.full((4, 3, 19, 23), 0x5A, np.uint8)
    for arguments in ((paths,), (paths, out)):
        with pytest.raises(ValueError) as caught:
            fastimg.load(*arguments, num_threads=num_threads, on_error=on_error)
        text = str(caught.value)
        assert paths[0] in text and paths[2] in text and paths[3] not in text
        rest = text.replace(paths[0], "").replace(paths[2], "")
        assert {"19", "23", "29", "31"} <= set(re.findall(r"\d+", rest))
        assert not isinstance(caught.value, fastimg.JpegError)
    assert (out == 0x5A).all()


# ---- errors ------------------------------------------------------------------------------------


def test_the_lowest_failing_index_is_raised(batch, spoiled, num_threads):
    paths, where = spoiled
    # 5 fails in its scan and 11 is missing: whoever opens all files first meets 11 first.
    for _ in range(20):
        with pytest.raises(fastimg.TruncatedJpegError) as caught:
            fastimg.load(paths, num_threads=num_threads)
        assert caught.value.index == 5
        assert caught.value.source == paths[5]
        assert paths[5] in str(caught.value) and re.search(r"\b5\b", str(caught.value))
    for index in sorted(where):
        shortened = paths[index:]
        with pytest.raises((fastimg.JpegError, OSError)) as caught:
            fastimg.load(shortened, num_threads=num_threads)
        assert caught.value.index == 0
        assert where[index] in [kind.__name__ for kind in type(caught.value).__mro__]


def test_the_first_file_fails(batch, bad_files, num_threads):
    for name in ("FileNotFoundError", "UnsupportedJpegError", "JpegTooLargeError"):
        paths = [bad_files[name], *batch.paths]
        expected = np.stack([np.zeros_like(batch.images[0]), *batch.images])
        failures = []
        assert_same(fastimg.load(paths, num_threads=num_threads, on_error=failures.append), expected)
        assert [error.index for error in failures] == [0]
        with pytest.raises((fastimg.JpegError, OSError)) as caught:
            fastimg.load(paths, num_threads=num_threads)
        assert caught.value.index == 0


def test_fill(batch, spoiled, num_threads):
    paths, where = spoiled
    expected = np.stack(batch.images)
    expected[sorted(where)] = 0
    for out in (None, np.full_like(expected, 0x5A)):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            images = fastimg.load(paths, out, num_threads=num_threads, on_error="fill")
        assert_same(images, expected)
        assert [warning.category for warning in caught] == [UserWarning]


def test_fill_does_not_warn_of_nothing(batch):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert_same(fastimg.load(batch.paths, on_error="fill"), np.stack(batch.images))


def test_fill_zeroes_what_was_half_decoded(batch, spoiled):
    # Also through a strided view, and with a mean that makes the zero pixel something else.
    paths, where = spoiled
    base = np.full((2 * len(paths), 3, 24, 40), 7, np.float32)
    out = base[::2, ::-1, :, 4:35]
    with pytest.warns(UserWarning):
        fastimg.load(paths, out, on_error="fill", dtype="float32", mean=0.5, num_threads=2)
    assert not out[sorted(where)].any()
    out[:] = 7
    assert (base == 7).all()


def test_callable(batch, spoiled, num_threads):
    paths, where = spoiled
    expected = np.stack(batch.images)
    expected[sorted(where)] = 0
    failures, threads = [], set()

    def collect(error):
        failures.append(error)
        threads.add(threading.get_ident())

    assert_same(fastimg.load(paths, num_threads=num_threads, on_error=collect), expected)
    assert [error.index for error in failures] == sorted(where)
    assert [error.source for error in failures] == [paths[i] for i in sorted(where)]
    for error in failures:
        assert where[error.index] in [kind.__name__ for kind in type(error).__mro__]
    assert threads == {threading.get_ident()}


def test_callable_that_raises(batch, spoiled, num_threads):
    def refuse(error):
        raise ZeroDivisionError(error.index)

    before = threading.active_count()
    with pytest.raises(ZeroDivisionError, match="5"):
        fastimg.load(spoiled[0], num_threads=num_threads, on_error=refuse)
    assert threading.active_count() == before


def test_nothing_but_failures(bad_files):
    paths = [bad_files["FileNotFoundError"], bad_files["UnsupportedJpegError"]]
    out = np.full((2, 3, 8, 8), 0x5A, np.uint8)
    failures = []
    fastimg.load(paths, out, on_error=failures.append)
    assert not out.any() and [error.index for error in failures] == [0, 1]
    failures.clear()
    images = fastimg.load(paths, crop=(0, 0, 8, 8), on_error=failures.append)
    assert_same(images, np.zeros((2, 3, 8, 8), np.uint8))
    assert [error.index for error in failures] == [0, 1]


@pytest.mark.parametrize("on_error", ["ignore", "", "RAISE"])
def test_bad_on_error_value(batch, on_error):
    with pytest.raises(ValueError, match="on_error"):
        fastimg.load(batch.paths, on_error=on_error)


@pytest.mark.parametrize("on_error", [None, 5, True])
def test_bad_on_error_type(batch, on_error):
    with pytest.raises(TypeError, match="on_error"):
        fastimg.load(batch.paths, on_error=on_error)


# ---- num_threads and progress ------------------------------------------------------------------


@pytest.mark.parametrize("num_threads", [0, -1, -8])
def test_bad_num_threads_value(batch, num_threads):
    for function in (fastimg.load, fastimg.ImageFileAccessor, fastimg.NonUniformImageFileAccessor):
        with pytest.raises(ValueError, match="num_threads"):
            function(batch.paths, num_threads=num_threads)


@pytest.mark.parametrize("num_threads", [1.0, 2.5, True, False, "2", [2]])
def test_bad_num_threads_type(batch, num_threads):
    for function in (fastimg.load, fastimg.ImageFileAccessor, fastimg.NonUniformImageFileAccessor):
        with pytest.raises(TypeError, match="num_threads"):
            function(batch.paths, num_threads=num_threads)


def test_more_threads_than_images(batch):
    for num_threads in (64, 1000, np.int64(8)):
        assert_same(fastimg.load(batch.paths, num_threads=num_threads), np.stack(batch.images))


def test_threads_from_the_environment(batch, monkeypatch):
    for value in ("1", "3"):
        monkeypatch.setenv("FASTIMG_NUM_THREADS", value)
        assert_same(fastimg.load(batch.paths), np.stack(batch.images))


def test_progress_callable(batch, num_threads):
    calls, threads = [], set()

    def progress(done, total):
        calls.append((done, total))
        threads.add(threading.get_ident())

    sources = batch.paths * 20
    fastimg.load(sources, num_threads=num_threads, progress=progress)
    assert calls[-1] == (len(sources), len(sources))
    assert {total for _, total in calls} == {len(sources)}
    done = [done for done, _ in calls]
    assert done == sorted(done) and done[0] >= 0
    assert threads == {threading.get_ident()}


def test_progress_counts_failures_too(spoiled, num_threads):
    calls = []
    with pytest.warns(UserWarning):
        fastimg.load(
            spoiled[0],
            num_threads=num_threads,
            on_error="fill",
            progress=lambda done, total: calls.append((done, total)),
        )
    assert calls[-1] == (37, 37)


def test_progress_that_raises(batch, num_threads):
    def refuse(done, total):
        raise ZeroDivisionError

    before = threading.active_count()
    with pytest.raises(ZeroDivisionError):
        fastimg.load(batch.paths, num_threads=num_threads, progress=refuse)
    assert threading.active_count() == before
    assert_same(fastimg.load(batch.paths), np.stack(batch.images))


def test_progress_bar(batch, capsys):
    fastimg.load(batch.paths, progress=True)
    captured = capsys.readouterr()
    assert captured.out == ""
    assert "37/37" in captured.err
    fastimg.load(batch.paths, progress=False)
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize("progress", ["yes", 5, io.StringIO()], ids=lambda value: type(value).__name__)
def test_bad_progress(batch, progress):
    with pytest.raises(TypeError, match="progress"):
        fastimg.load(batch.paths, progress=progress)
