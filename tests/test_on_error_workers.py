# SPDX-License-Identifier: BSD-3-Clause
"""Bad images in the workers of a torch DataLoader: no error is lost, and "fill" and "drop" work."""

import pickle

import numpy as np
import pytest
from support.jpegs import assert_same

import fastimg
from fastimg.data_source import ArrayDataSource

torch = pytest.importorskip("torch")

from torch.utils.data import DataLoader, Dataset, IterableDataset  # noqa: E402

from fastimg.data_source import TorchIterable  # noqa: E402


def run(dataset, start, **options):
    """All batches, from one worker."""
    options = {"batch_size": 4, "num_workers": 1, "multiprocessing_context": start, "timeout": 120} | options
    return list(DataLoader(dataset, **options))


def error_of(dataset, start, **options):
    with pytest.raises(Exception) as caught:
        run(dataset, start, **options)
    return caught.value


class Batches(IterableDataset):
    """What `batch_iterator` gives, in a worker."""

    def __init__(self, source, on_error=None, include_mask=False):
        self.source, self.options = source, {"on_error": on_error, "include_mask": include_mask}

    def __iter__(self):
        return iter(self.source.batch_iterator(5, **self.options))


class Loaded(Dataset):
    """A batch that `load` makes."""

    def __init__(self, paths, on_error):
        self.paths, self.on_error = paths, on_error

    def __len__(self):
        return 1

    def __getitem__(self, index):
        return fastimg.load(self.paths, size=8, on_error=self.on_error)


@pytest.fixture
def paths(batch, bad_files):
    return [*batch.paths[:6], bad_files["CorruptJpegError"], *batch.paths[7:]]


# ---- callables ---------------------------------------------------------------------------------

LOST = []


def collect(error):
    LOST.append(error)


@pytest.mark.parametrize(
    ("kind", "start"),
    [
        ("accessor", "fork"),
        ("accessor", "spawn"),
        ("batches", "fork"),
        ("load", "fork"),
        ("with pickle", "fork"),
    ],
)
def test_a_callable_is_refused_at_the_first_error(paths, start, kind):
    function = collect if start == "spawn" or kind == "with pickle" else LOST.append
    if kind == "batches":
        dataset = Batches(ArrayDataSource([fastimg.ImageFileAccessor(paths)]), function)
    elif kind == "load":
        dataset = Loaded(paths, function)
    else:
        dataset = fastimg.ImageFileAccessor(paths, on_error=function)
        dataset = pickle.loads(pickle.dumps(dataset)) if kind == "with pickle" else dataset
    error = error_of(dataset, start, batch_size=None if kind == "batches" else 4)
    assert isinstance(error, RuntimeError)
    for word in ("on_error='fill'", "include_mask", "on_error='drop'", paths[6], "image 6"):
        assert word in str(error)
    assert (error.index, error.source) == (6, paths[6])
    assert not LOST


def test_without_errors_it_is_let_through(batch):
    calls = []
    batches = run(fastimg.ImageFileAccessor(batch.paths, on_error=calls.append), "fork")
    assert_same(torch.cat(batches).numpy(), np.stack(batch.images))


# ---- what to use instead -----------------------------------------------------------------------


@pytest.mark.parametrize(("on_error", "start"), [("fill", "fork"), ("drop", "fork"), ("drop", "spawn")])
@pytest.mark.filterwarnings("ignore")
def test_fill_and_drop_work_in_workers(batch, paths, on_error, start):
    labels = np.arange(37) * 3
    source = ArrayDataSource([fastimg.ImageFileAccessor(paths), labels])
    batches = run(Batches(source, on_error, include_mask=True), start, batch_size=None)
    x, y, mask = (torch.cat(parts).numpy() for parts in zip(*batches, strict=True))
    good = [i for i in range(37) if i != 6]
    assert y[mask].tolist() == labels[good].tolist() and len(y) == (36 if on_error == "drop" else 37)
    assert_same(x[mask], np.stack([batch.images[i] for i in good]))


@pytest.mark.filterwarnings("ignore")
def test_torch_iterable(batch, paths):
    source = ArrayDataSource([fastimg.ImageFileAccessor(paths), np.arange(37)], seed=3)
    epochs = []
    for num_workers in (0, 1, 2):
        dataset = TorchIterable(source, 5, on_error="drop", include_mask=True)
        dataset.set_epoch(1)
        epochs.append(list(DataLoader(dataset, batch_size=None, num_workers=num_workers)))
    for batches in epochs:
        assert sorted(torch.cat([y for _, y, _ in batches]).tolist()) == [i for i in range(37) if i != 6]
        for (x, y, mask), expected in zip(batches, epochs[0], strict=True):
            assert mask.all() and y.tolist() == expected[1].tolist()
            assert_same(x.numpy(), np.stack([batch.images[i] for i in y]))


def test_torch_iterable_with_a_callable(paths):
    calls = []
    source = ArrayDataSource([fastimg.ImageFileAccessor(paths)])
    dataset = TorchIterable(source, 5, on_error=calls.append)
    assert len(list(DataLoader(dataset, batch_size=None))) == 8
    assert [error.index for error in calls] == [6]
    assert "on_error='drop'" in str(error_of(dataset, "fork", batch_size=None))
    assert len(calls) == 1
    with pytest.raises(ValueError, match="on_error"):
        TorchIterable(source, 5, on_error="skip")
    with pytest.raises(TypeError, match="include_mask"):
        TorchIterable(source, 5, include_mask=None)
