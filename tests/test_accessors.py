# SPDX-License-Identifier: BSD-3-Clause
"""The accessors as array-likes: one class of tests for both."""

import concurrent.futures
import pathlib
import pickle
import subprocess
import sys

import numpy as np
import pytest
from support import jpegs
from support.jpegs import assert_all_same, assert_same

import fastimg


class Uniform:
    """All images of one size: many come as one array."""

    make = staticmethod(fastimg.ImageFileAccessor)
    fixture = "batch"

    @staticmethod
    def check(result, images):
        if images:
            assert_same(result, np.stack(images))
        else:
            assert result.dtype == np.uint8 and result.shape == (0, 3, 24, 31)


class NonUniform:
    """Images of many sizes: many come as a list."""

    make = staticmethod(fastimg.NonUniformImageFileAccessor)
    fixture = "mixed"

    @staticmethod
    def check(result, images):
        assert_all_same(result, list(images))


MANY = {
    "slice": slice(2, 7),
    "slice from the start": slice(None, 3),
    "slice of all": slice(None),
    "slice with a step": slice(1, None, 4),
    "slice backwards": slice(None, None, -1),
    "slice backwards with a step": slice(9, 2, -3),
    "slice from the end": slice(-4, None),
    "slice beyond the end": slice(15, 1000),
    "slice of nothing": slice(5, 5),
    "slice outside": slice(1000, 2000),
    "list": [5, 2, 9],
    "list with negatives": [-1, 0, -3],
    "list with repeats": [1, 1, 0, 1],
    "list of NumPy ints": [np.int64(3), np.uint8(4)],
    "list of nothing": [],
    "array": np.array([5, 2, 9]),
    "array int32": np.array([0, -1], np.int32),
    "array uint8": np.array([7, 3], np.uint8),
    "array uint64": np.array([7, 3], np.uint64),
    "array, big-endian": np.array([7, 3], ">i4"),
    "array, strided": np.arange(12)[::3],
    "array, backwards": np.arange(5)[::-1],
    "array, read-only": np.broadcast_to(np.int64(3), 4),
    "array of nothing": np.array([], np.int64),
    "array of one": np.array([4]),
    "range as array": np.arange(19),
    "range": range(3, 9, 2),
    "range of nothing": range(0),
}


@pytest.mark.parametrize("kind", [Uniform, NonUniform])
class TestBoth:
    @pytest.fixture
    def files(self, kind, request):
        return request.getfixturevalue(kind.fixture)

    @pytest.fixture
    def accessor(self, kind, files):
        return kind.make(files.paths)

    def test_len(self, kind, files, accessor):
        assert len(accessor) == len(files.paths)
        assert len(kind.make([])) == 0
        assert bool(accessor)

    @pytest.mark.parametrize("integer", [int, np.int64, np.int8, np.uint16, np.intp])
    def test_one(self, files, accessor, integer):
        for i in (0, 3, len(files.paths) - 1):
            assert_same(accessor[integer(i)], files.images[i])

    def test_one_from_the_end(self, files, accessor):
        for i in (-1, np.int64(-3), -len(files.paths)):
            assert_same(accessor[i], files.images[i])

    @pytest.mark.parametrize("index", MANY.values(), ids=MANY)
    def test_many(self, kind, files, accessor, index):
        order = np.arange(len(files.paths))[index if isinstance(index, slice) else np.asarray(index, int)]
        images = [files.images[i] for i in order]
        kind.check(accessor[index], images)
        kind.check(accessor[(index,)], images)

    def test_masks(self, kind, files, accessor):
        rng = np.random.default_rng(0)
        count = len(files.paths)
        for mask in (rng.random(count) < 0.4, np.zeros(count, bool), np.ones(count, bool)):
            images = [image for image, wanted in zip(files.images, mask, strict=True) if wanted]
            kind.check(accessor[mask], images)
            kind.check(accessor[mask.tolist()], images)
            kind.check(accessor[np.repeat(mask, 2)[::2]], images)

    def test_getitems(self, kind, files, accessor):
        # What torch's DataLoader calls.
        kind.check(accessor.__getitems__([4, 0, 4]), [files.images[i] for i in (4, 0, 4)])

    def test_iter(self, files, accessor):
        images = list(accessor)
        assert len(images) == len(files.images)
        for actual, expected in zip(images, files.images, strict=True):
            assert_same(actual, expected)

    @pytest.mark.parametrize(
        "index", [10**9, -(10**9), 2**70, np.int64(2**40), [0, 1000], np.array([0, -1000])]
    )
    def test_out_of_range(self, accessor, index):
        with pytest.raises(IndexError):
            accessor[index]

    def test_out_of_range_by_one(self, accessor):
        count = len(accessor)
        for index in (count, -count - 1, [count], np.array([-count - 1]), (count,)):
            with pytest.raises(IndexError):
                accessor[index]
        with pytest.raises(IndexError):
            accessor.__getitems__([count])
        with pytest.raises(IndexError):
            fastimg.ImageFileAccessor([])[0]

    @pytest.mark.parametrize("change", [-1, 1])
    def test_mask_of_wrong_length(self, accessor, change):
        mask = np.ones(len(accessor) + change, bool)
        for index in (mask, mask.tolist()):
            with pytest.raises(IndexError):
                accessor[index]

    @pytest.mark.parametrize(
        "index",
        [np.array(3), np.array([[1, 2]]), np.zeros((2, 0), int), np.ones((19, 3), bool), np.array(True)],
        ids=lambda index: f"{index.dtype}{index.shape}",
    )
    def test_not_one_dimensional(self, accessor, index):
        with pytest.raises(ValueError):
            accessor[index]

    @pytest.mark.parametrize(
        "index",
        [..., None, 1.0, "1", b"1", object(), {1}, np.float64(1)],
        ids=lambda index: type(index).__name__,
    )
    def test_not_an_index(self, accessor, index):
        with pytest.raises(TypeError, match=type(index).__name__):
            accessor[index]
        with pytest.raises(TypeError):
            accessor[(index,)]

    @pytest.mark.parametrize(
        "index",
        [np.array([1.0]), np.array(["1"]), np.array([1], object), [1.0], ["1"], [None], [1, "2"]],
        ids=repr,
    )
    def test_not_integers(self, accessor, index):
        with pytest.raises(TypeError):
            accessor[index]

    def test_nested_list(self, accessor):
        with pytest.raises((TypeError, ValueError)):
            accessor[[[0, 1], [2, 3]]]

    def test_tuple_of_an_int_and_more(self, files, accessor):
        image = files.images[3]
        for rest in (
            (0,),
            (slice(None), slice(1, 4)),
            (..., 2),
            (slice(None), slice(None), slice(0, 0)),
            (2, 3, 4),
        ):
            assert_same(accessor[(3, *rest)], image[rest])

    def test_results_are_fresh(self, files, accessor):
        for index in (3, slice(0, 3), [3, 3]):
            first, second = accessor[index], accessor[index]
            arrays = [*first, *second] if isinstance(first, list) else [first, second]
            for i, array in enumerate(arrays):
                assert array.flags.writeable and array.flags.c_contiguous
                assert not any(np.shares_memory(array, other) for other in arrays[:i])
                array[...] = 0
            assert_same(accessor[3], files.images[3])

    def test_pickling(self, kind, files, accessor):
        for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
            copied = pickle.loads(pickle.dumps(accessor, protocol))
            assert type(copied) is type(accessor)
            kind.check(copied[[2, 0]], [files.images[2], files.images[0]])

    def test_pickling_keeps_the_options(self, kind, files):
        options = {"mode": "L", "layout": "HWC", "crop": (1, 2, 5, 6), "flip": True, "dtype": "float32",
                   "mean": 0.5, "std": 0.25, "orient": False, "strict": False, "max_pixels": 10**6}  # fmt: skip
        accessor = kind.make(files.paths, **options, num_threads=2, on_error="fill")
        options = {name: value for name, value in options.items() if name not in ("strict", "max_pixels")}
        copied = pickle.loads(pickle.dumps(accessor))
        assert repr(copied) == repr(accessor)
        for images in (accessor, copied):
            assert_same(images[4], jpegs.reference(files.data[4], **options))

    def test_size_of_a_pickle(self, kind):
        paths = [f"/data/imagenet/train/n{i // 100:08d}/n{i // 100:08d}_{i}.JPEG" for i in range(35_000)]
        pickled = pickle.dumps(kind.make(paths))
        assert sum(map(len, paths)) < len(pickled) < 2_000_000
        # One blob and one array, not as many objects as there are paths.
        copied = pickle.loads(pickled)
        assert len(copied) == 35_000
        with pytest.raises(FileNotFoundError) as caught:
            copied[34_999]
        assert (caught.value.source, caught.value.index) == (paths[-1], 34_999)

    def test_nothing_is_read_before_it_is_asked_for(self, kind):
        accessor = kind.make(["missing.jpg"] * 3)
        assert len(accessor) == 3 and accessor.dtype == (np.uint8 if kind is Uniform else object)
        assert accessor.ndim == (4 if kind is Uniform else 1)
        assert len(repr(accessor)) > 0
        with pytest.raises(FileNotFoundError):
            accessor[0]

    def test_kinds_of_source(self, kind, files, tmp_path):
        blob = tmp_path / "blob"
        blob.write_bytes(b"??" + files.data[3])
        sources = [files.paths[0], pathlib.Path(files.paths[1]), files.data[2],
                   fastimg.FileRange(str(blob), 2, len(files.data[3]))]  # fmt: skip
        for accessor in (
            kind.make(sources),
            kind.make(iter(sources)),
            pickle.loads(pickle.dumps(kind.make(sources))),
        ):
            kind.check(accessor[:], files.images[:4])

    def test_the_list_given_is_copied(self, kind, files):
        paths = list(files.paths)
        accessor = kind.make(paths)
        paths[0] = "missing.jpg"
        paths.clear()
        assert len(accessor) == len(files.paths)
        assert_same(accessor[0], files.images[0])

    def test_not_a_source(self, kind):
        for bad in (5, None, ["a.jpg"]):
            with pytest.raises(TypeError, match=type(bad).__name__):
                kind.make(["a.jpg", bad])[1]

    @pytest.mark.parametrize("num_threads", [1, 2, None])
    def test_many_threads_at_once(self, kind, files, num_threads):
        accessor = kind.make(files.paths, num_threads=num_threads)

        def work(seed):
            rng = np.random.default_rng(seed)
            for _ in range(30):
                order = rng.integers(0, len(files.paths), 7)
                kind.check(accessor[order], [files.images[i] for i in order])
                assert_same(accessor[int(order[0])], files.images[order[0]])

        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            for future in [pool.submit(work, seed) for seed in range(8)]:
                future.result(timeout=200)

    def test_repr(self, kind, files):
        text = repr(kind.make(files.paths, mode="BGR"))
        assert kind.make.__name__ in text and str(len(files.paths)) in text
        assert len(repr(kind.make(["missing.jpg"] * 35_000))) < 1000

    def test_on_error_callable(self, kind, files, bad_files):
        failures = []
        paths = [*files.paths[:3], bad_files["CorruptJpegError"], *files.paths[3:]]
        accessor = kind.make(paths, on_error=failures.append)
        result = accessor[[4, 3, 0]]
        assert [(error.index, error.source) for error in failures] == [(3, paths[3])]
        assert isinstance(failures[0], fastimg.CorruptJpegError)
        assert_same(result[0], files.images[3])
        assert not result[1].any()
        assert_same(result[2], files.images[0])

    def test_on_error_fill(self, kind, files, bad_files):
        accessor = kind.make([files.paths[0], bad_files["CorruptJpegError"]], on_error="fill")
        with pytest.warns(UserWarning):
            result = accessor[:]
        assert_same(result[0], files.images[0])
        assert not result[1].any()

    def test_tokens(self, kind, files):
        accessor = kind.make(files.paths)
        token = accessor.__dask_tokenize__()
        assert token == kind.make(list(files.paths)).__dask_tokenize__()
        assert token == pickle.loads(pickle.dumps(accessor)).__dask_tokenize__()
        others = [kind.make(files.paths[:-1]), kind.make(files.paths[::-1])]
        for options in ({"mode": "BGR"}, {"layout": "HWC"}, {"flip": True}, {"orient": False}, {"crop": (0, 0, 1, 1)},
                        {"dtype": "float32"}, {"dtype": "float32", "mean": 0.5}, {"dtype": "float32", "std": 0.5},
                        {"strict": False}):  # fmt: skip
            others.append(kind.make(files.paths, **options))
        tokens = [repr(other.__dask_tokenize__()) for other in others]
        assert len({repr(token), *tokens}) == 1 + len(others)

    def test_tokens_do_not_depend_on_the_process(self, kind, child_env):
        pytest.importorskip("dask")
        code = (
            "import fastimg; from dask.base import tokenize;"
            f"print(tokenize(fastimg.{kind.make.__name__}(['a.jpg', 'b.jpg'], mode='L')))"
        )
        tokens = set()
        for seed in ("1", "2"):
            done = subprocess.run(
                [sys.executable, "-c", code],
                env={**child_env, "PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True, timeout=100,
            )  # fmt: skip
            tokens.add(done.stdout)
        assert len(tokens) == 1 and tokens != {""}


@pytest.mark.parametrize("index", [2**63, 2**64 - 1])
def test_indices_too_large_for_int64_do_not_wrap(index):
    accessor = fastimg.ImageFileAccessor([jpegs.jpeg(seed=seed) for seed in range(3)])
    for indices in (np.array([0, index], np.uint64), [index]):
        with pytest.raises(IndexError, match="out of range"):
            accessor[indices]
    assert_same(accessor[np.array([2, 0], np.uint64)], accessor[[2, 0]])
