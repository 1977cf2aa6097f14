# SPDX-License-Identifier: BSD-3-Clause
"""The samples of an epoch, their order, and its state."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator
from typing import Any, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from fastimg.indexing import Indices, resolve_many
from fastimg.options import parse_integer
from fastimg.samplers import draw_batches, has_batchup_methods, sampler_length

Rng: TypeAlias = "np.random.RandomState | np.random.Generator"
Shuffle: TypeAlias = "bool | int | np.random.RandomState | np.random.Generator | None"


class Order:
    """The order of one epoch, from `shuffle`.

    Parameters
    ----------
    shuffle : None, bool, int, RandomState or Generator
    seed, epoch : int
        For ``shuffle=True``, whose order depends only on them.

    Raises
    ------
    TypeError, ValueError
        If `shuffle` is something else, or an int that is not the seed of a RandomState.
    """

    def __init__(self, shuffle: Any, seed: int, epoch: int) -> None:
        self.seed: int | None = None
        self.rng: Rng | None = None
        if shuffle is None or shuffle is False:
            self.kind = "none"
        elif shuffle is True:
            self.kind, self.seed = "True", seed
            # NumPy never changes the streams of a RandomState; those of a Generator's methods it may.
            self.rng = np.random.RandomState(np.random.MT19937(np.random.SeedSequence([seed, epoch])))
        elif isinstance(shuffle, int | np.integer):
            if not 0 <= shuffle < 2**32:
                raise ValueError(f"shuffle must be a seed from 0 to 2**32 - 1, found {shuffle}")
            self.kind, self.seed = "int", int(shuffle)
            self.rng = np.random.RandomState(self.seed)
        elif isinstance(shuffle, np.random.RandomState | np.random.Generator):
            self.kind, self.rng = type(shuffle).__name__, shuffle
        else:
            raise TypeError(
                f"shuffle must be None, a bool, an integer seed, a RandomState or a Generator, found {shuffle!r}"
            )

    @property
    def is_own(self) -> bool:
        """Whether no random number generator of the caller's is used."""
        return self.rng is None or self.seed is not None

    def state(self) -> dict[str, Any]:
        """Plain types that `restore` takes, if called before the order is drawn."""
        state: dict[str, Any] = {"kind": self.kind, "seed": self.seed, "rng": None}
        if isinstance(self.rng, np.random.Generator):
            state["rng"] = _plain(self.rng.bit_generator.state)
        elif self.rng is not None and self.seed is None:
            state["rng"] = _plain(self.rng.get_state(legacy=False))
        return state

    def begin(self) -> None:
        """Called before the order is drawn."""

    def restore(self, state: dict[str, Any], drawn: bool) -> None:
        """Sets the caller's random number generator to the state it had; ValueError if `state` is of another order."""
        if state["kind"] == "sampler":
            raise ValueError("the state is of an epoch with a sampler, found none")
        if state["kind"] != self.kind:
            raise ValueError(f"the state is of shuffle={state['kind']}, found shuffle={self.kind}")
        if state["seed"] != self.seed:
            raise ValueError(f"the state is of shuffle={state['seed']}, found shuffle={self.seed}")
        if self.rng is None or self.seed is not None:
            return
        try:
            if isinstance(self.rng, np.random.Generator):
                self.rng.bit_generator.state = _arrays(state["rng"])
            else:
                self.rng.set_state(_arrays(state["rng"]))
        except (KeyError, TypeError, ValueError, OverflowError) as error:
            name = state["rng"].get("bit_generator") if isinstance(state["rng"], dict) else state["rng"]
            raise ValueError(f"the state's rng, {name!r}, is none that shuffle can take: {error}") from None


def check_order_state(state: Any) -> dict[str, Any]:
    """Refuses what no order's `state` can have been, with ValueError."""
    if not isinstance(state, dict) or not {"kind", "seed", "rng"} <= state.keys():
        raise ValueError(f"the state's shuffle must be a dict with kind, seed and rng, found {state!r}")
    return state


def _plain(value: Any) -> Any:
    """Turns arrays into lists, for JSON."""
    if isinstance(value, dict):
        return {key: _plain(entry) for key, entry in value.items()}
    return value.tolist() if isinstance(value, np.ndarray | np.generic) else value


def _arrays(value: Any) -> Any:
    """The inverse of `_plain`; lists hold the words of a generator's state."""
    if isinstance(value, dict):
        return {key: _arrays(entry) for key, entry in value.items()}
    return np.array(value, np.uint64) if isinstance(value, list) else value


class Samples(NamedTuple):
    """What the batches of an epoch are drawn from, and how often.

    Attributes
    ----------
    indices : int64 ndarray, (n,)
    repeats : int
        How often all of them are drawn; -1: without end.
    sampler : object or None
        Draws the indices instead: as BatchUp's samplers do, or it is an iterable of positions among them.
    """

    indices: Indices
    repeats: int
    sampler: Any

    @property
    def is_iterable(self) -> bool:
        """Whether the sampler is an iterable of positions."""
        return self.sampler is not None and not has_batchup_methods(self.sampler)

    def total(self) -> int | None:
        """The number of samples in an epoch; None if it has no end, or the sampler does not say."""
        if self.is_iterable:
            return sampler_length(self.sampler)
        if self.sampler is not None:
            count = getattr(self.sampler, "num_indices_generated", lambda: None)()
            return None if count is None or count == math.inf else int(count)
        return None if self.repeats < 0 else len(self.indices) * self.repeats

    def finite_total(self) -> int:
        """The same, but TypeError instead of None."""
        count = self.total()
        if count is None and self.sampler is not None:
            raise TypeError("a sampler that does not say how many samples it draws has no len()")
        if count is None:
            raise TypeError("a data source without an end has no len()")
        return count

    def finite_batches(self, batch_size: int, drop_last: bool) -> int:
        """The number of batches in an epoch; TypeError like `finite_total`."""
        count = self.finite_total()
        return count // batch_size if drop_last else -(-count // batch_size)

    def draw(self, batch_size: int, rng: Rng | None, drop_last: bool) -> Iterator[Indices]:
        """Yields the indices of each batch of an epoch, shuffled by `rng` if there is one."""
        if self.is_iterable:
            return draw_batches(self.sampler, self.indices, batch_size, drop_last)
        return (self._draw if self.sampler is None else self._draw_by_sampler)(batch_size, rng, drop_last)

    def _draw(self, batch_size: int, rng: Rng | None, drop_last: bool) -> Iterator[Indices]:
        rest = self.indices[:0]
        for _ in itertools.count() if self.repeats < 0 else range(self.repeats):
            order = self.indices if rng is None else rng.permutation(self.indices)
            rest = np.concatenate([rest, order]) if len(rest) else order
            while len(rest) >= batch_size:
                yield rest[:batch_size]
                rest = rest[batch_size:]
            if not len(self.indices):
                return
        if len(rest) and not drop_last:
            yield rest

    def _draw_by_sampler(self, batch_size: int, rng: Rng | None, drop_last: bool) -> Iterator[Indices]:
        batches: Iterator[npt.NDArray[Any]] = (
            self.sampler.in_order_indices_batch_iterator(batch_size)
            if rng is None
            else self.sampler.shuffled_indices_batch_iterator(batch_size, rng)
        )
        for indices in batches:
            if len(indices) == batch_size or not drop_last:
                yield self.indices[resolve_many(np.asarray(indices), len(self.indices))]


def parse_repeats(value: Any) -> int:
    repeats = parse_integer("repeats", value, -1)
    if repeats == 0:
        raise ValueError("repeats must be at least 1, or -1 for ever, found 0")
    return repeats


def parse_seed(seed: int | None) -> int:
    if seed is None:
        return int(np.random.SeedSequence().generate_state(1, np.uint64)[0])
    return parse_integer("seed", seed, 0)
