# SPDX-License-Identifier: BSD-3-Clause
"""Several random crops of each image, in one read and one decode."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from fastimg.array_like import ObjectArrayLike
from fastimg.augment import KnownSizes, RandomBoxes, make_key, parse_probability
from fastimg.batch_decode import BatchDecode
from fastimg.crops import Boxes, parse_interval
from fastimg.epoch_views import HasEpochs
from fastimg.indexing import Indices, resolve_many
from fastimg.options import OWN_SIZE, WAYS_TO_SIZE, parse_integer, parse_options
from fastimg.views import PER_VIEW, View, ViewsDecode, named_views, parse_view_options
from fastimg.workers import SharedEpoch

#: What a view may say for itself. One layout for all: batches of tensors ask the accessor for it.
_KEYS = (*(name for name in PER_VIEW if name not in ("crop", "layout", *WAYS_TO_SIZE)), "scale", "ratio")


class _ViewBoxes(NamedTuple):
    """Draws the boxes of all views in one epoch; each view's own seed and epoch are not used."""

    views: tuple[RandomBoxes, ...]
    seed: int
    epoch: int = 0

    def for_core(self) -> list[tuple[Any, ...]]:
        """The same as the core takes it, one per view."""
        return [boxes.for_core(make_key(self.seed, self.epoch, v)) for v, boxes in enumerate(self.views)]


class RandomViews(HasEpochs, ObjectArrayLike):
    """Images cut to several random boxes each, resized and perhaps mirrored, as if they were N tuples of arrays.

    Made by `ImageFileAccessor.random_views`. The box of view v of image i in epoch e depends on (seed, e, i, v) alone;
    those of the first view are those of `RandomResizedCrop` with the same seed.

    Parameters
    ----------
    accessor : ImageFileAccessor
        Its sources and its options except `size` are shared.
    views, ratio, flip, seed
        As for `ImageFileAccessor.random_views`.

    Raises
    ------
    ValueError, TypeError
        As there.

    Notes
    -----
    An index of one image gives a tuple of arrays (C, H, W), one per view; an index of n images a tuple of arrays
    (n, C, H, W). A data source's batch holds such a tuple, and `__getitems__` a list of n tuples, which PyTorch's
    ``default_collate`` makes a list of tensors of, one per view.

    Examples
    --------
    >>> train_X = fastimg.ImageFileAccessor(fastimg.find_images("photos"))
    >>> views = train_X.random_views([{"size": 64, "scale": (0.4, 1)}, {"size": 32, "scale": (0.05, 0.4)}])
    >>> large, small = views.with_epoch(3)[[5, 2, 9]]
    >>> large.shape, small.shape
    ((3, 3, 64, 64), (3, 3, 32, 32))
    """

    _known_sizes: KnownSizes
    _random: _ViewBoxes

    def __init__(
        self,
        accessor: Any,
        views: Sequence[Mapping[str, Any]],
        ratio: tuple[float, float] = (3 / 4, 4 / 3),
        flip: float = 0.5,
        seed: int = 0,
    ) -> None:
        self.__dict__.update(accessor._share())
        self._options = self._options.replace(**OWN_SIZE)
        own = {"crop": None, "flip": flip, "ratio": ratio, **self._options.values}
        parsed = [_parse_view(view, name, own) for name, view in named_views(views)]
        self._views = [view for view, _ in parsed]
        self._random = _ViewBoxes(tuple(boxes for _, boxes in parsed), parse_integer("seed", seed, 0))
        self._shared_epoch = SharedEpoch()

    def __repr__(self) -> str:
        sizes = ", ".join("{} x {}".format(*view.size) for view in self._views)
        text = f"{super().__repr__()[:-1]}, views {sizes}"
        return f"{text}, seed {self._random.seed}, epoch {self.epoch}>"

    def __dask_tokenize__(self) -> tuple[Any, ...]:
        views = [view.options.values for view in self._views]
        return (*super().__dask_tokenize__(), views, self._random._replace(epoch=self.epoch))

    def __getitems__(self, indices: Any) -> list[tuple[npt.NDArray[Any], ...]]:
        """A tuple for each image, as PyTorch's DataLoader asks for them.

        Raises
        ------
        IndexError, ValueError, TypeError, ImageError, OSError
            As for an index.
        """
        return list(zip(*super().__getitems__(indices), strict=True))

    def read_into(self, indices: Any, out: Sequence[Any]) -> tuple[Any, ...]:
        """Decode a batch into arrays.

        Parameters
        ----------
        indices : slice, range, list of int, 1-D integer array or boolean mask
            The n images.
        out : list of array
            One per view, with a first axis of n.

        Returns
        -------
        tuple of array
            Those of `out`.

        Raises
        ------
        IndexError, ValueError, TypeError, ImageError, OSError
            As for indexing and for `load`.

        Examples
        --------
        >>> train_X = fastimg.ImageFileAccessor(fastimg.find_images("photos"))
        >>> views = train_X.random_views([{"size": 64, "scale": (0.4, 1)}])
        >>> (large,) = views.read_into([5, 2, 9], [np.empty((3, 3, 64, 64), np.uint8)])
        """
        views: tuple[Any, ...] = self._read(resolve_many(indices, len(self)), out)
        return views

    def boxes(self, indices: Any) -> list[tuple[Boxes, npt.NDArray[np.bool_]]]:
        """The boxes of each view in this epoch, and whether it is mirrored.

        Parameters
        ----------
        indices : slice, range, list of int, 1-D integer array or boolean mask
            The n images. Headers are read where the size is not known yet.

        Returns
        -------
        list of (int64 ndarray, (n, 4), bool ndarray, (n,))
            For each view, what `RandomResizedCrop.boxes` gives.

        Raises
        ------
        IndexError, ValueError, TypeError
            As for indexing.

        Examples
        --------
        >>> train_X = fastimg.ImageFileAccessor(fastimg.find_images("photos"))
        >>> views = train_X.random_views([{"size": 64, "scale": (0.4, 1)}])
        >>> [(boxes.shape, flips.shape) for boxes, flips in views.boxes([5, 2, 9])]
        [((3, 4), (3,))]
        """
        chosen = resolve_many(indices, len(self))
        sizes = self._known_sizes.get(
            self._sources, self._options, chosen, self._num_threads, self._reading, self._fallback
        )
        drawn = []
        for view, boxes in enumerate(self._random.views):
            drawn.append(boxes.draw(sizes.copy(), chosen, make_key(self._random.seed, self.epoch, view)))
        return drawn

    def __array__(self, dtype: Any = None, copy: Any = None) -> npt.NDArray[Any]:
        """Refuse: views differ in size.

        Raises
        ------
        TypeError
            Always.
        """
        raise TypeError("views make no single array: an index gives a tuple of arrays, one per view")

    def _batch(self, indices: Indices, **how: Any) -> BatchDecode:
        own = {"boxes": self._random._replace(epoch=self.epoch).for_core(), **self._how()}
        return ViewsDecode(self._sources, indices, self._views, **{**own, **how})

    def _load_one(self, index: int) -> tuple[Any, ...]:
        return tuple(view[0] for view in self._read(np.array([index], np.int64)))

    def _knows_size(self) -> bool:
        return True

    def _fill(self, batch: BatchDecode, out: Any) -> tuple[Any, ...]:
        views = batch.load(out)
        assert batch.indices is not None
        self._known_sizes.learn(batch.indices, batch.batch.seen_sizes())
        return tuple(views)

    def _index_rest(self, images: Any, rest: tuple[Any, ...]) -> Any:
        raise TypeError(
            f"expected an index of images alone, found {rest} after it: index the arrays that it gives"
        )


def _parse_view(view: Any, name: str, shared: Mapping[str, Any]) -> tuple[View, RandomBoxes]:
    values = parse_view_options(view, name, shared, _KEYS)
    for key in ("size", "scale"):
        if values.get(key) is None:
            raise ValueError(f"{name} must have {key!r}, found {', '.join(map(repr, view)) or 'nothing'}")
    try:
        options = parse_options(values)
        boxes = RandomBoxes(
            parse_interval("scale", values["scale"]),
            parse_interval("ratio", values["ratio"]),
            parse_probability("flip", values["flip"]),
            seed=0,
        )
    except (ValueError, TypeError) as error:
        raise type(error)(f"{name}: {error}") from None
    assert options.size is not None
    return View(options, options.size), boxes
