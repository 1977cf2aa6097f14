# SPDX-License-Identifier: BSD-3-Clause
"""PyTorch's DataLoader over our array-likes, in this process and in workers started in every way."""

import concurrent.futures
import multiprocessing
import os
import pickle

import numpy as np
import pytest
from support import jpegs
from support.jpegs import assert_same

import fastimg

torch = pytest.importorskip("torch")

from torch.utils.data import (  # noqa: E402
    BatchSampler,
    DataLoader,
    Dataset,
    RandomSampler,
    SequentialSampler,
    default_collate,
    default_convert,
)
from torch.utils.data.distributed import DistributedSampler  # noqa: E402

# None: no workers. A worker that does not begin as a fork takes seconds to import torch.
STARTS = pytest.mark.parametrize("start", [None, "fork", "spawn", "forkserver"])
QUICK_STARTS = pytest.mark.parametrize("start", [None, "fork"])


def loader(dataset, start, **options):
    """Two workers, started as `start` says; pinned memory needs a GPU."""
    if start:
        options |= {"num_workers": 2, "multiprocessing_context": start, "timeout": 120}
    return DataLoader(dataset, pin_memory=False, **options)


class Pairs(Dataset):
    """What a tutorial's data set looks like: (image, label), one or a list of them."""

    def __init__(self, images, labels):
        self.images, self.labels = images, labels

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        return self.images[index], self.labels[index]

    def __getitems__(self, indices):
        return list(zip(self.images[indices], self.labels[indices], strict=True))


class Batches(Dataset):
    """A batch for a list of indices, and a note of every array that an index gave."""

    def __init__(self, images):
        self.images, self.given = images, []

    def __len__(self):
        return len(self.images)

    def __getitem__(self, indices):
        batch = self.images[indices]
        self.given.append(batch)
        return {"image": batch, "index": np.asarray(indices)}

    def __getitems__(self, indices):
        batch = self.images[indices]
        self.given.append(batch)
        return batch


# ---- loaders -----------------------------------------------------------------------------------


@STARTS
def test_batch_size(batch, start):
    expected = fastimg.load(batch.paths)
    batches = list(loader(fastimg.ImageFileAccessor(batch.paths), start, batch_size=8))
    assert [b.shape for b in batches] == [(8, 3, 24, 31)] * 4 + [(5, 3, 24, 31)]
    assert all(b.dtype == torch.uint8 for b in batches)
    assert_same(torch.cat(batches).numpy(), expected)


def test_batch_size_asks_for_whole_batches(batch):
    images = Batches(fastimg.ImageFileAccessor(batch.paths))
    list(loader(images, None, batch_size=8))
    assert [len(given) for given in images.given] == [8, 8, 8, 8, 5]


@STARTS
def test_images_and_labels(batch, start):
    options = {"dtype": "float32", "mean": 0.5, "std": (0.2, 0.3, 0.4), "size": 16}
    labels = np.arange(37, dtype=np.int64) * 7
    dataset = Pairs(fastimg.ImageFileAccessor(batch.paths, **options), labels)
    sampler = RandomSampler(dataset, generator=torch.Generator().manual_seed(5))
    order = list(RandomSampler(dataset, generator=torch.Generator().manual_seed(5)))
    assert order != sorted(order)
    batches = list(loader(dataset, start, batch_size=8, sampler=sampler))
    assert_same(
        torch.cat([image for image, _ in batches]).numpy(), fastimg.load(batch.paths, **options)[order]
    )
    assert_same(torch.cat([label for _, label in batches]).numpy(), labels[order])


@STARTS
def test_batch_sampler(batch, start):
    dataset = Batches(fastimg.ImageFileAccessor(batch.paths))
    expected = fastimg.load(batch.paths)
    sampler = BatchSampler(RandomSampler(dataset), batch_size=8, drop_last=True)
    batches = list(loader(dataset, start, sampler=sampler, batch_size=None))
    seen = torch.cat([b["index"] for b in batches]).numpy()
    assert len(batches) == 4 and len(set(seen.tolist())) == 32
    assert_same(torch.cat([b["image"] for b in batches]).numpy(), expected[seen])


@QUICK_STARTS
def test_images_of_any_size(mixed, start):
    accessor = fastimg.NonUniformImageFileAccessor(mixed.paths)
    batches = list(loader(accessor, start, batch_size=8, collate_fn=default_convert))
    images = [image for b in batches for image in b]
    assert [len(b) for b in batches] == [8, 8, 3]
    for actual, expected in zip(images, mixed.images, strict=True):
        assert_same(actual.numpy(), expected)


@STARTS
def test_random_resized_crops_are_the_same_in_workers(mixed, start):
    view = fastimg.ImageFileAccessor(mixed.paths, size=20).random_resized_crop(20, seed=3).with_epoch(2)
    boxes, flips = view.boxes(np.arange(19))
    expected = fastimg.load(mixed.paths, size=20, crop=boxes, flip=flips)
    assert_same(view[:], expected)
    assert_same(torch.cat(list(loader(view, start, batch_size=4))).numpy(), expected)
    sampler = BatchSampler(SequentialSampler(view), batch_size=6, drop_last=False)
    assert_same(torch.cat(list(loader(view, start, sampler=sampler, batch_size=None))).numpy(), expected)


# ---- copies ------------------------------------------------------------------------------------


def test_a_batch_sampler_copies_nothing(batch):
    dataset = Batches(fastimg.ImageFileAccessor(batch.paths))
    sampler = BatchSampler(SequentialSampler(dataset), batch_size=8, drop_last=False)
    batches = [b["image"] for b in loader(dataset, None, sampler=sampler, batch_size=None)]
    assert len(batches) == len(dataset.given) == 5
    for tensor, array in zip(batches, dataset.given, strict=True):
        assert tensor.data_ptr() == array.ctypes.data and tensor.shape == array.shape
        array[0, 0, 0, 0] ^= 255
        assert int(tensor[0, 0, 0, 0]) == array[0, 0, 0, 0]


def test_a_batch_size_copies(batch):
    # What the test above would miss if it could not fail.
    dataset = Batches(fastimg.ImageFileAccessor(batch.paths))
    for tensor, array in zip(list(loader(dataset, None, batch_size=8)), dataset.given, strict=True):
        assert not np.shares_memory(tensor.numpy(), array)
        assert_same(tensor.numpy(), array)


def test_collate(batch):
    accessor, expected = fastimg.ImageFileAccessor(batch.paths), fastimg.load(batch.paths)
    assert_same(default_collate(accessor[5:9]).numpy(), expected[5:9])
    assert_same(default_collate([accessor[i] for i in (5, 2, 9)]).numpy(), expected[[5, 2, 9]])
    pair = default_collate([(accessor[i], i) for i in (5, 2)])
    assert_same(pair[0].numpy(), expected[[5, 2]])
    assert pair[1].tolist() == [5, 2]
    array = accessor[5:9]
    assert np.shares_memory(default_convert({"image": array})["image"].numpy(), array)


# ---- into tensors ------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["uint8", "float32", "float16"])
def test_load_into_a_tensor(batch, dtype):
    images = torch.full((37, 3, 24, 31), 7, dtype=getattr(torch, dtype))
    out = images.numpy()
    assert fastimg.load(batch.paths, out, dtype=dtype) is out
    assert_same(images.numpy(), fastimg.load(batch.paths, dtype=dtype))


def test_load_into_a_part_of_a_tensor(batch):
    images = torch.full((40, 4, 24, 31), 7, dtype=torch.uint8)
    fastimg.load(batch.paths, images[2:39, :3].numpy())
    assert_same(images[2:39, :3].numpy(), fastimg.load(batch.paths))
    assert bool((images[:2] == 7).all() and (images[39:] == 7).all() and (images[:, 3] == 7).all())


def test_load_into_a_tensor_with_channels_last(batch):
    images = torch.empty((37, 3, 24, 31), dtype=torch.uint8, memory_format=torch.channels_last)
    fastimg.load(batch.paths, images.permute(0, 2, 3, 1).numpy(), layout="HWC")
    assert images.is_contiguous(memory_format=torch.channels_last)
    assert_same(images.numpy(), fastimg.load(batch.paths))


def test_read_into_a_tensor(batch):
    images = torch.empty((3, 3, 24, 31), dtype=torch.uint8)
    fastimg.ImageFileAccessor(batch.paths).read_into(torch.tensor([5, 2, 9]).numpy(), images.numpy())
    assert_same(images.numpy(), fastimg.load(batch.paths)[[5, 2, 9]])


# ---- errors, pickles ---------------------------------------------------------------------------


@QUICK_STARTS
@pytest.mark.parametrize("kind", ["TruncatedJpegError", "FileNotFoundError"])
def test_errors_have_names(batch, bad_files, start, kind):
    # A worker's exception is made anew of its class and one string, so its text has to say everything.
    paths = [*batch.paths[:11], bad_files[kind], *batch.paths[11:]]
    expected = getattr(fastimg, kind, None) or FileNotFoundError
    batches = iter(loader(fastimg.ImageFileAccessor(paths), start, batch_size=8))
    assert_same(next(batches).numpy(), fastimg.load(paths[:8]))
    with pytest.raises(expected) as caught:
        next(batches)
    assert bad_files[kind] in str(caught.value)
    assert "image 11:" in str(caught.value)


def test_a_bad_file_shifts_nothing(batch, bad_files):
    paths = [*batch.paths[:11], bad_files["TruncatedJpegError"], *batch.paths[11:]]
    accessor = fastimg.ImageFileAccessor(paths, on_error="fill")
    with pytest.warns(UserWarning, match="image 11"):
        images = torch.cat(list(loader(accessor, None, batch_size=8))).numpy()
    assert not images[11].any()
    assert_same(np.delete(images, 11, axis=0), fastimg.load(batch.paths))


@pytest.mark.parametrize("kind", [fastimg.ImageFileAccessor, fastimg.NonUniformImageFileAccessor])
def test_what_goes_to_a_worker_is_small(batch, kind):
    accessor = kind(batch.paths)
    accessor[:]
    sent = pickle.dumps(accessor)
    assert len(sent) < sum(map(len, batch.paths)) + 2000 < 37 * 3 * 24 * 31
    restored = pickle.loads(sent)
    for actual, expected in zip(restored[:], batch.images, strict=True):
        assert_same(actual, expected)


# ---- ranks -------------------------------------------------------------------------------------


def epoch_of_rank(paths, rank, world, epoch, start=None):
    """The indices that a rank gets in an epoch, and its pixels."""
    dataset = Pairs(fastimg.ImageFileAccessor(paths), np.arange(len(paths)))
    sampler = DistributedSampler(dataset, num_replicas=world, rank=rank, shuffle=True, seed=1)
    sampler.set_epoch(epoch)
    batches = list(loader(dataset, start, batch_size=4, sampler=sampler))
    images = torch.cat([image for image, _ in batches]).numpy()
    return os.getpid(), torch.cat([label for _, label in batches]).numpy(), images


def check_ranks(paths, ranks):
    """Together they have every sample once, with the pixels that belong to it."""
    expected = fastimg.load(paths)
    indices = np.concatenate([indices for _, indices, _ in ranks])
    assert sorted(indices.tolist()) == list(range(len(paths)))
    for _, own, images in ranks:
        assert_same(images, expected[own])


def test_distributed_sampler(batch):
    paths = batch.paths[:36]
    ranks = [epoch_of_rank(paths, rank, 3, epoch=0) for rank in range(3)]
    check_ranks(paths, ranks)
    again = [epoch_of_rank(paths, rank, 3, epoch=1) for rank in range(3)]
    check_ranks(paths, again)
    assert ranks[0][1].tolist() != again[0][1].tolist()


def test_two_spawned_ranks(batch):
    # Processes that may have workers of their own, as a launcher starts them.
    paths = batch.paths[:36]
    spawn = multiprocessing.get_context("spawn")
    with concurrent.futures.ProcessPoolExecutor(2, mp_context=spawn) as pool:
        calls = [pool.submit(epoch_of_rank, paths, rank, 2, 0, "fork") for rank in range(2)]
        ranks = [call.result() for call in calls]
    check_ranks(paths, ranks)
    assert len({os.getpid(), *(pid for pid, _, _ in ranks)}) == 3


def test_shared_photos(shared):
    paths = sorted(str(path) for path in (shared / "photos").iterdir())
    accessor = fastimg.ImageFileAccessor(paths, size=64, fit="cover")
    sampler = BatchSampler(SequentialSampler(accessor), batch_size=32, drop_last=False)
    batches = list(loader(accessor, "fork", sampler=sampler, batch_size=None))
    assert_same(torch.cat(batches).numpy(), fastimg.load(paths, size=64, fit="cover"))


def test_synthetic_files_differ(batch):
    """Else the tests above could not see an image in the wrong place."""
    assert len({jpegs.reference(data).tobytes() for data in batch.data}) == len(batch.data)
