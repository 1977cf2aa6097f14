# SPDX-License-Identifier: BSD-3-Clause
"""Bad images in the batches of a data source: left out of all arrays, or zeros and a mask that says so."""

import itertools
import json
import threading
import warnings

import numpy as np
import pytest
from support.jpegs import assert_all_same, assert_same

import fastimg
from fastimg.data_source import ArrayDataSource

N = 37
# Each kind is at the ends of batches and in the middle; 20 and 21 are all of a batch of two.
BAD = {
    3: "CorruptJpegError",
    4: "FileNotFoundError",
    20: "UnsupportedJpegError",
    21: "TruncatedJpegError",
    36: "JpegTooLargeError",
}
LABELS = np.arange(N)[::-1] * 10


@pytest.fixture
def paths(batch, bad_files):
    return [bad_files[BAD[i]] if i in BAD else path for i, path in enumerate(batch.paths)]


@pytest.fixture
def source(paths):
    return ArrayDataSource([fastimg.ImageFileAccessor(paths), LABELS], include_indices=True, seed=5)


def drawn(order, batch_size, drop_last=False):
    batches = [order[i : i + batch_size] for i in range(0, len(order), batch_size)]
    return [each for each in batches if len(each) == batch_size or not drop_last]


def kept(batches):
    """What is left of batches of indices."""
    return [good for good in ([int(i) for i in each if i not in BAD] for each in batches) if good]


def copies(batches):
    return [tuple(np.array(array) for array in each) for each in batches]


def quiet(source, *args, **options):
    """All batches, copied, without the warning."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return copies(source.batch_iterator(*args, **options))


# ---- drop --------------------------------------------------------------------------------------


@pytest.mark.parametrize("num_threads", [1, 4])
@pytest.mark.parametrize("prefetch", [0, 2])
@pytest.mark.parametrize("reuse_buffers", [False, True])
def test_drop_keeps_labels_aligned(batch, source, prefetch, num_threads, reuse_buffers):
    mapped = source.map(lambda indices, x, y, mask: (indices, x[:, ::-1], y + 1, mask))
    options = {"prefetch": prefetch, "num_threads": num_threads, "reuse_buffers": reuse_buffers}
    for shuffle, drop_last, size in itertools.product((None, 8), (False, True), (2, 5, 40)):
        order = np.arange(N) if shuffle is None else np.random.RandomState(shuffle).permutation(N)
        expected = kept(drawn(order, size, drop_last))
        found = quiet(
            mapped, size, shuffle, drop_last=drop_last, on_error="drop", include_mask=True, **options
        )
        assert [indices.tolist() for indices, *_ in found] == expected
        for indices, x, y, mask in found:
            assert y.tolist() == [LABELS[i] + 1 for i in indices]
            assert_same(x, np.stack([batch.images[i][::-1] for i in indices]))
            assert_same(mask, np.ones(len(indices), bool))


def test_drop_leaves_out_of_all_arrays_what_fails_in_one(batch, bad_files):
    left = [bad_files["FileNotFoundError"] if i == 5 else path for i, path in enumerate(batch.paths)]
    right = [bad_files["CorruptJpegError"] if i == 7 else path for i, path in enumerate(batch.paths)]
    numbers = np.arange(N)
    arrays = [
        fastimg.ImageFileAccessor(left),
        numbers,
        fastimg.NonUniformImageFileAccessor(right),
        fastimg.ImageFileAccessor(batch.paths).random_resized_crop(16),
    ]
    with pytest.warns(UserWarning, match="2 of 10 samples"):
        x, y, z, crops = next(ArrayDataSource(arrays).batch_iterator(10, on_error="drop"))
    good = [0, 1, 2, 3, 4, 6, 8, 9]
    assert y.tolist() == good
    assert_same(x, np.stack([batch.images[i] for i in good]))
    assert type(z) is list
    assert_all_same(z, [batch.images[i] for i in good])
    assert_same(crops, arrays[3][good])


class Pairs(fastimg.ImageFileAccessor):
    """A subclass that gives a list of (image, label), from one access or from many."""

    one_by_one = False

    def __getitem__(self, index):
        if np.ndim(index) == 0:
            return super().__getitem__(index), LABELS[index]
        if self.one_by_one:
            return [self[int(i)] for i in index]
        return list(zip(super().__getitem__(index), LABELS[index], strict=True))


@pytest.mark.parametrize("one_by_one", [False, True])
def test_subclasses_of_an_accessor(batch, paths, prefetch, one_by_one):
    pairs = Pairs(paths)
    pairs.one_by_one = one_by_one
    source = ArrayDataSource([pairs, np.arange(N)])
    with pytest.warns(UserWarning, match="2 of 5 samples"):
        for found, indices in source.batch_iterator(5, prefetch=prefetch, on_error="drop"):
            assert [label for _, label in found] == LABELS[indices].tolist()
            assert_all_same([image for image, _ in found], [batch.images[i] for i in indices])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        batches = source.batch_iterator(5, prefetch=prefetch, on_error="fill", include_mask=True)
        for _, indices, mask in batches:
            assert mask.tolist() == [i not in BAD for i in indices]


def test_drop_without_images():
    source = ArrayDataSource([np.arange(5)])
    assert [y.tolist() for (y,) in source.batch_iterator(3, on_error="drop")] == [[0, 1, 2], [3, 4]]


def test_a_sample_that_comes_twice(batch, paths):
    accessor = fastimg.ImageFileAccessor(paths)
    source = ArrayDataSource([accessor, LABELS], indices=[3, 0, 3, 1, 3, 0])
    ((x, y),) = quiet(source, 9, on_error="drop")
    assert y.tolist() == LABELS[[0, 1, 0]].tolist()
    assert_same(x, np.stack([batch.images[i] for i in (0, 1, 0)]))


@pytest.mark.parametrize("prefetch", [0, 2])
def test_length_and_state_count_batches_as_drawn(source, prefetch):
    whole = quiet(source, 2, True, prefetch=prefetch, on_error="drop")
    for stop in range(0, len(whole) + 1, 3):
        source.load_state_dict(ArrayDataSource([LABELS], seed=5).state_dict())
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            batches = source.batch_iterator(2, True, prefetch=prefetch, on_error="drop")
            assert len(batches) == 19
            begun = copies(itertools.islice(batches, stop))
            state = json.loads(json.dumps(batches.state_dict()))
            assert len(batches) == 19 - state["batches"] <= 19 - stop
            batches.close()
        source.load_state_dict(state)
        rest = quiet(source, 2, True, prefetch=prefetch, on_error="drop")
        assert len(begun) == stop
        for expected, found in zip(whole, begun + rest, strict=True):
            assert_all_same(found, expected)


@pytest.mark.parametrize("repeats", [1, -1])
def test_not_one_image_is_an_error(tmp_path, prefetch, repeats):
    paths = [str(tmp_path / f"{i}.jpg") for i in range(7)]
    source = ArrayDataSource([fastimg.ImageFileAccessor(paths, size=8), np.arange(7)], repeats=repeats)
    with pytest.warns(UserWarning, match="0.jpg"), pytest.raises(FileNotFoundError) as caught:
        next(source.batch_iterator(2, prefetch=prefetch, on_error="drop"))
    assert caught.value.index == 6 or repeats == -1
    assert "7 samples" in caught.value.__notes__[0] or repeats == -1


# ---- the mask ----------------------------------------------------------------------------------


def test_fill_says_which(batch, source, prefetch):
    calls = []
    for on_error in ("fill", calls.append):
        found = quiet(source, 5, 8, prefetch=prefetch, on_error=on_error, include_mask=True)
        assert sum(len(indices) for indices, *_ in found) == N
        for indices, x, y, mask in found:
            assert mask.dtype == bool and mask.tolist() == [i not in BAD for i in indices]
            assert_same(y, LABELS[indices])
            expected = np.stack([batch.images[i] for i in indices])
            expected[~mask] = 0
            assert_same(x, expected)
    assert sorted(error.index for error in calls) == list(BAD)


def test_the_mask_is_of_all_arrays(batch, bad_files):
    bad = bad_files["FileNotFoundError"]
    arrays = [
        fastimg.ImageFileAccessor([bad, *batch.paths[1:4]], on_error="fill"),
        fastimg.ImageFileAccessor([*batch.paths[:3], bad], on_error=lambda error: None),
        np.arange(4),
    ]
    ((_, _, y, mask),) = quiet(ArrayDataSource(arrays), 4, include_mask=True)
    assert mask.tolist() == [False, True, True, False] and y.tolist() == [0, 1, 2, 3]


def test_raise_has_a_mask_too(batch):
    source = ArrayDataSource([fastimg.ImageFileAccessor(batch.paths)])
    assert all(mask.all() for _, mask in source.batch_iterator(5, on_error="raise", include_mask=True))


# ---- what each accessor was made with ----------------------------------------------------------


def test_none_is_what_the_accessor_was_made_with(paths, prefetch):
    for on_error in ("raise", "fill"):
        source = ArrayDataSource([fastimg.ImageFileAccessor(paths, on_error=on_error)])
        if on_error == "raise":
            with pytest.raises(fastimg.CorruptJpegError) as caught:
                list(source.batch_iterator(5, prefetch=prefetch))
            assert caught.value.index == 3
        else:
            assert len(quiet(source, 5, prefetch=prefetch)) == 8


def test_on_error_is_for_this_iterator_alone(paths):
    accessor = fastimg.ImageFileAccessor(paths, on_error="fill")
    source = ArrayDataSource([accessor])
    with pytest.raises(fastimg.CorruptJpegError):
        list(source.batch_iterator(5, on_error="raise"))
    assert len(quiet(source, 5)) == 8
    with pytest.warns(UserWarning):
        accessor[3]


def test_the_first_file_may_be_bad(batch, bad_files):
    # Its header would say how large the images are.
    paths = [bad_files["FileNotFoundError"], *batch.paths]
    source = ArrayDataSource([fastimg.ImageFileAccessor(paths), np.arange(N + 1)])
    for reuse_buffers in (False, True):
        found = quiet(source, 4, on_error="drop", reuse_buffers=reuse_buffers)
        assert np.concatenate([y for _, y in found]).tolist() == list(range(1, N + 1))
        assert_same(np.concatenate([x for x, _ in found]), np.stack(batch.images))


@pytest.mark.parametrize(("bad", "kind"), [("skip", ValueError), ("", ValueError), (5, TypeError)])
def test_other_values(source, bad, kind):
    with pytest.raises(kind, match="'drop'"):
        source.batch_iterator(5, on_error=bad)
    assert source.state_dict()["epoch"] == 0  # no epoch has begun


# ---- callables ---------------------------------------------------------------------------------


def test_a_callable_gets_the_errors_of_what_was_handed_out(source, prefetch):
    calls = []

    def on_error(error):
        calls.append((error.index, threading.get_ident()))

    batches = source.batch_iterator(5, prefetch=prefetch, on_error=on_error)
    for given, (indices, *_) in enumerate(batches, 1):
        assert [i for i, _ in calls] == [i for i in BAD if i < 5 * given]
        assert indices[-1] == min(5 * given, N) - 1
    assert {ident for _, ident in calls} == {threading.get_ident()}


def test_an_accessors_own_callable(paths, prefetch):
    calls = []
    source = ArrayDataSource([fastimg.ImageFileAccessor(paths, on_error=calls.append)])
    list(source.batch_iterator(5, prefetch=prefetch))
    assert [error.index for error in calls] == list(BAD)


def test_a_callable_that_raises(source, prefetch, threads):
    def refuse(error):
        raise (StopIteration if error.index == 20 else ZeroDivisionError)

    batches = source.batch_iterator(5, prefetch=prefetch, on_error=refuse)
    with pytest.raises(ZeroDivisionError):
        list(batches)
    with pytest.raises(StopIteration):
        next(batches)
    with pytest.raises(RuntimeError, match="StopIteration"):
        list(source.subset(slice(18, 30)).batch_iterator(5, prefetch=prefetch, on_error=refuse))


def test_a_callable_may_close_the_iterator(source, prefetch, threads):
    batches = source.batch_iterator(5, prefetch=prefetch, on_error=lambda error: batches.close())
    assert len(list(batches)) == 1


# ---- warnings ----------------------------------------------------------------------------------


def here():
    """The line of the caller."""
    import sys

    return sys._getframe(1).f_lineno


@pytest.mark.parametrize("on_error", ["fill", "drop"])
def test_one_warning_per_epoch_at_the_callers_line(source, prefetch, on_error):
    for _ in range(2):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            first = here() + 1
            for _ in source.batch_iterator(2, prefetch=prefetch, on_error=on_error):
                pass
        (warning,) = caught
        assert (warning.category, warning.filename, warning.lineno) == (UserWarning, __file__, first)
        text = str(warning.message)
        assert text.startswith("1 of 4 samples so far failed")
        assert "image 3: " in text and "CorruptJpegError.jpg: damaged" in text
        assert ("left out" in text) == (on_error == "drop")


def test_the_warning_comes_with_the_batch(source):
    # The batch was made long before, in another thread.
    batches = source.batch_iterator(2, prefetch=5, on_error="fill")
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        next(batches)
        with pytest.raises(UserWarning, match="image 3"):
            next(batches)


def test_the_warning_of_one_that_is_given_none(tmp_path, batch):
    # All batches after the first are left out: the loop ends, but not in silence.
    paths = [batch.paths[0], *(str(tmp_path / "missing.jpg") for _ in range(3))]
    source = ArrayDataSource([fastimg.ImageFileAccessor(paths)])
    with pytest.warns(UserWarning, match="1 of 2 samples so far"):
        assert len(list(source.batch_iterator(1, on_error="drop"))) == 1


def test_nothing_to_warn_of(batch):
    source = ArrayDataSource([fastimg.ImageFileAccessor(batch.paths)])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert len(list(source.batch_iterator(5, on_error="drop"))) == 8
