# SPDX-License-Identifier: BSD-3-Clause
"""Our accessors in the place of the two that BatchUp's documentation describes.

Its documentation asks of an array-like for `__len__`, and for `__getitem__` with an int or a 1-D array
of indices; it gives one example that stacks images of one size and one that returns a list of PIL
images. Both are written anew here, with Pillow, and run beside ours.
"""

import numpy as np
import pytest
from PIL import Image
from support.batchup_pools import opened
from support.data_sources import SEED
from support.jpegs import assert_all_same, assert_same

import fastimg

data_source = pytest.importorskip("batchup.data_source")
work_pool = pytest.importorskip("batchup.work_pool")

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


class PillowImages:
    """An accessor as the documentation describes them; `combine` makes many images into a batch."""

    def __init__(self, paths, read, combine):
        self.paths, self.read, self.combine = paths, read, combine

    def __len__(self):
        return len(self.paths)

    def __getitem__(self, index):
        if isinstance(index, (int, np.integer)):
            return self.read(self.paths[index])
        if not isinstance(index, np.ndarray):
            raise TypeError(f"an int or an array, not {type(index)}")
        if index.ndim != 1:
            raise ValueError(f"an array of one dimension, not of {index.ndim}")
        return self.combine([self.read(self.paths[i]) for i in index])


def read_array(path):
    with Image.open(path) as image:
        return np.array(image.convert("RGB"))


def read_picture(path):
    with Image.open(path) as image:
        return image.convert("RGB")


def resized(pictures):
    """What the documentation's augmentation does: each image to 16 x 16, then one array."""
    return np.stack([np.array(picture.resize((16, 16))) for picture in pictures])


def labels(paths):
    return np.arange(len(paths), dtype=np.int32) * 7


def batches(images, count, shuffle, function=None, pool=None):
    """Every batch of an epoch and a half, of 8: the last of an epoch is short."""
    source = data_source.ArrayDataSource([images, np.arange(count, dtype=np.int32) * 7])
    if function is not None:
        source = source.map(function)
    if pool is not None:
        source = pool.parallel_data_source(source)
    rng = np.random.RandomState(SEED) if shuffle else None
    result = list(source.batch_iterator(batch_size=8, shuffle=rng))
    result += list(source.batch_iterator(batch_size=5, shuffle=rng))
    return result


@pytest.fixture(params=["none", "1 thread", "3 threads", "1 process", "2 processes"])
def pool(request):
    if request.param == "none":
        yield None
    else:
        count, name = request.param.split()
        kind = work_pool.WorkerThreadPool if name.startswith("thread") else work_pool.WorkerProcessPool
        with opened(kind, int(count)) as made:
            yield made


@pytest.fixture(params=[False, True], ids=["in order", "shuffled"])
def shuffle(request):
    return request.param


def planes(x, y):
    """Their batch in our default layout."""
    return np.ascontiguousarray(x.transpose(0, 3, 1, 2)), y


def darker(x, y):
    return x // 2, y + 1


def assert_equal_batches(actual, expected):
    assert len(actual) == len(expected) > 0
    for (x, y), (wanted_x, wanted_y) in zip(actual, expected, strict=True):
        pictures = isinstance(wanted_x, list)
        assert_all_same(x, [np.asarray(picture) for picture in wanted_x] if pictures else wanted_x)
        assert_same(y, wanted_y)


def test_uniform(batch, pool, shuffle):
    theirs = PillowImages(batch.paths, read_array, np.stack)
    expected = batches(theirs, len(batch.paths), shuffle)
    ours = fastimg.ImageFileAccessor(batch.paths, layout="HWC")
    assert_equal_batches(batches(ours, len(batch.paths), shuffle, pool=pool), expected)


def test_uniform_channel_first(batch, pool, shuffle):
    theirs = PillowImages(batch.paths, read_array, np.stack)
    expected = batches(theirs, len(batch.paths), shuffle, planes)
    ours = fastimg.ImageFileAccessor(batch.paths)
    assert_equal_batches(batches(ours, len(batch.paths), shuffle, pool=pool), expected)


def test_uniform_mapped(batch, pool, shuffle):
    theirs = PillowImages(batch.paths, read_array, np.stack)
    expected = batches(theirs, len(batch.paths), shuffle, darker)
    ours = fastimg.ImageFileAccessor(batch.paths, layout="HWC")
    assert_equal_batches(batches(ours, len(batch.paths), shuffle, darker, pool), expected)


def test_non_uniform(mixed, pool, shuffle):
    theirs = PillowImages(mixed.paths, read_picture, list)
    expected = batches(theirs, len(mixed.paths), shuffle)
    ours = fastimg.NonUniformImageFileAccessor(mixed.paths, layout="HWC")
    assert_equal_batches(batches(ours, len(mixed.paths), shuffle, pool=pool), expected)


def resize_pictures(x, y):
    return resized(x), y


def resize_arrays(x, y):
    return resized([Image.fromarray(image) for image in x]), y


def test_non_uniform_mapped(mixed, pool, shuffle):
    theirs = PillowImages(mixed.paths, read_picture, list)
    expected = batches(theirs, len(mixed.paths), shuffle, resize_pictures)
    ours = fastimg.NonUniformImageFileAccessor(mixed.paths, layout="HWC")
    assert_equal_batches(batches(ours, len(mixed.paths), shuffle, resize_arrays, pool), expected)


def test_shuffling_is_theirs(batch):
    # The seed decides, and the order is a permutation.
    ours = fastimg.ImageFileAccessor(batch.paths)
    order = [y for _, part in batches(ours, 37, True)[:5] for y in part // 7]
    assert order == np.random.RandomState(SEED).permutation(37).tolist()


def test_batches_in_flight_keep_their_pixels(batch):
    # Up to 20 batches wait in a pool: an accessor that used its array again would spoil them.
    ours = fastimg.ImageFileAccessor(batch.paths, layout="HWC")
    with opened(work_pool.WorkerThreadPool, 1) as pool:
        source = pool.parallel_data_source(data_source.ArrayDataSource([ours, labels(batch.paths)]))
        kept = list(source.batch_iterator(batch_size=2))
    for i, (x, _) in enumerate(kept):
        expected = [image.transpose(1, 2, 0) for image in batch.images[2 * i : 2 * i + 2]]
        assert_same(x, np.stack(expected))


def test_both_accessors_side_by_side(batch):
    ours = [
        fastimg.ImageFileAccessor(batch.paths, dtype="float32", mean=0.5, std=0.5),
        fastimg.NonUniformImageFileAccessor(batch.paths),
        labels(batch.paths),
    ]
    source = data_source.ArrayDataSource(ours, include_indices=True)
    for indices, x, images, y in source.batch_iterator(batch_size=9, shuffle=np.random.RandomState(SEED)):
        assert x.shape == (len(indices), 3, 24, 31) and x.dtype == np.float32
        assert_same(np.stack(images), np.stack([batch.images[i] for i in indices]))
        assert_same(y, labels(batch.paths)[indices])
