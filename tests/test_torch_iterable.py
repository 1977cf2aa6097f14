# SPDX-License-Identifier: BSD-3-Clause
"""TorchIterable: every sample once per epoch, in workers started in every way; see also test_workers."""

import copy
import itertools
import os
import pickle
import subprocess
import sys
import warnings

import numpy as np
import pytest
from support.data_sources import Draws, Epochs, in_batches
from support.jpegs import assert_same
from support.processes import child_env

import fastimg
from fastimg.data_source import ArrayDataSource

torch = pytest.importorskip("torch")

from torch.utils.data import DataLoader, IterableDataset  # noqa: E402

from fastimg.data_source import TorchIterable  # noqa: E402

N = 23

# (workers, how they start, whether they stay). A spawned worker takes seconds to import torch.
WAYS = [(0, None, False), *itertools.product((1, 4), ["fork"], [False, True]), (2, "spawn", True)]
if os.environ.get("FASTIMG_EXTENDED"):
    WAYS += list(itertools.product((1, 4), ["spawn", "forkserver"], [False, True]))

MORE_WORKERS = "This DataLoader will create"  # than the machine has CPUs
pytestmark = pytest.mark.filterwarnings(f"ignore:{MORE_WORKERS}")


def loader(dataset, way=WAYS[0], **options):
    workers, start, stay = way
    if workers:
        options |= {"num_workers": workers, "multiprocessing_context": start, "timeout": 120}
        options |= {"persistent_workers": stay}
    return DataLoader(dataset, batch_size=None, **options)


def epoch_of(batches):
    """Lists of what the loader gives, of which there are as many as it says."""
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        warnings.simplefilter("ignore", DeprecationWarning)  # of fork in a process with threads
        warnings.filterwarnings("ignore", MORE_WORKERS)
        count = len(batches)
        found = [[part.tolist() for part in batch] for batch in batches]
    assert len(found) == count
    return found


class Boxes:
    """An array-like of the boxes of an accessor with random crops."""

    def __init__(self, view):
        self.view = view

    def __len__(self):
        return len(self.view)

    def __getitem__(self, indices):
        return self.view.boxes(indices)[0]

    def with_epoch(self, epoch):
        return Boxes(self.view.with_epoch(epoch))


@pytest.fixture(scope="module")
def source(batch):
    view = fastimg.ImageFileAccessor(batch.paths).random_resized_crop(8, seed=3)
    return ArrayDataSource([np.arange(37), Boxes(view)], seed=5)


def check_epochs(epochs):
    """Each has every sample once, and each another order and other boxes."""
    orders, boxes = [], []
    for epoch in epochs:
        order = list(itertools.chain(*(indices for indices, _ in epoch)))
        found = itertools.chain(*(found for _, found in epoch))
        assert sorted(order) == list(range(37))
        orders.append(tuple(order))
        boxes.append(tuple(tuple(box) for _, box in sorted(zip(order, found, strict=True))))
    assert len(set(orders)) == len(set(boxes)) == len(epochs)


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_every_sample_once(source, way):
    runs = []
    for _ in range(1 if way[1] == "spawn" else 2):
        torch.manual_seed(3)
        dataset = TorchIterable(source, 5)
        batches = loader(dataset, way)
        runs.append([epoch_of(batches) for _ in range(3)])
        # What was set holds in workers that run, until it is set again, whatever came before.
        for epoch in (1, 0, 0, 1):
            dataset.set_epoch(epoch)
            expected = source.batch_iterator(5, True, epoch=epoch)
            assert epoch_of(batches) == [[part.tolist() for part in batch] for batch in expected]
        del batches
    check_epochs(runs[0])
    assert runs[0] == runs[-1]
    check_epochs([*runs[0], epoch_of(loader(dataset))])


def test_spawned_runs_repeat(source):
    # As those of the other ways: a new worker takes the loader's seed.
    runs = []
    for start in ("fork", "spawn"):
        torch.manual_seed(3)
        runs.append(epoch_of(loader(TorchIterable(source, 5), (1, start, False))))
    assert runs[0] == runs[1]


def test_the_seed_of_torch_decides():
    for way in WAYS[:3]:
        seen = set()
        for seed, source_seed in ((3, None), (3, None), (3, 7), (4, 7)):
            torch.manual_seed(seed)
            dataset = TorchIterable(ArrayDataSource([np.arange(N)], seed=source_seed), 4)
            seen.add((seed, str(epoch_of(loader(dataset, way)))))
        assert len(seen) == len({order for _, order in seen}) == 2


def test_the_generator_of_the_loader_decides_in_workers(source):
    runs = []
    for _ in range(2):
        generator = torch.Generator().manual_seed(9)
        runs.append(epoch_of(loader(TorchIterable(source, 5), WAYS[1], generator=generator)))
    assert runs[0] == runs[1]


def test_images(batch):
    view = fastimg.ImageFileAccessor(batch.paths).random_resized_crop(8, seed=3)
    labels = np.arange(37)
    dataset = TorchIterable(ArrayDataSource([view, labels], seed=5).map(lambda x, y: {"x": x, "y": y}), 8)
    dataset.set_epoch(2)
    for way in WAYS[:2]:
        seen = list(loader(dataset, way))
        order = torch.cat([each["y"] for each in seen]).numpy()
        images = torch.cat([each["x"] for each in seen])
        assert images.dtype == torch.uint8
        assert_same(images.numpy(), view.with_epoch(2)[order])


@pytest.mark.parametrize("way", WAYS[:4], ids=str)
@pytest.mark.parametrize("drop_last", [False, True])
def test_in_order(way, drop_last):
    dataset = TorchIterable(ArrayDataSource([np.arange(N)]), 4, False, drop_last=drop_last)
    batches = loader(dataset, way)
    expected = in_batches(range(N), 4)[: N // 4 if drop_last else None]
    for _ in range(2):
        assert [indices for (indices,) in epoch_of(batches)] == expected
    assert len(dataset) == len(batches) == len(expected)


@pytest.mark.parametrize("way", WAYS[:4], ids=str)
def test_fewer_batches_than_workers(way):
    for length, batch_size in ((0, 4), (1, 4), (3, 2)):
        dataset = TorchIterable(ArrayDataSource([np.arange(length)]), batch_size, shuffle=False)
        found = [indices for (indices,) in epoch_of(loader(dataset, way))]
        assert found == in_batches(range(length), batch_size)


def test_other_sources():
    repeated = TorchIterable(ArrayDataSource([np.arange(5)], repeats=3), 4, shuffle=False)
    endless = TorchIterable(ArrayDataSource([np.arange(5)], repeats=-1), 4)
    drawn = TorchIterable(ArrayDataSource([np.arange(N)], sampler=Draws(N)), 4)
    for way in WAYS[:3]:
        assert epoch_of(loader(repeated, way)) == [[each] for each in in_batches([0, 1, 2, 3, 4] * 3, 4)]
        for dataset in (endless, drawn):
            with pytest.raises(TypeError, match="len"):
                len(dataset)
            dataset.set_epoch(1)
            found = [next(iter([x.tolist()])) for (x,) in itertools.islice(loader(dataset, way), 9)]
            whole = [x.tolist() for (x,) in itertools.islice(iter(dataset), 9)]
            assert found == whole


def test_shards_of_ranks(source):
    for way in WAYS[:3]:
        ranks = []
        for rank in range(3):
            dataset = TorchIterable(source.shard(rank, 3), 5)
            dataset.set_epoch(1)
            ranks += epoch_of(loader(dataset, way))
        assert sorted(itertools.chain(*(indices for indices, _ in ranks))) == list(range(37))


def test_the_epoch_of_the_source_does_not_count(source):
    other = ArrayDataSource([np.arange(37), Epochs(37)], seed=5)
    dataset = TorchIterable(other, 5)
    dataset.set_epoch(2)
    first = epoch_of(loader(dataset))
    other.set_epoch(4)
    next(other.batch_iterator(3))
    assert epoch_of(loader(dataset)) == first
    assert other.state_dict()["epoch"] == 4


def test_an_epoch_that_was_left():
    # The next one is whole, and all workers agree on its order.
    dataset = TorchIterable(ArrayDataSource([np.arange(N)]), 2)
    for way in WAYS[:5]:
        batches = loader(dataset, way)
        next(iter(batches))
        assert sorted(itertools.chain(*(indices for (indices,) in epoch_of(batches)))) == list(range(N))


def test_copies(source):
    dataset = TorchIterable(source, 5)
    dataset.set_epoch(3)
    expected = epoch_of(loader(dataset))
    for copied in (pickle.loads(pickle.dumps(dataset)), copy.deepcopy(dataset)):
        assert type(copied) is TorchIterable
        assert epoch_of(loader(copied)) == expected
        copied.set_epoch(4)
        assert epoch_of(loader(copied)) != expected
        assert epoch_of(loader(dataset)) == expected


def test_states_of_parts(source):
    # As a loader that can be resumed has them in each worker.
    for part in ((0, 2), (1, 2)):
        whole = source._replace(_part=part).batch_iterator(5, True, epoch=1)
        first = next(whole)[0].tolist()
        rest = source._replace(_part=part).batch_iterator(5, True)
        rest.load_state_dict(whole.state_dict())
        assert [x.tolist() for x, _ in rest] == [x.tolist() for x, _ in whole]
        assert first not in [x.tolist() for x, _ in whole]
    with pytest.raises(ValueError, match=r"part \[1, 2\].*\[0, 1\]"):
        source.batch_iterator(5, True).load_state_dict(whole.state_dict())


def test_errors_have_names(batch, bad_files):
    paths = [*batch.paths[:11], bad_files["TruncatedJpegError"], *batch.paths[11:]]
    dataset = TorchIterable(ArrayDataSource([fastimg.ImageFileAccessor(paths)]), 8, shuffle=False)
    for way in WAYS[:2]:
        batches = iter(loader(dataset, way))
        next(batches)
        with pytest.raises(fastimg.TruncatedJpegError, match="image 11:"):
            next(batches)


@pytest.mark.parametrize("way", WAYS[:3], ids=str)
def test_a_map_style_loader_of_random_crops(mixed, way):
    view = fastimg.ImageFileAccessor(mixed.paths).random_resized_crop(8, seed=3)
    workers, start, stay = way
    options = {"num_workers": workers, "multiprocessing_context": start, "persistent_workers": stay}
    batches = DataLoader(view, batch_size=4, **options)
    for epoch in (None, 0, 1, 2, 1):
        if epoch is not None:
            view.set_epoch(epoch)
        assert_same(torch.cat(list(batches)).numpy(), view.with_epoch(epoch or 0)[:])


def test_what_is_refused():
    source = ArrayDataSource([np.arange(N)])
    for wrong in ([np.arange(N)], None, source.batch_iterator(4)):
        with pytest.raises(TypeError, match=f"ArrayDataSource, found {type(wrong).__name__}"):
            TorchIterable(wrong, 4)
    for batch_size in (0, None, 1.0):
        with pytest.raises((TypeError, ValueError), match="batch_size must be"):
            TorchIterable(source, batch_size)
    # Every epoch's new workers would draw the same from it.
    for shuffle in (5, np.random.RandomState(5), np.random.default_rng(5), None):
        with pytest.raises(TypeError, match="shuffle must be True or False"):
            TorchIterable(source, 4, shuffle)
    for options in ({"prefetch": -1}, {"num_threads": 0}, {"drop_last": 1}):
        with pytest.raises((TypeError, ValueError), match=f"{next(iter(options))} must be"):
            TorchIterable(source, 4, **options)
    with pytest.raises(ValueError, match="epoch must be"):
        TorchIterable(source, 4).set_epoch(2**63)


class Untold(IterableDataset):
    """Iterates over a source in every worker, as users do."""

    def __init__(self, source):
        self.source = source

    def __iter__(self):
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            for _ in range(2):
                list(self.source.batch_iterator(5, True, prefetch=0))
        yield [str(each.message) for each in caught]


def test_the_warning_in_real_workers():
    found = list(loader(Untold(ArrayDataSource([np.arange(N)])), (2, "fork", False)))
    assert sorted(map(len, found)) == [0, 1]
    assert list(loader(Untold(ArrayDataSource([np.arange(N)])))) == [[]]


def test_torch_is_not_imported_before():
    code = "import sys, fastimg.data_source as d; print('torch' in sys.modules, d.TorchIterable.__name__)"
    out = subprocess.check_output([sys.executable, "-P", "-c", code], env=child_env(), text=True)
    assert out.split() == ["False", "TorchIterable"]
