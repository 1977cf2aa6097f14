# SPDX-License-Identifier: BSD-3-Clause
"""Samplers that a caller gives to an epoch: iterables of indices, such as PyTorch's, and one of equal classes."""

from __future__ import annotations

import itertools
import operator
import sys
from collections.abc import Iterable, Iterator
from typing import Any, Protocol, SupportsIndex, TypeAlias

import numpy as np

from fastimg.indexing import Indices
from fastimg.options import parse_integer
from fastimg.sample_arrays import by_position

#: Sets the orders of a ClassBalancedSampler apart from those of shuffle=True with the same seed.
_STREAM = 1


class BatchUpSampler(Protocol):
    """What BatchUp's samplers have: they draw whole batches of indices."""

    def in_order_indices_batch_iterator(self, batch_size: int, /) -> Iterable[Any]: ...

    def shuffled_indices_batch_iterator(self, batch_size: int, rng: Any, /) -> Iterable[Any]: ...


Sampler: TypeAlias = Iterable[SupportsIndex] | BatchUpSampler

_METHODS = ("in_order_indices_batch_iterator", "shuffled_indices_batch_iterator")


class ClassBalancedSampler:
    """Draws every class equally often, in an order that depends on the seed and the epoch alone.

    For `ArrayDataSource.batch_iterator`, `TorchIterable` and PyTorch's ``DataLoader``, as their ``sampler``.

    Parameters
    ----------
    labels : (n,) array-like
        The class of each sample: integers or text.
    num_samples : int, optional
        How many samples an epoch draws; None: n.
    seed : int
        At least 0.

    Raises
    ------
    ValueError
        If `labels` are none, or not one per sample, or a number is out of range.
    TypeError
        If an argument has the wrong type, or the labels cannot be compared.

    Notes
    -----
    Classes differ by at most one sample in an epoch; which get one more is drawn. Within an epoch a sample comes again
    only after all others of its class.

    For a `subset` or a `shard` of a source, give the labels of its samples: ``labels[rank::world]``.

    Examples
    --------
    >>> labels = np.array([0, 0, 0, 0, 0, 0, 1, 1])
    >>> sampler = fastimg.data_source.ClassBalancedSampler(labels, seed=1)
    >>> np.bincount(labels[list(sampler)]).tolist()
    [4, 4]
    >>> source = fastimg.data_source.ArrayDataSource([labels])
    >>> batches = list(source.batch_iterator(4, sampler=sampler))
    """

    def __init__(self, labels: Any, num_samples: int | None = None, *, seed: int = 0) -> None:
        array = np.asarray(by_position(labels, "labels"))
        if array.ndim != 1 or not len(array):
            raise ValueError(f"labels must have shape (n,), one for each sample, found {array.shape}")
        try:
            classes, codes = np.unique(array, return_inverse=True)
        except TypeError as error:
            raise TypeError(f"labels must be integers or text, found {array.dtype}: {error}") from None
        order = np.argsort(codes, kind="stable")
        ends = np.cumsum(np.bincount(codes, minlength=len(classes)))
        self._members: list[Indices] = np.split(order.astype(np.int64, copy=False), ends[:-1])
        self.num_labels = len(array)
        self.num_samples = len(array) if num_samples is None else parse_integer("num_samples", num_samples, 1)
        self.seed = parse_integer("seed", seed, 0)
        self.epoch = 0

    def set_epoch(self, epoch: int) -> None:
        """Make `epoch` the one whose order is drawn next, until it is set again; `batch_iterator` does so itself.

        Parameters
        ----------
        epoch : int
            At least 0, of any size.

        Raises
        ------
        ValueError, TypeError
            If `epoch` is negative or not an integer.

        Examples
        --------
        >>> sampler = fastimg.data_source.ClassBalancedSampler([0, 0, 0, 1, 1, 1])
        >>> for epoch in range(3):
        ...     sampler.set_epoch(epoch)
        ...     order = list(sampler)
        """
        self.epoch = parse_integer("epoch", epoch, 0)

    def __len__(self) -> int:
        """The number of samples in an epoch."""
        return self.num_samples

    def __iter__(self) -> Iterator[int]:
        """The positions of the epoch's samples."""
        # The same generator as for shuffle=True: NumPy never changes the streams of a RandomState.
        seeds = np.random.SeedSequence([self.seed, self.epoch, _STREAM])
        rng = np.random.RandomState(np.random.MT19937(seeds))
        each, more = divmod(self.num_samples, len(self._members))
        counts = np.full(len(self._members), each)
        counts[rng.permutation(len(counts))[:more]] += 1
        drawn = [
            _cycle(members, int(count), rng) for members, count in zip(self._members, counts, strict=True)
        ]
        return iter(rng.permutation(np.concatenate(drawn)).tolist())

    def __repr__(self) -> str:
        return (
            f"<fastimg.data_source.ClassBalancedSampler: {self.num_samples} of {self.num_labels} samples, "
            f"{len(self._members)} classes>"
        )


def _cycle(members: Indices, count: int, rng: np.random.RandomState) -> Indices:
    """`count` of the members; none comes again before all have come."""
    rounds = [rng.permutation(members) for _ in range(-(-count // len(members)))]
    return np.concatenate([members[:0], *rounds])[:count]


def has_batchup_methods(sampler: Any) -> bool:
    """Whether it draws whole batches of indices, as BatchUp's samplers do."""
    return all(callable(getattr(sampler, name, None)) for name in _METHODS)


def check_batchup_sampler(sampler: Any) -> Any:
    """Refuses all but None and samplers like BatchUp's, with TypeError."""
    for name in _METHODS:
        if sampler is not None and not callable(getattr(sampler, name, None)):
            found = type(sampler).__name__
            hint = "; batch_iterator(sampler=...) takes iterables of indices" if _is_iterable(sampler) else ""
            raise TypeError(f"sampler must have a method {name}, found {found}{hint}")
    return sampler


def parse_sampler(sampler: Any, shuffle: Any, length: int) -> Any:
    """Checks the sampler of one epoch, which draws from `length` samples.

    Raises
    ------
    ValueError, TypeError
        If it is none, or does not fit `shuffle` or the samples.
    """
    if has_batchup_methods(sampler) and not isinstance(sampler, type):
        return sampler
    if isinstance(sampler, type) or not _is_iterable(sampler):
        kind = f"the class {sampler.__name__}" if isinstance(sampler, type) else type(sampler).__name__
        raise TypeError(f"sampler must be an iterable of indices, or have BatchUp's methods, found {kind}")
    if not (shuffle is None or shuffle is False):
        raise ValueError(f"a sampler draws the order: give no shuffle with it, found shuffle={shuffle!r}")
    if isinstance(sampler, np.ndarray):
        if sampler.dtype == np.bool_:
            raise TypeError("sampler must be indices, found a mask: subset(mask) chooses samples")
        if sampler.ndim != 1 or (sampler.dtype.kind not in "iu" and len(sampler)):
            raise TypeError(
                f"sampler must be a 1-D array of integers, found {sampler.dtype} of shape {sampler.shape}"
            )
    if isinstance(sampler, ClassBalancedSampler) and sampler.num_labels != length:
        raise ValueError(
            f"the sampler has the labels of {sampler.num_labels} samples, and the source {length} samples: give it "
            "those of the source's own samples, such as labels[rank::world] for a shard"
        )
    return sampler


def _is_iterable(value: Any) -> bool:
    return not isinstance(value, str | bytes | bytearray) and (
        isinstance(value, Iterable) or hasattr(value, "__getitem__")
    )


def sampler_length(sampler: Any) -> int | None:
    """How many indices an iterable gives, if it knows."""
    try:
        return len(sampler)
    except (TypeError, NotImplementedError):
        return None


def draw_batches(sampler: Any, samples: Indices, batch_size: int, drop_last: bool) -> Iterator[Indices]:
    """Yields batches of `samples`, at the positions that an iterable gives, of which it takes no more than it needs.

    Raises
    ------
    IndexError, TypeError
        If an entry is no position; the text says where it stands.
    """
    entries = iter(sampler)
    start = 0
    while True:
        batch = [
            _position(entry, start + i, len(samples))
            for i, entry in enumerate(itertools.islice(entries, batch_size))
        ]
        if not batch or (drop_last and len(batch) < batch_size):
            return
        yield samples[batch]
        if len(batch) < batch_size:
            return
        start += batch_size


def _position(entry: Any, at: int, length: int) -> int:
    is_mask = isinstance(entry, bool) or str(getattr(entry, "dtype", "")).endswith("bool")
    if getattr(entry, "ndim", 0) or isinstance(entry, list | tuple):
        raise TypeError(
            f"the sampler must give one index at a time, found {type(entry).__name__} of {len(entry)} at position {at}"
            ": if it draws batches, give batch_size and the sampler that it draws from"
        )
    try:
        if is_mask:
            raise TypeError
        index = operator.index(entry)
    except TypeError:
        text = f"the sampler must give integers, found {entry!r} at position {at}"
        raise TypeError(text) from None
    if not -length <= index < length:
        raise IndexError(f"the sampler's index {index} at position {at} is out of range for {length} samples")
    return index


class SamplerOrder:
    """The order of one epoch that an iterable draws: what `Order` is for `shuffle`.

    Parameters
    ----------
    sampler : iterable
    epoch : int
        For samplers with a method ``set_epoch``.
    """

    rng = None

    def __init__(self, sampler: Any, epoch: int) -> None:
        self._sampler = sampler
        self._epoch = epoch

    @property
    def is_own(self) -> bool:
        """Whether nothing of the caller's is called, which could notice what is drawn when."""
        return isinstance(self._sampler, ClassBalancedSampler | np.ndarray | list | tuple | range)

    def begin(self) -> None:
        """Tells the sampler the epoch, before it draws."""
        if hasattr(self._sampler, "set_epoch"):
            self._sampler.set_epoch(self._epoch)

    def state(self) -> dict[str, Any]:
        """As `Order.state`; a torch.Generator of the sampler's is kept as hexadecimal text."""
        generator: Any = getattr(self._sampler, "generator", None)
        rng = None
        if hasattr(generator, "get_state") and hasattr(generator, "set_state"):
            rng = np.asarray(generator.get_state()).tobytes().hex()
        return {"kind": "sampler", "seed": self._seed(), "rng": rng}

    def _seed(self) -> int | None:
        seed = getattr(self._sampler, "seed", None)
        return int(seed) if isinstance(seed, int | np.integer) else None

    def restore(self, state: dict[str, Any], drawn: bool) -> None:
        """Makes the sampler draw the order of `state` again, from its beginning.

        Parameters
        ----------
        state : dict
        drawn : bool
            Whether the caller has got any of it.

        Raises
        ------
        ValueError
            If it is not known to draw the same again.
        """
        kind = type(self._sampler).__name__
        if state["kind"] != "sampler":
            raise ValueError(f"the state is of an epoch without a sampler, found sampler={kind}")
        if state["seed"] != self._seed():
            raise ValueError(f"the state is of a sampler with seed {state['seed']}, found {self._seed()}")
        if drawn and isinstance(self._sampler, Iterator):
            raise ValueError(
                f"an epoch of a sampler that is an iterator, {kind}, cannot be continued: give an iterable that begins "
                "again, such as a list or an object with __iter__"
            )
        if hasattr(self._sampler, "set_epoch") or not hasattr(self._sampler, "generator"):
            return
        if self._sampler.generator is None or state["rng"] is None:
            if not drawn:
                return
            raise ValueError(
                f"an epoch of a sampler without a generator of its own, {kind}, cannot be continued: give it "
                "generator=torch.Generator()"
            )
        torch = sys.modules["torch"]  # whose generator it is
        try:
            held = np.frombuffer(bytes.fromhex(state["rng"]), np.uint8).copy()
            self._sampler.generator.set_state(torch.from_numpy(held))
        except (TypeError, ValueError, RuntimeError) as error:
            raise ValueError(
                f"the state's rng is none that the sampler's generator can take: {error}"
            ) from None
