# SPDX-License-Identifier: BSD-3-Clause
"""An accessor's images by random boxes, which depend on nothing but seed, epoch and index."""

from __future__ import annotations

from numbers import Real
from typing import Any

import numpy as np
import numpy.typing as npt

import fastimg._decode as _decode
from fastimg.accessors import ImageFileAccessor
from fastimg.counter_rng import make_key, streams, uniform
from fastimg.crops import ATTEMPTS, Boxes, draw_boxes, parse_interval
from fastimg.indexing import Indices, resolve_many
from fastimg.options import Size, make_options, parse_integer
from fastimg.sources import SourceList
from fastimg.task import Task
from fastimg.threads import Cancellation, run_batch

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
        sizes = np.empty((len(indices), 2), np.int64)
        batch.sizes(sizes)
        readable = sizes[:, 0] > 0
        self._table[indices[readable]] = sizes[readable]
        return sizes


class RandomResizedCrop(ImageFileAccessor):
    """Images by random boxes, resized and perhaps mirrored, as if they were an array (N, C, H, W).

    Made by `ImageFileAccessor.random_resized_crop`. What image i looks like in epoch e depends on (seed, e, i) alone,
    and not on the order of access, the batches, the threads or the process.

    Parameters
    ----------
    accessor : ImageFileAccessor
        Its sources and options, but for `size`, are shared.
    size, scale, ratio, flip, seed
        As for `ImageFileAccessor.random_resized_crop`.

    Raises
    ------
    ValueError, TypeError
        As there.

    Notes
    -----
    Whatever indexes an `ImageFileAccessor` indexes this; boxes are distributed as those of `random_crops`.

    To draw a box takes an image's size. The header of an image is read when it is first asked for; its size is kept by
    the accessor for all its views, in 8 bytes, but not pickled. An image that is replaced by a smaller one meanwhile
    may therefore fail, with a ValueError that names it.

    Examples
    --------
    >>> augmented = train_X.random_resized_crop(224, seed=1)
    >>> augmented.with_epoch(3)[7].shape
    (3, 224, 224)
    """

    _known_sizes: KnownSizes

    def __init__(
        self,
        accessor: ImageFileAccessor,
        size: Size,
        scale: tuple[float, float] = (0.08, 1.0),
        ratio: tuple[float, float] = (3 / 4, 4 / 3),
        flip: float = 0.5,
        seed: int = 0,
    ) -> None:
        _check_accessor(accessor)
        if size is None:
            raise TypeError("size must be an integer or (height, width), found None")
        if accessor._known_sizes is None:
            accessor._known_sizes = _known_sizes(accessor)
        self.__dict__.update(accessor.__dict__)
        mode, layout, _, *others = self._arguments
        self._options = make_options(mode, layout, size, *others)
        self._size = self._options.size
        self._arguments = (mode, layout, self._size, *others)
        self._scale, self._ratio = parse_interval("scale", scale), parse_interval("ratio", ratio)
        self._probability = _parse_probability(flip)
        self._seed, self._epoch = parse_integer("seed", seed, 0), 0
        self._key = make_key(self._seed, 0)

    def __repr__(self) -> str:
        return f"{super().__repr__()[:-1]}, seed {self._seed}, epoch {self._epoch}>"

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        self._known_sizes = _known_sizes(self)

    def __dask_tokenize__(self) -> tuple[Any, ...]:
        drawn = (self._scale, self._ratio, self._probability, self._seed, self._epoch)
        return (*super().__dask_tokenize__(), drawn)

    @property
    def epoch(self) -> int:
        """Which epoch's boxes these are."""
        return self._epoch

    def with_epoch(self, epoch: int) -> RandomResizedCrop:
        """The same images in another epoch.

        Parameters
        ----------
        epoch : int
            At least 0, of any size.

        Returns
        -------
        RandomResizedCrop
            A view that shares everything with this one, which stays as it is.

        Raises
        ------
        ValueError, TypeError
            If `epoch` is negative, or no integer.
        """
        view = object.__new__(type(self))
        view.__dict__.update(self.__dict__)
        view._epoch = parse_integer("epoch", epoch, 0)
        view._key = make_key(view._seed, view._epoch)
        return view

    def boxes(self, indices: Any) -> tuple[Boxes, npt.NDArray[np.bool_]]:
        """What is cut out of each image in this epoch, and which are mirrored.

        Parameters
        ----------
        indices : slice, list of int, 1-D integer array or boolean mask
            n images. Headers of which the size is not known yet are read.

        Returns
        -------
        int64 ndarray, (n, 4)
            (top, left, height, width), as `load` takes them for `crop`. An image without a readable header has a box
            that is in no JPEG, (0, 0, 65536, 65536): it fails when it is loaded.
        bool ndarray, (n,)
            As `load` takes them for `flip`.

        Raises
        ------
        IndexError, ValueError, TypeError
            As for indexing.
        """
        return self._draw(resolve_many(indices, len(self)), self._num_threads)

    def _draw(self, indices: Indices, num_threads: int | None) -> tuple[Boxes, npt.NDArray[np.bool_]]:
        sizes = self._known_sizes.get(indices, num_threads)
        states = streams(self._key, indices)
        unknown = sizes[:, 0] < 0
        sizes[unknown] = 1
        boxes = draw_boxes(
            sizes, self._scale, self._ratio, lambda attempt, pending: uniform(states[pending], 4 * attempt, 4)
        )
        boxes[unknown] = _NOWHERE
        # The number behind those of the last attempt.
        return boxes, uniform(states, 4 * ATTEMPTS, 1)[0] < self._probability

    def _task(
        self, indices: Indices, num_threads: int | None = None, cancellation: Cancellation | None = None
    ) -> Task:
        threads = num_threads or self._num_threads
        crops, flips = self._draw(indices, threads)
        return Task(
            self._sources,
            indices,
            self._options,
            crops,
            flips,
            threads,
            self._on_error,
            cancellation=cancellation,
        )


def _known_sizes(accessor: ImageFileAccessor) -> KnownSizes:
    mode, layout, _, *others = accessor._arguments
    return KnownSizes(accessor._sources, make_options(mode, layout, None, *others))


def _check_accessor(accessor: Any) -> None:
    if not isinstance(accessor, ImageFileAccessor):
        raise TypeError(f"accessor must be an ImageFileAccessor, found {type(accessor).__name__}")
    found = None
    if isinstance(accessor, RandomResizedCrop):
        found = "those of a RandomResizedCrop"
    elif accessor._crop is not None:
        found = f"crop={accessor._crop}"
    elif accessor._flip:
        found = "flip=True"
    if found:
        raise ValueError(f"expected an accessor without boxes or mirror images of its own, found {found}")


def _parse_probability(flip: Any) -> float:
    number = isinstance(flip, Real) and not isinstance(flip, bool)
    if not number:
        raise TypeError(f"flip must be a probability from 0 to 1, found {flip!r}")
    if not 0 <= flip <= 1:
        raise ValueError(f"flip must be a probability from 0 to 1, found {flip!r}")
    return float(flip)
