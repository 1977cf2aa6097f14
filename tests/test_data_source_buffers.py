# SPDX-License-Identifier: BSD-3-Clause
"""reuse_buffers: the same memory again and again, and never while the caller looks at it."""

import time

import numpy as np
import pytest
from support.data_sources import Parts, in_batches, wait_until
from support.jpegs import assert_all_same, assert_same

import fastimg
from fastimg.data_source import ArrayDataSource


def address(array):
    return array.__array_interface__["data"][0]


class Filler:
    """An array-like of float32 (n, 2) that writes into the buffers it is given, and counts."""

    ndim, dtype = 2, np.dtype(np.float32)

    def __init__(self, length):
        self.shape, self.made = (length, 2), 0

    def __len__(self):
        return self.shape[0]

    def __getitem__(self, indices):
        return self.read_into(indices, np.empty((len(indices), 2), np.float32))

    def read_into(self, indices, out):
        assert out.shape == (len(indices), 2) and out.dtype == np.float32
        out[:] = np.stack([indices, -indices], 1)
        self.made += 1
        return out

    def wait_for(self, made):
        wait_until(lambda: self.made >= made)


def test_values(batch, mixed, prefetch):
    labels = np.arange(19, dtype=np.int16)[::-1]
    arrays = [
        fastimg.ImageFileAccessor(batch.paths[:19], dtype="float32", mean=0.5, std=0.25),
        fastimg.NonUniformImageFileAccessor(mixed.paths),
        labels,
        np.asfortranarray(np.arange(19 * 6).reshape(19, 3, 2))[:, ::-1],
        np.arange(19) % 3 == 0,
        Filler(19),
    ]
    source = ArrayDataSource(arrays, include_indices=True, repeats=3)
    fresh = list(source.batch_iterator(5, 8))
    reused = source.batch_iterator(5, 8, prefetch=prefetch, reuse_buffers=True)
    for expected, found in zip(fresh, reused, strict=True):
        assert type(found) is tuple and len(found) == 7
        assert_all_same(found, expected)
    assert len(fresh[-1][0]) == 57 % 5


@pytest.mark.parametrize("consumer", ["fast", "slow"])
def test_prefetch_and_two_buffers(batch, prefetch, consumer):
    filler = Filler(37)
    arrays = [fastimg.ImageFileAccessor(batch.paths), np.arange(37), filler]
    batches = ArrayDataSource(arrays, repeats=4).batch_iterator(3, prefetch=prefetch, reuse_buffers=True)
    seen = [[], []]
    for given, (*parts, _) in enumerate(batches, 1):
        if consumer == "slow":
            filler.wait_for(min(given + prefetch, 50))
        for addresses, part in zip(seen, parts, strict=True):
            addresses.append(address(part))
    assert given == 50
    for addresses in seen:
        assert len(set(addresses)) == prefetch + 2


def test_without_it_nothing_is_shared(batch):
    source = ArrayDataSource([fastimg.ImageFileAccessor(batch.paths), np.arange(37)])
    kept = list(source.batch_iterator(3))
    assert len({address(part) for parts in kept for part in parts}) == 26


def test_a_batch_is_the_callers_until_the_next_is_asked_for(batch, prefetch):
    filler = Filler(37)
    source = ArrayDataSource([fastimg.ImageFileAccessor(batch.paths), filler, np.arange(37)])
    batches = source.batch_iterator(3, 2, prefetch=prefetch, reuse_buffers=True)
    order = in_batches(np.random.RandomState(2).permutation(37), 3)
    for given, (expected, (x, numbers, indices)) in enumerate(zip(order, batches, strict=True), 1):
        filler.wait_for(min(given + prefetch, 13))
        time.sleep(0.003)  # for what must not be written
        assert indices.tolist() == expected
        assert numbers[:, 0].tolist() == expected
        assert_same(x, np.stack([batch.images[i] for i in expected]))


def test_results_may_look_into_the_buffers(batch, prefetch):
    filler = Filler(37)
    source = ArrayDataSource([fastimg.ImageFileAccessor(batch.paths), filler, np.arange(37)])
    mapped = source.map(lambda x, numbers, indices: {"x": x[:, 1:, ::2], "indices": indices[::-1]})
    batches = mapped.batch_iterator(3, prefetch=prefetch, reuse_buffers=True)
    for given, result in enumerate(batches, 1):
        filler.wait_for(min(given + prefetch, 13))
        time.sleep(0.003)
        chosen = slice(3 * given - 3, 3 * given)
        assert_same(result["indices"], np.arange(37)[chosen][::-1])
        assert_same(result["x"], np.stack(batch.images)[chosen][:, 1:, ::2])


def test_the_last_batch_is_short(batch):
    source = ArrayDataSource([fastimg.ImageFileAccessor(batch.paths), np.arange(37)])
    *_, (x, indices) = source.batch_iterator(9, reuse_buffers=True)
    assert_same(x, batch.images[36][None])
    assert_same(indices, np.array([36]))


def test_batches_of_a_sampler_are_of_any_length(batch, prefetch):
    parts = [[3], [0, 1, 2, 3, 4, 5, 6, 7, 8], [], [9, 9], list(range(37)), [1, 2]]
    source = ArrayDataSource([fastimg.ImageFileAccessor(batch.paths), np.arange(37)], sampler=Parts(*parts))
    batches = source.batch_iterator(2, prefetch=prefetch, reuse_buffers=True)
    for expected in parts:
        x, indices = next(batches)
        assert indices.tolist() == expected
        assert_same(x, np.stack(batch.images)[np.array(expected, np.int64)])


@pytest.mark.parametrize("reuse_buffers", [False, True])
@pytest.mark.parametrize("wrong", [37, -38, 2**40])
def test_a_sampler_out_of_range(batch, reuse_buffers, wrong):
    sampler = Parts([3, 4], [5, wrong])
    for arrays in ([np.arange(37)], [fastimg.ImageFileAccessor(batch.paths)]):
        batches = ArrayDataSource(arrays, sampler=sampler).batch_iterator(2, reuse_buffers=reuse_buffers)
        next(batches)
        with pytest.raises(IndexError, match=str(wrong)):
            next(batches)


def test_a_sampler_that_counts_from_the_end(batch, prefetch):
    source = ArrayDataSource(
        [fastimg.ImageFileAccessor(batch.paths), np.arange(37)], sampler=Parts([3, -1], [-37, 4])
    )
    for expected, (x, indices) in zip(
        [[3, 36], [0, 4]], source.batch_iterator(2, prefetch=prefetch, reuse_buffers=True), strict=True
    ):
        assert indices.tolist() == expected
        assert_same(x, np.stack([batch.images[i] for i in expected]))


@pytest.mark.parametrize("reuse_buffers", [False, True])
def test_masked_arrays_keep_their_masks(reuse_buffers):
    array = np.ma.array(np.arange(6), mask=[1, 0, 0, 1, 0, 1])
    for start, (part,) in enumerate(ArrayDataSource([array]).batch_iterator(2, reuse_buffers=reuse_buffers)):
        expected = array[2 * start : 2 * start + 2]
        assert type(part) is type(expected)
        assert part.tolist() == expected.tolist()


def test_lists_are_fresh(mixed, prefetch):
    source = ArrayDataSource([fastimg.NonUniformImageFileAccessor(mixed.paths)], repeats=2)
    kept = [images for (images,) in source.batch_iterator(4, prefetch=prefetch, reuse_buffers=True)]
    images = [image for part in kept for image in part]
    assert len({address(image) for image in images}) == 38
    for i, image in enumerate(images):
        assert_same(image, mixed.images[i % 19])


def test_images_that_are_filled(batch, bad_files):
    # With errors filled, a recycled buffer must not show the image of an earlier batch.
    paths = list(batch.paths)
    for i in range(5, 37, 4):
        paths[i] = bad_files["FileNotFoundError"]
    accessor = fastimg.ImageFileAccessor(paths, on_error=lambda error: None)
    for start, (x,) in zip(
        range(0, 37, 2), ArrayDataSource([accessor]).batch_iterator(2, reuse_buffers=True), strict=True
    ):
        for i, image in enumerate(x, start):
            assert_same(image, np.zeros_like(image) if i >= 5 and i % 4 == 1 else batch.images[i])
