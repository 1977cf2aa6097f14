# SPDX-License-Identifier: BSD-3-Clause
"""Random boxes that depend only on seed, epoch and index, and the image sizes that drawing them takes."""

from __future__ import annotations

from numbers import Real
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

import fastimg._decode as _decode
from fastimg.counter_rng import make_key, streams, uniform
from fastimg.crops import ATTEMPTS, Boxes, draw_boxes
from fastimg.errors import make_error
from fastimg.indexing import Indices
from fastimg.sources import SourceList
from fastimg.threads import run_batch

#: A box that no JPEG contains, as sides are at most 65535: an image without a header must fail even if the file is
#: replaced meanwhile.
_NOWHERE = (0, 0, 65536, 65536)


class KnownSizes:
    """Heights and widths of the images of a list, each read when first asked for.

    Threads may share it: several may read the same size at once, and write the same value.

    Parameters
    ----------
    sources : SourceList
    options : Options
        Without a `size`.
    """

    def __init__(self, sources: SourceList, options: _decode.Options) -> None:
        self._sources = sources
        self._options = options
        self._table = np.zeros((len(sources), 2), np.int32)

    def get(self, indices: Indices, num_threads: int | None) -> npt.NDArray[np.int64]:
        """(n, 2); -1 where the header cannot be read, which the next call tries again.

        Raises
        ------
        MemoryError, OSError
            If there is no memory, or no file can be opened, whatever the images are.
        """
        sizes = self._table[indices].astype(np.int64)
        # Look at both: another thread may have written only one yet.
        missing = np.flatnonzero((sizes == 0).any(axis=1))
        if len(missing):
            wanted, places = np.unique(indices[missing], return_inverse=True)
            sizes[missing] = self._read(wanted, num_threads)[places]
        return sizes

    def _read(self, indices: Indices, num_threads: int | None) -> npt.NDArray[np.int64]:
        batch = _decode.Batch(self._sources, indices, self._options, None, False, False)
        run_batch(batch, num_threads)
        for failure in batch.failures():
            if failure.is_machine_fault:  # the image may have a header
                index = int(indices[failure.position])
                raise make_error(failure, self._sources[index], index)
        sizes = batch.sizes()
        readable = sizes[:, 0] > 0
        self._table[indices[readable]] = sizes[readable]
        return sizes


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

    def draw(self, sizes: npt.NDArray[np.int64], indices: Indices) -> tuple[Boxes, npt.NDArray[np.bool_]]:
        """Boxes, (n, 4), and flips, (n,), for images of these indices and sizes, (n, 2); `sizes` is overwritten."""
        states = streams(make_key(self.seed, self.epoch), indices)
        unknown = sizes[:, 0] < 0
        sizes[unknown] = 1
        boxes = draw_boxes(
            sizes, self.scale, self.ratio, lambda attempt, pending: uniform(states[pending], 4 * attempt, 4)
        )
        boxes[unknown] = _NOWHERE
        # The number after those of the last attempt.
        return boxes, uniform(states, 4 * ATTEMPTS, 1)[0] < self.flip


def parse_probability(name: str, value: Any) -> float:
    number = isinstance(value, Real) and not isinstance(value, bool)
    if not number:
        raise TypeError(f"{name} must be a probability from 0 to 1, found {value!r}")
    if not 0 <= value <= 1:
        raise ValueError(f"{name} must be a probability from 0 to 1, found {value!r}")
    return float(value)
