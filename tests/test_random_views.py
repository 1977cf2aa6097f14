# SPDX-License-Identifier: BSD-3-Clause
"""random_views: tuples of random crops that depend on seed, epoch, index and view alone."""

import copy
import pickle

import numpy as np
import pytest
from support import jpegs
from support.files import write_motley
from support.jpegs import assert_same

import fastimg
from fastimg.data_source import ArrayDataSource

LARGE, SMALL = {"size": (18, 15), "scale": (0.4, 1.0)}, {"size": 9, "scale": (0.05, 0.4)}
DINO = [LARGE] * 2 + [SMALL] * 3


@pytest.fixture(scope="module")
def sources(tmp_path_factory):
    """24 sources of many sizes and all orientations; half of them files, half bytes."""
    return write_motley(tmp_path_factory.mktemp("motley"), 24)


@pytest.fixture
def accessor(sources):
    return fastimg.ImageFileAccessor(sources)


@pytest.fixture
def views(accessor):
    return accessor.random_views(DINO, seed=5)


def assert_all(actual, expected):
    for one, other in zip(actual, expected, strict=True):
        assert_same(one, other)


@pytest.mark.parametrize("options", [{}, {"mode": "L"}, {"orient": False, "layout": "HWC"}], ids=str)
def test_equal_to_load(sources, options):
    accessor = fastimg.ImageFileAccessor(sources, size=99, **options)
    own = [
        {**LARGE, "ratio": (0.5, 1.5), "dtype": "float32", "mean": 0.5},
        {**SMALL, "flip": 0, "resample": "lanczos", "reducing_gap": None},
        {**LARGE, "fit": "contain", "pad_value": 9, "flip": 1.0},
    ]
    views, indices = accessor.random_views(own, flip=0.3, seed=1), np.array([5, 2, 2, 23])
    for epoch in (0, 1, 7):
        at = views.with_epoch(epoch)
        drawn = at.boxes(indices)
        expected = fastimg.load(
            [sources[i] for i in indices],
            views=[
                {
                    **{k: v for k, v in view.items() if k not in ("scale", "ratio")},
                    "crop": boxes,
                    "flip": flips,
                }
                for view, (boxes, flips) in zip(own, drawn, strict=True)
            ],
            **options,
        )
        found = at[indices]
        assert type(found) is tuple
        assert_all(found, expected)
        assert not drawn[1][1].any() and drawn[2][1].all()
        for position, index in enumerate(indices.tolist()):
            assert_all(at[index], [view[position] for view in found])


def test_boxes_depend_on_seed_epoch_index_and_view(accessor, views):
    everything = views.boxes(slice(None))
    first = accessor.random_resized_crop(LARGE["size"], LARGE["scale"], seed=5)
    for epoch in (0, 3):
        boxes, flips = views.with_epoch(epoch).boxes(slice(None))[0]
        assert np.array_equal(boxes, first.with_epoch(epoch).boxes(slice(None))[0])
        assert np.array_equal(flips, first.with_epoch(epoch).boxes(slice(None))[1])
        assert_same(views.with_epoch(epoch)[[1, 2]][0], first.with_epoch(epoch)[[1, 2]])
    for boxes, flips in everything[1:]:
        assert (boxes != everything[0][0]).any(axis=1).mean() > 0.8
        assert 0.1 < flips.mean() < 0.9
    for i in range(2, 4):
        assert not np.array_equal(everything[i][0], everything[i + 1][0])
    few = views.boxes([7, 3])
    for (boxes, flips), (some, mirrored) in zip(everything, few, strict=True):
        assert np.array_equal(boxes[[7, 3]], some) and np.array_equal(flips[[7, 3]], mirrored)
    other = accessor.random_views(DINO, seed=6).boxes(slice(None))
    assert not np.array_equal(other[1][0], everything[1][0])
    # A view's boxes do not depend on the others.
    assert np.array_equal(accessor.random_views(DINO[:4], seed=5).boxes([1])[3][0], views.boxes([1])[3][0])


def test_array_like(views, sources):
    assert (len(views), views.shape, views.dtype, views.ndim) == (24, (24,), np.dtype(object), 1)
    text = repr(views.with_epoch(2))
    assert "24 images" in text and "views 18 x 15, 18 x 15, 9 x 9" in text and "seed 5, epoch 2" in text
    everything = views[:]
    assert [view.shape for view in everything] == [(24, 3, 18, 15)] * 2 + [(24, 3, 9, 9)] * 3
    for one, image in zip(views, range(3), strict=False):
        assert_all(one, [view[image] for view in everything])
    items = views.__getitems__([4, 0])
    assert type(items) is list and len(items) == 2
    assert_all(items[0], [view[4] for view in everything])
    assert_all(items[1], [view[0] for view in everything])
    outs = [np.empty((2, *view.shape[1:]), view.dtype) for view in everything]
    assert all(one is other for one, other in zip(views.read_into([4, 0], outs), outs, strict=True))
    assert_all(outs, [view[[4, 0]] for view in everything])
    assert [view.shape[0] for view in views[[]]] == [0] * 5
    for wrong in (24, "1", 1.5, (3, 0), ([3, 4], 0)):
        with pytest.raises((IndexError, TypeError)):
            views[wrong]
    with pytest.raises(TypeError, match="views make no single array"):
        np.asarray(views)


@pytest.mark.parametrize("way", [copy.copy, copy.deepcopy, lambda each: pickle.loads(pickle.dumps(each))])
def test_copies(views, way):
    held = views.with_epoch(2)
    held.set_epoch(3)
    copied = way(held)
    assert type(copied) is fastimg.RandomViews and copied.epoch == 3
    assert_all(copied[[1, 2]], views.with_epoch(3)[[1, 2]])
    copied.set_epoch(4)
    assert (held.epoch, copied.epoch, views.epoch) == (3, 4, 0)
    assert repr(copied) == repr(views.with_epoch(4))


def test_dask_tokens(accessor, views):
    tokens = [
        repr(each.__dask_tokenize__())
        for each in (
            views,
            views.with_epoch(1),
            accessor.random_views(DINO, seed=6),
            accessor.random_views(DINO[:4], seed=5),
            accessor.random_views([*DINO[:4], {**SMALL, "resample": "box"}], seed=5),
            accessor.random_views([*DINO[:4], {**SMALL, "scale": (0.1, 0.4)}], seed=5),
        )
    ]
    assert len(set(tokens)) == len(tokens)
    assert repr(views.with_epoch(1).with_epoch(0).__dask_tokenize__()) == tokens[0]


def test_data_source(views):
    labels = np.arange(24)
    source = ArrayDataSource([views, labels])
    for epoch in (0, 1):
        count = 0
        for crops, numbers in source.batch_iterator(7, shuffle=np.random.RandomState(1), epoch=epoch):
            assert type(crops) is tuple
            assert_all(crops, views.with_epoch(epoch)[numbers])
            count += len(numbers)
        assert count == 24


def test_batches_of_tensors(sources):
    torch = pytest.importorskip("torch")
    views = fastimg.ImageFileAccessor(sources, layout="HWC").random_views(DINO)
    source = ArrayDataSource([views, np.arange(24)])
    for crops, numbers in source.batch_iterator(7, to="torch", epoch=3):
        assert type(crops) is tuple and isinstance(numbers, torch.Tensor)
        expected = views.with_epoch(3)[numbers.numpy()]
        assert_all([crop.permute(0, 2, 3, 1).numpy() for crop in crops], expected)


def test_bad_images_in_a_data_source(sources):
    broken = [*sources[:4], b"no image", *sources[4:9]]
    for on_error in ("fill", "drop"):
        views = fastimg.ImageFileAccessor(broken).random_views(DINO, seed=5)
        source = ArrayDataSource([views, np.arange(10)])
        iterator = source.batch_iterator(10, on_error=on_error, include_mask=True, epoch=0)
        with pytest.warns(UserWarning, match="1 of 10"):
            ((crops, labels, mask),) = list(iterator)
        kept = [i for i in range(10) if i != 4 or on_error == "fill"]
        assert labels.tolist() == kept and mask.tolist() == [i != 4 for i in kept]
        good = [i for i in range(10) if i != 4]
        expected = views[good]
        for view, right in zip(crops, expected, strict=True):
            assert len(view) == len(kept)
            assert_same(view[mask], right)
            assert not view[~mask].any()
    with pytest.raises(fastimg.ImageError) as caught:
        views[4]
    assert caught.value.index == 4


def test_each_file_is_read_once(tmp_path):
    class Counting:
        def __init__(self):
            self.reads = []

        def __len__(self):
            return 6

        def read(self, i):
            self.reads.append(i)
            return jpegs.jpeg(40 + i, 50, seed=i)

    reader = Counting()
    views = fastimg.ImageFileAccessor(reader).random_views(DINO)
    views[[3, 1, 5]]
    assert sorted(reader.reads) == [1, 3, 5]
    views.boxes([1, 3, 5])  # the sizes are known
    assert sorted(reader.reads) == [1, 3, 5]


def test_torch(views):
    data = pytest.importorskip("torch.utils.data")
    loader = data.DataLoader(views, batch_size=7)
    for number, crops in enumerate(loader):
        chosen = np.arange(7 * number, min(24, 7 * number + 7))
        assert [tuple(crop.shape[1:]) for crop in crops] == [(3, 18, 15)] * 2 + [(3, 9, 9)] * 3
        assert_all([crop.numpy() for crop in crops], views[chosen])
    sampler = data.BatchSampler(data.SequentialSampler(views), 7, False)
    first = next(iter(data.DataLoader(views, sampler=sampler, batch_size=None)))
    assert_all([crop.numpy() for crop in first], views[:7])


WRONG = [
    ([], ValueError, "views must hold at least one view"),
    (LARGE, TypeError, "views must be a list of dicts"),
    ([LARGE, 3], TypeError, r"views\[1\] must be a dict of options"),
    ([{"scale": (0.4, 1)}], ValueError, r"views\[0\] must have 'size', found 'scale'"),
    ([{"size": 8}], ValueError, r"views\[0\] must have 'scale', found 'size'"),
    (
        [{**LARGE, "crop": (0, 0, 1, 1)}],
        ValueError,
        r"views\[0\] has 'crop', expected some of size, fit, ",
    ),
    ([{**LARGE, "center_crop": 4}], ValueError, r"views\[0\] has 'center_crop', expected some of"),
    ([{**LARGE, "layout": "HWC"}], ValueError, r"views\[0\] has 'layout', expected some of size, fit"),
    ([{**LARGE, "mode": "L"}], ValueError, r"views\[0\] has 'mode', which is the same for all views"),
    ([{**LARGE, "scale": (0, 1)}], ValueError, r"views\[0\]: scale must be two finite numbers"),
    ([LARGE, {**LARGE, "ratio": 3}], TypeError, r"views\[1\]: ratio must be two numbers"),
    ([{**LARGE, "flip": 2}], ValueError, r"views\[0\]: flip must be a probability"),
    ([{**LARGE, "flip": True}], TypeError, r"views\[0\]: flip must be a probability"),
    ([{**LARGE, "size": 0}], ValueError, r"views\[0\]: size must be"),
]


@pytest.mark.parametrize(("views", "error", "text"), WRONG, ids=lambda value: str(value)[:40])
def test_refusals(accessor, views, error, text):
    with pytest.raises(error, match=text):
        accessor.random_views(views)


def test_refusals_of_accessors(sources, accessor, views):
    for wrong in (
        fastimg.ImageFileAccessor(sources, crop=(0, 0, 3, 3)),
        fastimg.ImageFileAccessor(sources, flip=True),
        accessor.random_resized_crop(8),
    ):
        with pytest.raises(ValueError, match="expected an accessor without boxes or mirror images"):
            wrong.random_views(DINO)
    with pytest.raises(ValueError, match="seed must be at least 0"):
        accessor.random_views(DINO, seed=-1)
    for wrong in (-1, 1.0):
        with pytest.raises((ValueError, TypeError), match="epoch must be"):
            views.with_epoch(wrong)
