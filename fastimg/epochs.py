# SPDX-License-Identifier: BSD-3-Clause
"""The epochs of a data source: the indices of their batches, how far the caller has come, and which comes next."""

from __future__ import annotations

import copy
import itertools
import math
from collections.abc import Callable, Iterator
from typing import Any

from fastimg.indexing import Indices
from fastimg.options import parse_integer
from fastimg.samplers import SamplerOrder
from fastimg.sampling import Order, Samples, check_order_state

STATE_VERSION = 1


class Epoch:
    """The indices of an epoch's batches, and how many batches the caller has got.

    Parameters
    ----------
    samples : Samples
    batch_size : int
    shuffle : None, bool, int, RandomState or Generator
        As for `Order`.
    drop_last : bool
    seed, number : int
        The data source's seed, and the number of the epoch.
    part : (int, int)
        (i, n): only batches i, i + n, and so on.
    sampler : object, optional
        Draws this epoch's indices: see `Samples`.

    Attributes
    ----------
    seed, number : int
    delivered : int
        How many batches the caller has got.
    """

    def __init__(
        self,
        samples: Samples,
        batch_size: int,
        shuffle: Any,
        drop_last: bool,
        seed: int,
        number: int,
        part: tuple[int, int] = (0, 1),
        *,
        sampler: Any = None,
    ) -> None:
        self._samples = samples if sampler is None else samples._replace(sampler=sampler)
        self._source_total = samples.total()
        self._batch_size = batch_size
        self._shuffle = shuffle
        self._drop_last = drop_last
        self._part = part
        self._begin(number, seed)

    def _begin(self, number: int, seed: int) -> None:
        self.number = number
        self.delivered = 0
        self._skip = 0
        self._order: Order | SamplerOrder = (
            SamplerOrder(self._samples.sampler, number)
            if self._samples.is_iterable
            else Order(self._shuffle, seed, number)
        )
        self.seed = seed
        self._batches: Iterator[Indices] | None = None
        self._before: dict[str, Any] | None = None  # the order's state before it was drawn

    def next_indices(self) -> Indices | None:
        """The indices of the next batch to be made, or None at the end."""
        if self._batches is None:
            self._before = self._order.state()
            self._order.begin()
            batches = self._samples.draw(self._batch_size, self._order.rng, self._drop_last)
            self._batches = itertools.islice(batches, self._part[0], None, self._part[1])
            for _ in range(self._skip):
                next(self._batches, None)
        return next(self._batches, None)

    @property
    def may_draw_ahead(self) -> bool:
        """Whether more can be drawn without the caller's noticing: all its random numbers have been drawn by then."""
        samples = self._samples
        if samples.sampler is not None:
            return samples.is_iterable and self._order.is_own
        return samples.repeats == 1 or self._order.is_own

    def batches_left(self) -> int:
        """The number of batches that the caller has yet to get."""
        count = self._samples.finite_batches(self._batch_size, self._drop_last)
        return len(range(self._part[0], count, self._part[1])) - self.delivered

    def state(self, begun: bool = True) -> dict[str, Any]:
        """Where the caller stands, in plain types."""
        state = {
            "version": STATE_VERSION,
            "epoch": self.number,
            "seed": self.seed,
            "samples": self._source_total,
            "batch_size": self._batch_size if begun else None,
            "batches": self.delivered,
            "shuffle": (self._before or self._order.state()) if begun else None,
        }
        return state if self._part == (0, 1) else {**state, "part": list(self._part)}

    def load(self, state: dict[str, Any]) -> None:
        """Goes on where the epoch of `state` stood.

        Raises
        ------
        ValueError, TypeError
            If `state` is not one, or is of an epoch of another kind.
        """
        check_state(state, self._source_total)
        self._begin(state["epoch"], state["seed"])
        if state["batch_size"] is None:
            return
        if state["batch_size"] != self._batch_size:
            raise ValueError(f"the state is of batch_size={state['batch_size']}, found {self._batch_size}")
        part = state.get("part", [0, 1])
        if part != list(self._part):
            raise ValueError(f"the state is of part {part} of the batches, found {list(self._part)}")
        left = math.inf if self._samples.total() is None else self.batches_left()
        if state["batches"] > left:
            raise ValueError(f"the state's batches must be at most {left}, found {state['batches']}")
        self._order.restore(check_order_state(state["shuffle"]), state["batches"] > 0)
        self.delivered = self._skip = state["batches"]


class EpochCounter:
    """Which epoch of a data source begins next, and where.

    Parameters
    ----------
    seed : int
        The source's.

    Attributes
    ----------
    told : bool
        Whether the caller ever said which epoch it is, or has been warned.
    """

    def __init__(self, seed: int) -> None:
        self.told = False
        self._seed = seed
        self._next = 0  # if no epoch has begun
        self._last: Epoch | None = None
        self._loaded: dict[str, Any] | None = None
        self._is_copy = False  # whether `_loaded` is the state of the source this was copied from

    def upcoming(self) -> tuple[int, int]:
        """The seed and the number of the next epoch."""
        if self._loaded is not None and not self._is_copy:
            return self._loaded["seed"], self._loaded["epoch"]
        last = self._last  # once, as another thread may name an epoch meanwhile
        if last is not None:
            return last.seed, last.number + 1
        return self._seed, self._next

    def derive(self, seed: int | None, keep_loaded: bool) -> EpochCounter:
        """The counter of a source made from this one, which begins the same epoch next.

        Parameters
        ----------
        seed : int or None
            None: this one's.
        keep_loaded : bool
            Whether it continues a state that was loaded here.
        """
        own, number = self.upcoming()
        other = EpochCounter(own if seed is None else seed)
        other.told, other._next = self.told, number
        if keep_loaded and not self._is_copy:
            other._loaded = self._loaded
        return other

    def copy(self) -> EpochCounter:
        """The counter of a copy, which continues like a source that has loaded this one's state."""
        other = copy.copy(self)
        other._last = None  # it holds a generator of indices
        if self._last is not None and self._loaded is None:
            other._seed, other._next = self.upcoming()
            other._loaded, other._is_copy = self._last.state(), True
        return other

    def begin(self, make: Callable[[int, int], Epoch], number: int | None = None) -> Epoch:
        """Begins the next epoch, which `make` makes from its seed and number; `number`: as `set` names it.

        Threads that share a source, and name their epochs here, get these.
        """
        if number is not None:
            self.set(number)
        loaded, self._loaded = self._loaded, None
        seed, upcoming = self.upcoming()
        begun = make(seed, upcoming if number is None else number)
        if loaded is not None:
            begun.load(loaded)
        self._last = begun
        return begun

    def set(self, number: int) -> None:
        """Names the next epoch."""
        self._seed, upcoming = self.upcoming()
        if self._loaded is None or self._is_copy or upcoming != number:
            self._last = self._loaded = None
        self._next, self.told = number, True

    def state(self, make: Callable[[int, int], Epoch]) -> dict[str, Any]:
        """The state of the last epoch, or of the next one, made by `make`, if none has begun."""
        if self._last is not None and self._loaded is None:
            return self._last.state()
        if self._loaded is not None:
            return self._loaded
        return make(*self.upcoming()).state(begun=False)

    def load(self, state: dict[str, Any]) -> None:
        """Continues from `state`, which has been checked."""
        self._loaded, self._is_copy, self.told = copy.deepcopy(state), False, True


def check_state(state: Any, total: int | None) -> None:
    """Refuses all but states of sources with `total` samples in an epoch, with ValueError or TypeError."""
    if not isinstance(state, dict):
        raise TypeError(f"a state must be a dict, found {type(state).__name__}")
    if state.get("version") != STATE_VERSION:
        raise ValueError(f"a state must be of version {STATE_VERSION}, found {state.get('version')!r}")
    missing = {"epoch", "seed", "samples", "batch_size", "batches", "shuffle"} - state.keys()
    if missing:
        raise ValueError(f"the state has no {', '.join(sorted(missing))}")
    for name in ("epoch", "seed", "batches"):
        parse_integer(f"the state's {name}", state[name], 0)
    if state["batch_size"] is not None:
        parse_integer("the state's batch_size", state["batch_size"], 1)
    elif state["batches"] or state["shuffle"] is not None:
        raise ValueError("the state's batch_size must be an integer once an epoch has begun, found None")
    if state["samples"] != total:
        raise ValueError(f"the state is of {state['samples']} samples, found {total}")
