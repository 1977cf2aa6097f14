# SPDX-License-Identifier: BSD-3-Clause
"""Subclasses of accessors with a `__getitem__` of their own: nothing that is inherited may pass it over."""

import copy
import pickle

import numpy as np
import pytest
from support.jpegs import assert_same

import fastimg
from fastimg.data_source import ArrayDataSource

# Labels that are no indices, so that one in the wrong place is seen.
LABELS = [(7 * i) % 37 + 100 for i in range(37)]


class Pairs(fastimg.ImageFileAccessor):
    """The data set of a tutorial, whose labels are a list: it takes an int alone."""

    def __init__(self, paths, labels, **options):
        super().__init__(paths, **options)
        self.labels = labels

    def __getitem__(self, index):
        return super().__getitem__(index), self.labels[index]


class MixedPairs(fastimg.NonUniformImageFileAccessor):
    def __init__(self, paths, labels, **options):
        super().__init__(paths, **options)
        self.labels = labels

    def __getitem__(self, index):
        return super().__getitem__(index), self.labels[index]


class CropPairs(fastimg.RandomResizedCrop):
    def __init__(self, accessor, labels, size, **options):
        super().__init__(accessor, size, **options)
        self.labels = labels

    def __getitem__(self, index):
        return super().__getitem__(index), self.labels[index]


class Negative(fastimg.ImageFileAccessor):
    """Does something with the images, one or a batch."""

    def __getitem__(self, index):
        return 255 - super().__getitem__(index)


class Named(fastimg.ImageFileAccessor):
    """Adds a method, and leaves the index alone."""

    def name(self, index):
        return str(index)


def pairs(kind, batch, labels=LABELS):
    if kind is CropPairs:
        return CropPairs(fastimg.ImageFileAccessor(batch.paths), labels, 8, seed=3)
    return kind(batch.paths, labels)


def images_of(kind, batch):
    if kind is CropPairs:
        return fastimg.ImageFileAccessor(batch.paths).random_resized_crop(8, seed=3)[:]
    return batch.images


def check_pairs(found, order, images):
    found = list(found)
    assert len(found) == len(order)
    for (image, label), i in zip(found, order, strict=True):
        assert_same(image, images[i])
        assert label == LABELS[i]


KINDS = pytest.mark.parametrize("kind", [Pairs, MixedPairs, CropPairs])


@KINDS
def test_getitems(kind, batch):
    accessor, images = pairs(kind, batch), images_of(kind, batch)
    for order in ([5, 2, 9, 2], [36], []):
        samples = accessor.__getitems__(order)
        assert type(samples) is list
        check_pairs(samples, order, images)


@KINDS
def test_iteration_and_copies(kind, batch):
    accessor, images = pairs(kind, batch), images_of(kind, batch)
    for each in (
        accessor,
        pickle.loads(pickle.dumps(accessor)),
        copy.copy(accessor),
        copy.deepcopy(accessor),
    ):
        assert type(each) is kind
        check_pairs(each, range(37), images)
        check_pairs(each.__getitems__([5, 2, 9]), [5, 2, 9], images)


def test_epochs_keep_the_labels(batch):
    accessor = pairs(CropPairs, batch)
    images = fastimg.ImageFileAccessor(batch.paths).random_resized_crop(8, seed=3)
    for epoch in (1, 4):
        view = accessor.with_epoch(epoch)
        assert type(view) is CropPairs
        check_pairs(view, range(37), images.with_epoch(epoch)[:])


@KINDS
@pytest.mark.parametrize("workers", [0, 2])
def test_data_loader(kind, batch, workers):
    torch = pytest.importorskip("torch")
    accessor, images = pairs(kind, batch), images_of(kind, batch)
    loader = torch.utils.data.DataLoader(
        accessor,
        batch_size=8,
        shuffle=True,
        num_workers=workers,
        multiprocessing_context="fork" if workers else None,
    )
    labels = []
    for batch_images, batch_labels in loader:
        assert len(batch_images) == len(batch_labels)
        for image, label in zip(batch_images.numpy(), batch_labels.tolist(), strict=True):
            assert_same(image, images[LABELS.index(label)])
        labels += batch_labels.tolist()
    assert sorted(labels) == sorted(LABELS) and labels != LABELS


def test_without_an_index_of_its_own(batch):
    accessor = Named(batch.paths)
    assert_same(accessor.__getitems__([5, 2]), np.stack([batch.images[5], batch.images[2]]))
    expected = fastimg.ImageFileAccessor(batch.paths).random_resized_crop(8)[:]
    assert_same(accessor.random_resized_crop(8)[:], expected)
    (first,) = next(ArrayDataSource([accessor]).batch_iterator(3, reuse_buffers=True))
    assert_same(first, np.stack(batch.images[:3]))


# ---- crops -------------------------------------------------------------------------------------


@pytest.mark.parametrize("make", [lambda paths: Pairs(paths, LABELS), Negative])
def test_crops_would_pass_it_over(batch, make):
    accessor = make(batch.paths)
    name = type(accessor).__name__
    text = rf"^{name} has a __getitem__ of its own, .* subclass of RandomResizedCrop$"
    with pytest.raises(TypeError, match=text):
        accessor.random_resized_crop(8)
    with pytest.raises(TypeError, match=text):
        fastimg.RandomResizedCrop(accessor, 8)


# ---- NumPy and dask ----------------------------------------------------------------------------


def test_asarray(batch):
    assert_same(np.asarray(Negative(batch.paths)), 255 - np.stack(batch.images))
    with pytest.raises(TypeError, match=r"^Pairs must give an array for a slice, found tuple$"):
        np.asarray(Pairs(batch.paths, LABELS), np.float32)
    array = np.asarray(MixedPairs(batch.paths, LABELS))
    assert array.shape == (37,) and array.dtype == object
    check_pairs(array, range(37), batch.images)


def test_dask_tells_subclasses_apart(batch):
    tokenize = pytest.importorskip("dask.base").tokenize
    first, other = LABELS, LABELS[::-1]
    for kind in (Pairs, MixedPairs):
        assert tokenize(kind(batch.paths, first)) == tokenize(kind(batch.paths, list(first)))
        assert tokenize(kind(batch.paths, first)) != tokenize(kind(batch.paths, other))
    crops = [pairs(CropPairs, batch, labels) for labels in (first, other)]
    assert tokenize(crops[0]) != tokenize(crops[1])

    class Negative(fastimg.ImageFileAccessor):
        def __getitem__(self, index):
            return 255 - (super().__getitem__(index) // 2)

    assert tokenize(Negative(batch.paths)) != tokenize(globals()["Negative"](batch.paths))


def test_what_was_read_changes_no_token(batch):
    tokenize = pytest.importorskip("dask.base").tokenize
    for accessor in (fastimg.ImageFileAccessor(batch.paths), Named(batch.paths)):
        before = tokenize(accessor)
        accessor.shape, accessor.random_resized_crop(8)[0:2]
        assert tokenize(accessor) == before


# ---- data sources ------------------------------------------------------------------------------


@pytest.mark.parametrize("reuse_buffers", [False, True])
def test_data_sources_go_through_it(batch, reuse_buffers):
    source = ArrayDataSource([Negative(batch.paths), LABELS], seed=1)
    for images, labels in source.batch_iterator(8, shuffle=True, reuse_buffers=reuse_buffers):
        assert_same(images, 255 - np.stack([batch.images[LABELS.index(label)] for label in labels]))


def test_data_sources_of_crops_go_through_it(batch):
    class Crops(fastimg.RandomResizedCrop):
        def __getitem__(self, index):
            return 255 - super().__getitem__(index)

    images = fastimg.ImageFileAccessor(batch.paths)
    source = ArrayDataSource([Crops(images, 8, seed=3)])
    plain = images.random_resized_crop(8, seed=3)
    for epoch in range(2):
        found = np.concatenate([part for (part,) in source.batch_iterator(8)])
        assert_same(found, 255 - plain.with_epoch(epoch)[:])


@KINDS
@pytest.mark.parametrize("labels", [LABELS, np.array(LABELS)], ids=["list", "array"])
def test_data_sources_refuse_pairs(batch, kind, labels):
    # Not at the first batch, and not by leaving the labels out.
    accessor = pairs(kind, batch, labels)
    name = kind.__name__
    text = (
        rf"^arrays\[1\], found {name}, cannot be read by position: .*; give images and labels as two arrays$"
    )
    with pytest.raises(TypeError, match=text):
        ArrayDataSource([np.arange(37), accessor])


def test_data_sources_read_no_image_to_look(batch):
    paths = ["missing.jpg", *batch.paths[1:]]
    source = ArrayDataSource([Negative(paths), LABELS], indices=[1, 2])
    for images, labels in source.batch_iterator(8):
        assert labels.tolist() == LABELS[1:3]
        assert_same(images, 255 - np.stack(batch.images[1:3]))
