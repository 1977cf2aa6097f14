# SPDX-License-Identifier: BSD-3-Clause
"""random_resized_crop: an array-like that depends on seed, epoch and index alone."""

import concurrent.futures
import hashlib
import pickle
import subprocess
import sys

import numpy as np
import pytest
from support import jpegs
from support.files import write_motley
from support.jpegs import assert_same

import fastimg

NOWHERE = [0, 0, 65536, 65536]


@pytest.fixture(scope="module")
def motley(tmp_path_factory):
    """40 sources of many sizes and all orientations; half of them files, half bytes."""
    return write_motley(tmp_path_factory.mktemp("motley"), 40)


@pytest.fixture
def view(motley):
    return fastimg.ImageFileAccessor(motley).random_resized_crop((18, 15), seed=5)


def digest(view):
    return hashlib.sha256(view[:].tobytes()).hexdigest()


# ---- what it is --------------------------------------------------------------------------------


OPTIONS = [
    {},
    {"mode": "BGR", "layout": "HWC", "resample": "lanczos", "reducing_gap": None},
    {"dtype": "float32", "mean": (0.4, 0.5, 0.6), "std": 0.2, "fit": "contain", "pad_value": (1, 2, 3)},
    {"mode": "L", "dtype": "float16", "fit": "cover"},
    {"orient": False},
    {"orient": False, "layout": "HWC", "max_pixels": 10**6},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
def test_equal_to_load(motley, options):
    accessor = fastimg.ImageFileAccessor(motley, size=99, **options)
    view = accessor.random_resized_crop((21, 34), (0.2, 0.9), (0.5, 1.5), 0.3, seed=1)
    for epoch in (0, 1, 7):
        crops, flips = view.with_epoch(epoch).boxes(slice(None))
        assert crops.shape == (40, 4) and crops.dtype == np.int64
        assert flips.shape == (40,) and flips.dtype == np.bool_ and 0 < flips.sum() < 40
        expected = fastimg.load(motley, crop=crops, flip=flips, size=(21, 34), **options)
        assert_same(view.with_epoch(epoch)[:], expected)
    # The accessor is what it was.
    assert_same(accessor[3], fastimg.decode(motley[3], size=99, **options))


def test_shape_and_dtype(batch):
    accessor = fastimg.ImageFileAccessor(batch.paths, layout="HWC", dtype="float32")
    assert accessor.shape == (37, 24, 31, 3)
    view = accessor.random_resized_crop(np.int64(16))
    assert isinstance(view, fastimg.RandomResizedCrop)
    assert view.shape == (37, 16, 16, 3) and view.ndim == 4 and len(view) == 37
    assert view.dtype == np.float32 and isinstance(view.dtype, np.dtype)
    assert view[2:4].shape == (2, 16, 16, 3) and view[0].dtype == np.float32
    assert accessor.random_resized_crop((5, 6)).shape == (37, 5, 6, 3)
    assert accessor.shape == (37, 24, 31, 3)


def test_empty():
    view = fastimg.ImageFileAccessor([]).random_resized_crop(8)
    assert_same(view[:], np.empty((0, 3, 8, 8), np.uint8))
    crops, flips = view.boxes([])
    assert crops.shape == (0, 4) and flips.shape == (0,)


def test_nothing_is_read_before_it_is_asked_for():
    view = fastimg.ImageFileAccessor(["missing.jpg"] * 3).random_resized_crop(8)
    assert view.shape == (3, 3, 8, 8) and view.with_epoch(2).epoch == 2
    assert len(view[[]]) == 0
    with pytest.raises(FileNotFoundError):
        view[0]


def test_repr(view):
    assert repr(view.with_epoch(3)) == (
        "<fastimg.RandomResizedCrop: 40 images, RGB, CHW, uint8, height 18, width 15, seed 5, epoch 3>"
    )


def test_not_for_many_sizes(mixed):
    assert not hasattr(fastimg.NonUniformImageFileAccessor(mixed.paths), "random_resized_crop")


# ---- determinism -------------------------------------------------------------------------------


def test_frozen():
    # A seed means the same boxes in every version and on every machine.
    sources = [jpegs.jpeg(60, 80), jpegs.jpeg(80, 60), jpegs.jpeg(20, 90)]
    view = fastimg.ImageFileAccessor(sources * 2).random_resized_crop(8, seed=2024).with_epoch(3)
    crops, flips = view.boxes(slice(None))
    assert crops.tolist() == [
        [0, 25, 51, 47], [16, 8, 47, 44], [2, 30, 17, 14],
        [14, 19, 45, 40], [4, 0, 47, 55], [1, 41, 17, 19],
    ]  # fmt: skip
    assert flips.tolist() == [True, True, True, True, True, True]


@pytest.mark.parametrize("num_threads", [1, 2, 8])
def test_any_access(motley, view, num_threads):
    expected = view[:]
    other = fastimg.ImageFileAccessor(motley, num_threads=num_threads).random_resized_crop((18, 15), seed=5)
    for i in np.random.default_rng(0).permutation(40)[:20]:
        assert_same(other[int(i)], expected[i])
        assert_same(other[i - 40], expected[i])
    for index in (
        slice(3, 30, 4), slice(None, None, -1), [5, 2, 9], [-1, 0, 0, -1], np.array([7, 3], np.uint8),
        np.arange(40) % 3 == 0, (np.arange(40) % 7 == 0).tolist(), np.array([], int),
        np.random.default_rng(1).permutation(40),
    ):  # fmt: skip
        assert_same(other[index], expected[index])
        assert_same(other[(index, slice(None), slice(2, 9), 3)], expected[index][:, :, 2:9, 3])
    assert_same(other[6, 1], expected[6, 1])
    assert_same(other[-3, ..., 2], expected[-3, ..., 2])
    assert_same(other.__getitems__([4, 0, 4]), expected[[4, 0, 4]])
    assert_same(np.stack(list(other)), expected)
    assert_same(np.asarray(other), expected)
    assert_same(np.asarray(other, np.float64), expected.astype(np.float64))
    with pytest.raises(ValueError):
        other.__array__(copy=False)
    for wrong in (40, -41, [0, 40], np.ones(39, bool)):
        with pytest.raises(IndexError):
            other[wrong]


@pytest.mark.parametrize("num_threads", [1, 2])
def test_read_into(motley, num_threads):
    accessor = fastimg.ImageFileAccessor(motley, num_threads=num_threads)
    view = accessor.random_resized_crop((18, 15), seed=5).with_epoch(2)
    expected = view[:]
    out = np.empty((6, 3, 18, 15), np.uint8)
    for index in ([5, 2, 9, 2, -1, 0], np.arange(6), slice(6, 30, 4), np.arange(40) % 7 == 1):
        assert view.read_into(index, out) is out
        assert_same(out, expected[index])
    with pytest.raises(TypeError):
        view.read_into(3, out)
    with pytest.raises(ValueError):
        view.read_into([1, 2], out)


def test_boxes_do_not_depend_on_the_batch():
    # Many, and most of them flat: some are found at each attempt, some at none.
    small = [jpegs.jpeg(16 + i, 190 - i, seed=i) for i in range(4)]
    view = fastimg.ImageFileAccessor(small * 5000).random_resized_crop(8, (0.2, 1.0)).with_epoch(9)
    crops, flips = view.boxes(slice(None))
    order = np.random.default_rng(2).permutation(20_000)
    parts = [view.boxes(part) for part in np.split(order, [1, 2, 5, 70, 71, 3000, 3008, 15_001])]
    assert (np.concatenate([part[0] for part in parts]) == crops[order]).all()
    assert (np.concatenate([part[1] for part in parts]) == flips[order]).all()
    for i in range(100):
        one_crop, one_flip = view.boxes([i])
        assert one_crop.tolist() == [crops[i].tolist()] and one_flip.tolist() == [flips[i]]


def test_indices_of_boxes(view):
    crops, flips = view.boxes(slice(None))
    for index in ([3, -1, 3], np.array([8, 1], np.uint16), slice(30, 2, -3), np.arange(40) % 2 == 1):
        some_crops, some_flips = view.boxes(index)
        assert (some_crops == crops[index]).all() and (some_flips == flips[index]).all()
    # What is given belongs to the caller.
    crops[:] = 0
    assert (view.boxes(slice(None))[0] != 0).any()
    for wrong, error in (
        (3, TypeError),
        ([40], IndexError),
        ("a", TypeError),
        (np.zeros((1, 1), int), ValueError),
    ):
        with pytest.raises(error):
            view.boxes(wrong)


def test_pickling(view):
    later = view.with_epoch(4)
    expected = later[:]
    for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1):
        for warm in (False, True):
            copied = pickle.loads(pickle.dumps(later, protocol))
            assert type(copied) is fastimg.RandomResizedCrop and copied.epoch == 4
            assert repr(copied) == repr(later)
            if warm:
                copied = pickle.loads(pickle.dumps(copied.with_epoch(4)))
            assert_same(copied[[2, 0, 39]], expected[[2, 0, 39]])
            assert_same(copied.with_epoch(0)[5], view[5])


def test_size_of_a_pickle(motley):
    paths = [f"/data/imagenet/train/n{i // 100:08d}/n{i // 100:08d}_{i}.JPEG" for i in range(35_000)]
    view = fastimg.ImageFileAccessor(paths).random_resized_crop(224)
    assert len(pickle.dumps(view)) < sum(map(len, paths)) + 35_000 + 2000
    # Sizes that are known are carried along, 8 bytes each.
    accessor = fastimg.ImageFileAccessor(motley)
    view = accessor.random_resized_crop(8)
    small = len(pickle.dumps(view))
    view.boxes(slice(0, 1))
    assert small < len(pickle.dumps(view)) < small + 8 * len(motley) + 200


def test_other_processes(view, tmp_path, child_env):
    later = view.with_epoch(6)
    (tmp_path / "view").write_bytes(pickle.dumps(later))
    code = (
        "import hashlib, pathlib, pickle, sys;"
        "view = pickle.loads(pathlib.Path(sys.argv[1]).read_bytes());"
        "print(hashlib.sha256(view[:].tobytes()).hexdigest())"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path / "view")],
        env={**child_env, "PYTHONHASHSEED": "3"}, capture_output=True, text=True, check=True, timeout=100,
    )  # fmt: skip
    assert done.stdout.strip() == digest(later) != digest(view)


def test_many_threads_at_once(motley):
    expected = fastimg.ImageFileAccessor(motley).random_resized_crop(9, seed=3).with_epoch(1)[:]
    for _ in range(10):
        accessor = fastimg.ImageFileAccessor(motley, num_threads=1)

        def work(seed, accessor=accessor):
            view = accessor.random_resized_crop(9, seed=3).with_epoch(1)
            order = np.random.default_rng(seed).permutation(40)[:25]
            assert_same(view[order], expected[order])

        with concurrent.futures.ThreadPoolExecutor(8) as pool:
            for future in [pool.submit(work, seed) for seed in range(8)]:
                future.result(timeout=200)


# ---- epochs and seeds --------------------------------------------------------------------------


def test_epochs(view):
    assert view.epoch == 0
    views = [view.with_epoch(epoch) for epoch in (0, 1, np.int64(2), 2**40, 10**1000)]
    assert [other.epoch for other in views] == [0, 1, 2, 2**40, 10**1000]
    assert all(type(other.epoch) is int for other in views)
    assert len({other.boxes(slice(None))[0].tobytes() for other in views}) == 5
    assert len({other.boxes(slice(None))[1].tobytes() for other in views}) == 5
    assert_same(views[0][:], view[:])
    # Whatever epoch a view is made from; and that one stays as it is.
    assert_same(views[3].with_epoch(1)[:], views[1][:])
    assert views[3].epoch == 2**40
    with pytest.raises(AttributeError):
        view.epoch = 3


def test_seeds(motley):
    accessor = fastimg.ImageFileAccessor(motley)
    seeds = (0, 1, np.uint8(2), 2**40, 10**1000)
    boxes = [accessor.random_resized_crop(8, seed=seed).boxes(slice(None)) for seed in seeds]
    assert len({crops.tobytes() for crops, _ in boxes}) == len({flips.tobytes() for _, flips in boxes}) == 5
    assert (accessor.random_resized_crop(8).boxes(slice(None))[0] == boxes[0][0]).all()
    assert (accessor.random_resized_crop(8, seed=2).boxes(slice(None))[0] == boxes[2][0]).all()
    # A seed is no epoch.
    other = accessor.random_resized_crop(8, seed=0).with_epoch(1)
    assert (other.boxes(slice(None))[0] != boxes[1][0]).any()


def test_the_global_state_is_left_alone(view):
    np.random.seed(1)
    before = np.random.get_state()[1].copy()
    view.with_epoch(2).boxes(slice(None))
    assert (np.random.get_state()[1] == before).all()


def test_headers_are_read_once_and_when_asked_for(tmp_path):
    files = [jpegs.jpeg(20 + 3 * i, 90 - 7 * i) for i in range(6)]
    paths = [tmp_path / f"{i}.jpg" for i in range(6)]
    for path, data in zip(paths, files, strict=True):
        path.write_bytes(data)
    accessor = fastimg.ImageFileAccessor(paths)
    view = accessor.random_resized_crop(8)
    view.boxes([1, 1, 4])
    for path in paths:
        path.unlink()
    # Other epochs and other views of this accessor know these sizes, and no others.
    memory = fastimg.ImageFileAccessor(files)
    same = memory.random_resized_crop(8)
    for known, expected in (
        (view, same),
        (view.with_epoch(3), same.with_epoch(3)),
        (view.with_epoch(3).with_epoch(4), same.with_epoch(4)),
        (accessor.random_resized_crop(9, seed=1), memory.random_resized_crop(9, seed=1)),
    ):
        crops, flips = expected.boxes(slice(None))
        crops[[0, 2, 3, 5]] = NOWHERE
        assert (known.boxes(slice(None))[0] == crops).all()
        assert (known.boxes(slice(None))[1] == flips).all()


def test_a_size_that_is_half_written(motley):
    # What a thread can see of another one that is about to write a row.
    view = fastimg.ImageFileAccessor(motley).random_resized_crop(8)
    crops, _ = view.boxes(slice(None))
    view._known_sizes.table[7, 1] = view._known_sizes.table[9, 0] = 0
    assert (view.boxes(slice(None))[0] == crops).all()
    assert (view._known_sizes.table > 0).all()


# ---- dask --------------------------------------------------------------------------------------


def test_tokens(motley):
    accessor = fastimg.ImageFileAccessor(motley)
    view = accessor.random_resized_crop(8)
    token = repr(view.__dask_tokenize__())
    same = fastimg.ImageFileAccessor(list(motley), size=5).random_resized_crop(
        (8, 8), [0.08, 1], np.array([3 / 4, 4 / 3])
    )
    view.boxes(slice(None))
    for other in (same, view, view.with_epoch(3).with_epoch(0), pickle.loads(pickle.dumps(view))):
        assert repr(other.__dask_tokenize__()) == token
    others = [fastimg.ImageFileAccessor(motley, size=8), view.with_epoch(1), view.with_epoch(2)]
    others += [
        accessor.random_resized_crop(**{"size": 8, **options})
        for options in (
            {"size": 9}, {"scale": (0.1, 1)}, {"ratio": (1, 1)}, {"flip": 0.4}, {"seed": 1}, {"seed": 2},
        )
    ]  # fmt: skip
    others.append(fastimg.ImageFileAccessor(motley, orient=False).random_resized_crop(8))
    assert len({token, *(repr(other.__dask_tokenize__()) for other in others)}) == 1 + len(others)


def test_dask(motley):
    dask_array = pytest.importorskip("dask.array")
    view = fastimg.ImageFileAccessor(motley).random_resized_crop(8).with_epoch(2)
    lazy = dask_array.from_array(view, chunks=(7, 3, 8, 8))
    assert lazy.shape == (40, 3, 8, 8) and lazy.dtype == np.uint8
    for scheduler in ("synchronous", "threads"):
        assert_same(lazy.compute(scheduler=scheduler), view[:])
        assert_same(lazy[3:20:2, :, 4:9].compute(scheduler=scheduler), view[3:20:2, :, 4:9])
    assert lazy.name == dask_array.from_array(view.with_epoch(2), chunks=(7, 3, 8, 8)).name
    assert lazy.name != dask_array.from_array(view.with_epoch(3), chunks=(7, 3, 8, 8)).name


def test_tokens_do_not_depend_on_the_process(child_env):
    pytest.importorskip("dask")
    code = (
        "import fastimg; from dask.base import tokenize;"
        "print(tokenize(fastimg.ImageFileAccessor(['a.jpg', 'b.jpg']).random_resized_crop(8, seed=3).with_epoch(4)))"
    )
    tokens = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={**child_env, "PYTHONHASHSEED": seed}, capture_output=True, text=True, check=True, timeout=100,
        ).stdout
        for seed in ("1", "2")
    }  # fmt: skip
    assert len(tokens) == 1 and tokens != {""}
