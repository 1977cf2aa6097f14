# SPDX-License-Identifier: BSD-3-Clause
"""on_error of `load` and accessors: the mask, the line of the warning, and "drop", which they refuse."""

import linecache
import multiprocessing
import pickle
import warnings

import numpy as np
import pytest
from support.jpegs import assert_same

import fastimg

KINDS = [fastimg.ImageFileAccessor, fastimg.NonUniformImageFileAccessor]


@pytest.fixture
def paths(batch, bad_files):
    return [batch.paths[0], bad_files["CorruptJpegError"], batch.paths[2], bad_files["FileNotFoundError"]]


# ---- the mask ----------------------------------------------------------------------------------


@pytest.mark.parametrize("num_threads", [1, 4])
@pytest.mark.parametrize("size", [None, 9])
def test_mask(paths, num_threads, size):
    calls = []
    for on_error in ("fill", calls.append):
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            options = {"size": size, "num_threads": num_threads, "on_error": on_error}
            images, mask = fastimg.load(paths, return_mask=True, **options)
            assert_same(images, fastimg.load(paths, **options))
        assert_same(mask, np.array([True, False, True, False]))
        assert images[mask].any(axis=(1, 2, 3)).all() and not images[~mask].any()
    assert len(calls) == 4


def test_mask_of_good_images(batch):
    for count in (0, 1, 5):
        for on_error in ("raise", "fill"):
            out = np.empty((count, 3, 24, 31), np.uint8)
            images, mask = fastimg.load(batch.paths[:count], out, on_error=on_error, return_mask=True)
            assert images is out
            assert_same(mask, np.ones(count, bool))


def test_mask_with_a_box_per_image(batch):
    crops = np.array([(0, 0, 5, 5), (0, 0, 500, 500), (1, 1, 9, 9)])
    with pytest.warns(UserWarning):
        _, mask = fastimg.load(batch.paths[:3], crop=crops, size=8, on_error="fill", return_mask=True)
    assert mask.tolist() == [True, False, True]


# ---- drop --------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [fastimg.load, *KINDS])
def test_drop_is_refused_where_there_are_always_n_images(paths, make):
    with pytest.raises(ValueError, match=r"always give one image per source.*batch_iterator"):
        make(paths, on_error="drop")


# ---- the line of the warning -------------------------------------------------------------------


class Mine(fastimg.ImageFileAccessor):
    def __getitem__(self, index):
        return super().__getitem__(index)  # the line of Mine


def accessor(paths):
    return fastimg.ImageFileAccessor(paths, on_error="fill")


def mixed(paths):
    return fastimg.NonUniformImageFileAccessor(paths, size=8, on_error="fill")


def zeros():
    return np.empty((4, 3, 24, 31), np.uint8)


CALLS = {
    "load": lambda paths: fastimg.load(paths, on_error="fill"),
    "load, mask": lambda paths: fastimg.load(paths, size=9, on_error="fill", return_mask=True),
    "slice": lambda paths: accessor(paths)[:],
    "int": lambda paths: accessor(paths)[1],
    "tuple": lambda paths: accessor(paths)[[1], 0],
    "getitems": lambda paths: accessor(paths).__getitems__([0, 1]),
    "asarray": lambda paths: np.asarray(accessor(paths)),
    "read_into": lambda paths: accessor(paths).read_into([0, 1, 2, 3], zeros()),
    "list": lambda paths: list(accessor(paths)),
    "mixed": lambda paths: mixed(paths)[:],
    "mixed, int": lambda paths: mixed(paths)[1],
    "mixed, asarray": lambda paths: np.asarray(mixed(paths)),
    "crop": lambda paths: accessor(paths).random_resized_crop(8)[:],
    "subclass": lambda paths: Mine(paths, on_error="fill")[:],
}


@pytest.mark.parametrize("name", CALLS)
def test_a_warning_names_the_callers_line(paths, name):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        CALLS[name](paths)
    assert caught
    for warning in caught:
        assert (warning.filename, warning.category) == (__file__, UserWarning)
        assert "image" in str(warning.message)
        line = linecache.getline(__file__, warning.lineno)
        assert ("the line of Mine" if name == "subclass" else f'"{name}": lambda') in line


# ---- callables and processes -------------------------------------------------------------------

CALLED = []


def refused(load):
    """What a call says in this process."""
    try:
        load()
    except RuntimeError as error:
        return str(error), error.__cause__.index
    return "not refused", len(CALLED)


class Item:
    def __init__(self, images):
        self.images = images

    def __call__(self):
        return self.images[:]


@pytest.mark.parametrize("start", ["fork", "spawn"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_callable_works_in_its_own_process_only(paths, kind, start):
    images = kind(paths, size=8, on_error=CALLED.append)
    images = pickle.loads(pickle.dumps(images)) if start == "fork" else images
    with multiprocessing.get_context(start).Pool(1) as pool:
        text, index = pool.apply(refused, (Item(images),))
    assert "'fill'" in text and "'drop'" in text and paths[1] in text and index == 1


def test_a_pickled_callable_works_in_its_own_process(paths):
    calls = []
    fastimg.ImageFileAccessor(paths, on_error=calls.append)[:]
    copied = pickle.loads(pickle.dumps(fastimg.ImageFileAccessor(paths, on_error=CALLED.append)))
    copied[:]
    assert [error.index for error in calls] == [1, 3]


@pytest.mark.skipif("fork" not in multiprocessing.get_all_start_methods(), reason="no fork")
def test_load_in_a_child_has_the_childs_callable(paths):
    with multiprocessing.get_context("fork").Pool(1) as pool:
        assert pool.apply(_load_here, (paths,)) == [1, 3]


def _load_here(paths):
    calls = []
    fastimg.load(paths, on_error=calls.append)
    return [error.index for error in calls]
