# SPDX-License-Identifier: BSD-3-Clause
"""Counter-based random numbers: each is computed from its position, in any order, without state."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
import numpy.typing as npt

Words = npt.NDArray[np.uint64]

#: SplitMix64's step: 2**64 divided by the golden ratio, made odd.
_STEP = np.uint64(0x9E3779B97F4A7C15)


def _mix(words: Words) -> Words:
    """SplitMix64's output function, a bijection of 64 bits, in place.

    The generator is that of Steele, Lea and Flood, "Fast splittable pseudorandom number generators" (2014); shifts and
    factors are Stafford's, variant 13 of MurmurHash3's finaliser ("Better bit mixing", 2011), as in Vigna's
    splitmix64.c.
    """
    words ^= words >> np.uint64(30)
    words *= np.uint64(0xBF58476D1CE4E5B9)
    words ^= words >> np.uint64(27)
    words *= np.uint64(0x94D049BB133111EB)
    words ^= words >> np.uint64(31)
    return words


@lru_cache(maxsize=64)  # asked for at every access
def make_key(seed: int, epoch: int) -> int:
    """64 bits from two integers of at least 0 and any size: the start of an epoch's numbers."""
    return int(np.random.SeedSequence(seed, spawn_key=(epoch,)).generate_state(1, np.uint64)[0])


def streams(key: int, indices: npt.NDArray[np.int64]) -> Words:
    """The start of each sample's numbers.

    Parameters
    ----------
    key : int
        From `make_key`.
    indices : int64 ndarray, (n,)
        Which samples, at least 0.

    Returns
    -------
    uint64 ndarray, (n,)
        A SplitMix64 state per sample, itself a number of the generator that starts at the key.
    """
    return _mix(np.uint64(key) + indices.astype(np.uint64) * _STEP)


def uniform(states: Words, first: int, count: int) -> npt.NDArray[np.float64]:
    """Numbers from [0, 1), multiples of 2**-53.

    Parameters
    ----------
    states : uint64 ndarray, (n,)
        From `streams`.
    first, count : int
        Which numbers of each stream, from 0.

    Returns
    -------
    float64 ndarray, (count, n)
    """
    steps = np.arange(first + 1, first + 1 + count, dtype=np.uint64) * _STEP
    words = _mix(states + steps[:, None]) >> np.uint64(11)
    return words.astype(np.float64) * 2.0**-53
