# SPDX-License-Identifier: BSD-3-Clause
"""Random boxes that depend on nothing but seed, epoch and index; and the sizes that it takes to draw them."""

from __future__ import annotations

from numbers import Real
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

import fastimg._decode as _decode
from fastimg.counter_rng import make_key, streams, uniform
from fastimg.crops import ATTEMPTS, Boxes, draw_boxes
from fastimg.indexing import Indices
from fastimg.sources import SourceList
from fastimg.threads import run_batch

#: In no JPEG, whose sides end at 65535: where there is no header, decoding must fail, whatever becomes of the file.
_NOWHERE = (0, 0, 65536, 65536)


class KnownSizes:
    """Heights and widths of the images of a list, each read when it is first asked for.

    Threads may share it: those that miss a size at once all read it, and write the same.

    Parameters
    ----------
    sources : SourceList
    options : Options
        Without a size; whether images are upright, and how large they may be.
    """

    def __init__(self, sources: SourceList, options: _decode.Options) -> None:
        self._sources = sources
        self._options = options
        self._table = np.zeros((len(sources), 2), np.int32)

    def get(self, indices: Indices, num_threads: int | None) -> npt.NDArray[np.int64]:
        """(n, 2); -1 where no header can be read: the next call tries again."""
        sizes = self._table[indices].astype(np.int64)
        # Both, as another thread may have written one of them.
        missing = np.flatnonzero((sizes == 0).any(axis=1))
        if len(missing):
            wanted, places = np.unique(indices[missing], return_inverse=True)
            sizes[missing] = self._read(wanted, num_threads)[places]
        return sizes

    def _read(self, indices: Indices, num_threads: int | None) -> npt.NDArray[np.int64]:
        batch = _decode.Batch(self._sources, indices, self._options, None, False, False)
        run_batch(batch, num_threads)
        sizes = batch.sizes()
        readable = sizes[:, 0] > 0
        self._table[indices[readable]] = sizes[readable]
        return sizes


class RandomBoxes(NamedTuple):
    """How the boxes of one epoch are drawn; the arguments have been checked.

    Attributes
    ----------
    scale, ratio : (float, float)
        As for `random_crops`.
    flip : float
        The probability of a mirror image.
    seed, epoch : int
        At least 0, of any size.
    """

    scale: tuple[float, float]
    ratio: tuple[float, float]
    flip: float
    seed: int
    epoch: int = 0

    def draw(self, sizes: npt.NDArray[np.int64], indices: Indices) -> tuple[Boxes, npt.NDArray[np.bool_]]:
        """Boxes, (n, 4), and flips, (n,), of images of these sizes, (n, 2), and indices; `sizes` is overwritten."""
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
