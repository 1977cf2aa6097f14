# SPDX-License-Identifier: BSD-3-Clause
"""PyTorch's samplers in batch_iterator, and samplers in TorchIterable's workers."""

import itertools
import json

import numpy as np
import pytest
from support.data_sources import N, Numbers, Parts, in_batches, orders

from fastimg.data_source import ArrayDataSource, ClassBalancedSampler

torch = pytest.importorskip("torch")

from torch.utils.data import (  # noqa: E402
    BatchSampler,
    DataLoader,
    DistributedSampler,
    RandomSampler,
    Sampler,
    SequentialSampler,
    SubsetRandomSampler,
    WeightedRandomSampler,
)

from fastimg.data_source import TorchIterable  # noqa: E402

LABELS = np.repeat([5, 2, 9], [14, 6, 3])
WEIGHTS = [1.0] * (N - 1) + [50.0]

pytestmark = pytest.mark.filterwarnings("ignore:This DataLoader will create", "ignore::DeprecationWarning")


def seeded(seed=3):
    return torch.Generator().manual_seed(seed)


def samplers():
    return {
        "sequential": lambda **_: SequentialSampler(range(N)),
        "random": lambda **options: RandomSampler(range(N), **options),
        "replacement": lambda **options: RandomSampler(range(N), True, 50, **options),
        "weighted": lambda **options: WeightedRandomSampler(WEIGHTS, 40, **options),
        "subset": lambda **options: SubsetRandomSampler([3, 1, 22, 7], **options),
        "subset, tensors": lambda **options: SubsetRandomSampler(torch.tensor([3, 1, 22, 7]), **options),
        "tensor": lambda **_: torch.tensor([3, 1, 22, 7]),
    }


@pytest.mark.parametrize("kind", samplers())
@pytest.mark.parametrize("prefetch", [0, 2])
def test_as_they_draw_by_themselves(numbers, kind, prefetch):
    expected = [int(i) for i in samplers()[kind](generator=seeded())]
    sampler = samplers()[kind](generator=seeded())
    batches = numbers.batch_iterator(4, sampler=sampler, prefetch=prefetch)
    assert len(batches) == -(-len(expected) // 4)
    assert orders(batches) == in_batches(expected, 4)
    if kind == "weighted":
        assert np.bincount(expected, minlength=N).argmax() == N - 1


def test_the_default_generator(numbers):
    torch.manual_seed(5)
    expected = list(RandomSampler(range(N)))
    torch.manual_seed(5)
    assert orders(numbers.batch_iterator(4, sampler=RandomSampler(range(N)))) == in_batches(expected, 4)


def test_a_distributed_sampler_is_told_the_epoch(numbers):
    samplers = [DistributedSampler(range(N), 2, rank, seed=3) for rank in range(2)]
    for epoch in range(3):
        drawn = []
        for sampler in samplers:
            other = DistributedSampler(range(N), 2, sampler.rank, seed=3)
            other.set_epoch(epoch)
            (order,) = orders(numbers.batch_iterator(N, sampler=sampler, epoch=epoch))
            assert order == list(other)
            drawn += order
        assert set(drawn) == set(range(N))


def test_wrong_ones(numbers):
    with pytest.raises(TypeError, match="found list of 4 at position 0: if it draws batches"):
        next(numbers.batch_iterator(4, sampler=BatchSampler(SequentialSampler(range(N)), 4, False)))
    with pytest.raises(TypeError, match="found Tensor of 2 at position 0"):
        next(numbers.batch_iterator(4, sampler=torch.zeros((3, 2), dtype=torch.int64)))
    for wrong in (torch.zeros(N), torch.ones(N, dtype=torch.bool)):
        with pytest.raises(TypeError, match=r"must give integers, found tensor\(.*\) at position 0"):
            next(numbers.batch_iterator(4, sampler=wrong))
    with pytest.raises(IndexError, match="index 23 at position 23 is out of range for 23 samples"):
        list(numbers.batch_iterator(4, sampler=SequentialSampler(range(N + 1))))


@pytest.mark.parametrize("count", [0, 1])
@pytest.mark.parametrize("kind", samplers())
def test_states(kind, count):
    """A generator of the sampler's is set to the state it had, so that later epochs go on, too."""
    source, sampler = ArrayDataSource([Numbers(N)]), samplers()[kind](generator=seeded())
    list(source.batch_iterator(3, sampler=sampler))
    batches = source.batch_iterator(3, sampler=sampler)
    for _ in range(count):
        next(batches)
    state = json.loads(json.dumps(batches.state_dict()))
    rest = orders(batches), orders(source.batch_iterator(3, sampler=sampler))
    other, sampler = ArrayDataSource([Numbers(N)]), samplers()[kind](generator=seeded(8))
    other.load_state_dict(state)
    assert (
        orders(other.batch_iterator(3, sampler=sampler)),
        orders(other.batch_iterator(3, sampler=sampler)),
    ) == rest


def test_a_state_of_the_default_generator(numbers):
    batches = numbers.batch_iterator(4, sampler=RandomSampler(range(N)))
    next(batches)
    state = batches.state_dict()
    for sampler in (RandomSampler(range(N)), RandomSampler(range(N), generator=seeded())):
        with pytest.raises(ValueError, match="without a generator of its own, RandomSampler, cannot"):
            numbers.batch_iterator(4, sampler=sampler).load_state_dict(state)
    state["shuffle"]["rng"] = "00"
    with pytest.raises(ValueError, match="rng is none that the sampler's generator can take"):
        numbers.batch_iterator(4, sampler=sampler).load_state_dict(state)


# ---- TorchIterable -----------------------------------------------------------------------------


class Lazy(Sampler):
    """Draws each index when it is asked for, without a length."""

    def __iter__(self):
        for _ in range(17):
            yield torch.randint(N, ())


def epoch_of(dataset, workers=0, start=None, stay=False):
    options = (
        {"multiprocessing_context": start, "timeout": 120, "persistent_workers": stay} if workers else {}
    )
    return [x.tolist() for (x,) in DataLoader(dataset, batch_size=None, num_workers=workers, **options)]


@pytest.mark.parametrize(
    "sampler",
    [
        WeightedRandomSampler(WEIGHTS, 40),
        RandomSampler(range(N)),
        Lazy(),
        DistributedSampler(range(N), 2, 1, seed=3),
        ClassBalancedSampler(LABELS, seed=4),
    ],
    ids=lambda sampler: type(sampler).__name__,
)
def test_workers_share_the_batches(sampler):
    dataset = TorchIterable(ArrayDataSource([np.arange(N)], seed=3), 4, sampler=sampler)
    torch.manual_seed(1)
    before = torch.get_rng_state()
    dataset.set_epoch(0)
    alone = [[x.tolist() for (x,) in dataset]]
    assert torch.equal(torch.get_rng_state(), before)
    dataset.set_epoch(1)
    alone.append([x.tolist() for (x,) in dataset])
    assert alone[0] != alone[1]
    total = sum(len(list(batch)) for batch in alone[0])
    if not isinstance(sampler, Lazy):
        assert len(dataset) == len(alone[0]) and total == len(sampler)
    if isinstance(sampler, RandomSampler):
        assert sorted(itertools.chain(*alone[0])) == list(range(N))
    for workers in (1, 3):
        for epoch in range(2):
            dataset.set_epoch(epoch)
            assert epoch_of(dataset, workers, "fork") == alone[epoch]


def test_without_set_epoch_every_epoch_differs():
    dataset = TorchIterable(ArrayDataSource([np.arange(N)]), 4, sampler=RandomSampler(range(N)))
    runs = []
    for _ in range(2):
        torch.manual_seed(3)
        runs.append([str(epoch_of(dataset, 2, "fork")) for _ in range(2)])
    assert runs[0] == runs[1] and len(set(runs[0])) == 2


def test_fixed_orders():
    dataset = TorchIterable(ArrayDataSource([np.arange(N)]), 4, sampler=[5, 1, 1, 2, 0])
    assert epoch_of(dataset) == epoch_of(dataset, 2, "fork") == [[5, 1, 1, 2], [0]]


def test_what_workers_cannot_share():
    source = ArrayDataSource([np.arange(N)])
    for sampler, error, text in [
        (iter([1]), TypeError, "begins again in every epoch, found an iterator, list_iterator"),
        (Parts([1]), TypeError, "give one like BatchUp's to the source"),
        (RandomSampler(range(N), generator=seeded()), ValueError, "RandomSampler has a generator of its own"),
        (3, TypeError, "found int"),
    ]:
        with pytest.raises(error, match=text):
            TorchIterable(source, 4, sampler=sampler)


def test_a_balanced_sampler_in_a_loader_of_torchs():
    sampler = ClassBalancedSampler(LABELS)
    loader = DataLoader(torch.arange(N), batch_size=5, sampler=sampler)
    assert torch.cat(list(loader)).tolist() == list(sampler)
