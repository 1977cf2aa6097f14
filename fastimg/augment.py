# SPDX-License-Identifier: BSD-3-Clause
"""Random boxes that depend only on seed, epoch and index, and the image sizes that drawing them takes."""

from __future__ import annotations

from functools import lru_cache
from numbers import Real
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

import fastimg._decode as _decode
from fastimg.crops import Boxes
from fastimg.fallback import Fallback
from fastimg.indexing import Indices
from fastimg.on_error import fault_error, find_fault
from fastimg.options import Options
from fastimg.other_headers import read_others
from fastimg.readers import Reading
from fastimg.sources import SourceList
from fastimg.threads import run_batch

#: A box that no JPEG contains, as sides are at most 65535, nor any image of fewer than 2**32 pixels: one without a
#: header must fail even if the file is replaced meanwhile.
_NOWHERE = (0, 0, 65536, 65536)


class KnownSizes:
    """Heights and widths of the images of a list, each kept when it is first met.

    Threads may share it: several may meet the same size at once, and write the same value.

    Parameters
    ----------
    table : int32 ndarray, (N, 2)
        0: not known yet.
    """

    def __init__(self, table: npt.NDArray[np.int32]) -> None:
        self.table = table
        self._is_mine = False

    def __getstate__(self) -> tuple[int, npt.NDArray[np.int32] | None]:
        return len(self.table), self.table if self.table.any() else None

    def __setstate__(self, state: tuple[int, npt.NDArray[np.int32] | None]) -> None:
        count, table = state
        self.__init__(np.zeros((count, 2), np.int32) if table is None else table)  # type: ignore[misc]

    def learn(self, indices: Indices, sizes: npt.NDArray[np.int32]) -> None:
        """Keeps sizes, (n, 2), but for those that are 0."""
        new = np.flatnonzero((sizes[:, 0] > 0) & (sizes != self.table[indices]).any(axis=1))
        if not len(new):
            return
        if not self._is_mine:  # it may be the caller's, or a file
            self.table, self._is_mine = self.table.copy(), True
        self.table[indices[new]] = sizes[new]

    def get(
        self,
        sources: SourceList,
        options: Options,
        indices: Indices,
        num_threads: int | None,
        reading: Reading,
        fallback: Fallback | None,
    ) -> npt.NDArray[np.int64]:
        """(n, 2); -1 where the header cannot be read, which the next call tries again. `options` have no size.

        Raises
        ------
        MemoryError, OSError
            If there is no memory, no file can be opened, or 32 in a row cannot be read, whatever the images are.
        """
        sizes = self.table[indices].astype(np.int64)
        # Look at both: another thread may have written only one yet.
        missing = np.flatnonzero((sizes == 0).any(axis=1))
        if len(missing):
            wanted, places = np.unique(indices[missing], return_inverse=True)
            batch = _decode.Batch(sources, wanted, options, None, False, False, fallback=fallback)
            run_batch(batch, num_threads, reading.start(batch.by_caller))
            read_others(batch, sources, wanted, fallback, options.values["max_pixels"])
            fault = find_fault(batch.failures())
            if fault:  # the image may have a header
                index = int(wanted[fault.position])
                raise fault_error(fault, sources[index], index)
            found = batch.sizes()
            self.learn(wanted, found.astype(np.int32))
            sizes[missing] = found[places]
        return sizes


@lru_cache(maxsize=64)  # asked for at every access
def make_key(seed: int, epoch: int, view: int = 0) -> int:
    """64 bits from integers of at least 0 and any size: the start of an epoch's numbers, for one view of its images."""
    path = (epoch, view) if view else (epoch,)
    return int(np.random.SeedSequence(seed, spawn_key=path).generate_state(1, np.uint64)[0])


class RandomBoxes(NamedTuple):
    """Draws the boxes of one epoch; its fields have been checked.

    Attributes
    ----------
    scale, ratio : (float, float)
        As for `random_crops`.
    flip : float
        The probability that an image is mirrored.
    seed, epoch : int
        At least 0, of any size.
    """

    scale: tuple[float, float]
    ratio: tuple[float, float]
    flip: float
    seed: int
    epoch: int = 0

    def for_core(self, key: int | None = None) -> tuple[Any, ...]:
        """The same as the core takes it."""
        return self.scale, self.ratio, self.flip, make_key(self.seed, self.epoch) if key is None else key

    def draw(
        self, sizes: npt.NDArray[np.int64], indices: Indices, key: int | None = None
    ) -> tuple[Boxes, npt.NDArray[np.bool_]]:
        """Boxes, (n, 4), and flips, (n,), for images of these indices and sizes, (n, 2); `sizes` is overwritten.

        `key`: in the place of that of the seed and the epoch.
        """
        unknown = sizes[:, 0] < 0
        sizes[unknown] = 1
        boxes, flips = _decode.draw_boxes(sizes, indices, self.for_core(key))
        boxes[unknown] = _NOWHERE
        return boxes, flips


def parse_probability(name: str, value: Any) -> float:
    number = isinstance(value, Real) and not isinstance(value, bool)
    if not number:
        raise TypeError(f"{name} must be a probability from 0 to 1, found {value!r}")
    if not 0 <= value <= 1:
        raise ValueError(f"{name} must be a probability from 0 to 1, found {value!r}")
    return float(value)
