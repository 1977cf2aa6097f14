# SPDX-License-Identifier: BSD-3-Clause
"""Timing of contestants that take turns.

Every contestant does the same work in every round, in blocks that take turns, and the order rotates from block to
block, so a machine that slows down for a while slows all of them down. A rate is the median of the rounds; "min" and
"max" are the slowest and the fastest round. A ratio is the median, over all blocks of all rounds, of two contestants'
times for the same block in the same round. Ratios carry over to other machines; absolute figures do not.
"""

import gc
from collections.abc import Callable, Hashable, Mapping
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from fastimg.progress import progress_bar

_Name = TypeVar("_Name", bound=Hashable)

#: For each contestant, seconds of shape (rounds, blocks).
Seconds = dict[_Name, npt.NDArray[np.float64]]


def slices(count: int, block: int) -> list[slice]:
    """Return the slices of `block` items that make up `count` items; the last one may be shorter."""
    return [slice(first, min(first + block, count)) for first in range(0, count, block)]


def interleave(
    jobs: Mapping[_Name, Callable[[int], float]],
    blocks: int,
    rounds: int,
    desc: str,
    bar: bool = True,
    leave: bool = True,
) -> Seconds[_Name]:
    """Time jobs that take turns.

    Parameters
    ----------
    jobs : mapping of name to callable (block) -> float
        Does a block and returns how many seconds that took.
    blocks, rounds : int
    desc : str
        The title of the progress bar.
    bar : bool
        Whether there is one.
    leave : bool
        Whether it stays.

    Returns
    -------
    dict of name to ndarray, (rounds, blocks)
        Seconds.
    """
    names = list(jobs)
    seconds = {name: np.zeros((rounds, blocks)) for name in names}
    gc.collect()
    gc.disable()  # as timeit does: a collection would land on whoever is running
    try:
        never = {} if bar else {"disable": True}  # else TQDM_DISABLE decides
        with progress_bar(total=rounds * blocks * len(names), desc=desc, leave=leave, **never) as done:
            for turn in range(rounds * blocks if names else 0):
                round_, block = divmod(turn, blocks)
                shift = turn % len(names)
                for name in names[shift:] + names[:shift]:
                    seconds[name][round_, block] = jobs[name](block)
                    done.update()
    finally:
        gc.enable()
    return seconds


def ratio(of: npt.ArrayLike, to: npt.ArrayLike) -> float:
    """Return the median of `of` / `to`, element by element."""
    return float(np.median(np.divide(of, to)))


def compare(
    seconds: Mapping[Any, npt.NDArray[np.float64]],
    amount: float,
    found: dict[Any, dict[str, Any]],
    subject: Any = "fastimg",
) -> dict[Any, dict[str, Any]]:
    """Add "rate", "min", "max" and "times" to the rows `found`, {name: figures}; return them, fastest first.

    Rates are `amount`, the work of one round, per second. "times" says how many times as fast `subject` is, and
    "quartiles" are those of the ratios that it is the median of. The order is by "times", which noise disturbs least,
    or by rate if the subject is absent; those that were not timed come last.
    """
    for name, values in seconds.items():
        rates = amount / values.sum(axis=1)  # (rounds,)
        found[name] |= {"rate": np.median(rates), "min": min(rates), "max": max(rates), "rates": list(rates)}
        if subject in seconds:
            found[name]["times"] = ratio(values, seconds[subject])
            found[name]["quartiles"] = np.quantile(values / seconds[subject], [0.25, 0.75]).tolist()
    order = {name: found[name].get("times", -found[name]["rate"]) for name in seconds}
    return dict(sorted(found.items(), key=lambda item: order.get(item[0], np.inf)))
