# SPDX-License-Identifier: BSD-3-Clause
"""What all accessors share: sources, options, and the ways to index."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Self

import numpy as np
import numpy.typing as npt

from fastimg.batch_decode import BatchDecode
from fastimg.crops import Crop, parse_crop, parse_flip
from fastimg.fallback import FallbackOption, parse_fallback
from fastimg.indexing import Index, Indices, resolve
from fastimg.limits import MAX_PIXELS, MAX_SCANS
from fastimg.on_error import OnError, parse_on_error
from fastimg.options import PadValue, Size, Statistic, options_of
from fastimg.readers import READ_AHEAD, ReadAhead, parse_reading
from fastimg.sources import Sources, pack_sources
from fastimg.threads import check_num_threads
from fastimg.wording import counted

#: What accessors of our own hold.
_ATTRIBUTES = {
    "_sources",
    "_options",
    "_crop",
    "_flip",
    "_on_error",
    "_num_threads",
    "_reading",
    "_fallback",
    "_size",
    "_sizes",
    "_known_sizes",
    "_random",
    "_shared_epoch",
    "_views",
}


class ArrayLike:
    """What all accessors share: sources, options, and the ways to index."""

    ndim: int

    def __init__(
        self,
        sources: Sources,
        *,
        mode: str = "RGB",
        layout: str = "CHW",
        size: Size | None = None,
        resize_shorter: int | None = None,
        resize_longer: int | None = None,
        center_crop: Size | None = None,
        fit: str = "stretch",
        resample: str = "bilinear",
        reducing_gap: float | None = 2.0,
        pad_value: PadValue = 0,
        crop: Crop | None = None,
        flip: bool = False,
        orient: bool = True,
        dtype: npt.DTypeLike = "uint8",
        mean: Statistic = 0,
        std: Statistic = 1,
        strict: bool = True,
        max_pixels: int = MAX_PIXELS,
        max_scans: int = MAX_SCANS,
        num_threads: int | None = None,
        on_error: OnError = "raise",
        read_threads: int | None = None,
        read_ahead: ReadAhead = READ_AHEAD,
        fallback: FallbackOption | None = None,
        sizes: npt.ArrayLike | None = None,
    ) -> None:
        check_num_threads(num_threads)
        self._on_error = parse_on_error(on_error)
        self._reading = parse_reading(read_threads, read_ahead)
        self._fallback = parse_fallback(fallback)
        self._sources = pack_sources(sources)
        given = (
            mode, layout, size, resize_shorter, resize_longer, center_crop, fit, resample, reducing_gap, pad_value,
            orient, dtype, mean, std, strict, max_pixels, max_scans,
        )  # fmt: skip
        self._options = options_of(given)
        self._crop = parse_crop(crop, self._options)
        self._flip = parse_flip(flip)
        self._num_threads = num_threads
        if sizes is None and self._options.upright and hasattr(sources, "_source_list"):
            sizes = getattr(sources, "sizes", None)  # an index may know those of the upright images
        self._sizes = parse_sizes(sizes, len(self._sources))

    def __len__(self) -> int:
        return len(self._sources)

    def __getitem__(self, index: Index) -> Any:
        """Decode one image, or a batch.

        Parameters
        ----------
        index : int, slice, range, list of int, 1-D integer array or boolean mask
            An int: one image; all others: a batch. Or a tuple that begins with one of these; the rest indexes the
            result, or each image of a list.

        Returns
        -------
        array, list of array or tuple of array
            A batch is an array for images of one size, else a list. Of `RandomViews`, an image and a batch are tuples
            of arrays, one per view.

        Raises
        ------
        IndexError
            If an index is out of range, or a mask has the wrong length.
        ValueError, TypeError
            If `index` is something else, or as for `load`.
        ImageError, OSError, MemoryError, RuntimeError
            As for `load`.
        """
        rest: tuple[Any, ...] = ()
        if isinstance(index, tuple):
            if not index:
                raise TypeError("an index cannot be an empty tuple")
            index, *others = index
            rest = tuple(others)
        chosen = resolve(index, len(self))
        if isinstance(chosen, int):
            image = self._load_one(chosen)
            return image[rest] if rest else image
        images = self._read(chosen)
        return self._index_rest(images, rest) if rest else images

    def __getitems__(self, indices: Any) -> Any:
        """The same as ``self[list(indices)]``, which PyTorch's DataLoader asks for.

        If a subclass has a ``__getitem__`` of its own, this is a list of what that returns for each index.

        Raises
        ------
        IndexError, ValueError, TypeError, ImageError, OSError
            As for an index.
        """
        return [self[i] for i in indices] if self._has_own_index() else self[list(indices)]

    @classmethod
    def _has_own_index(cls) -> bool:
        """Whether a subclass replaces ``__getitem__``, so that what it returns need not be images alone."""
        return cls.__getitem__ is not ArrayLike.__getitem__

    def __iter__(self) -> Iterator[Any]:
        for i in range(len(self)):
            yield self[i]

    def __repr__(self) -> str:
        values = self._options.values
        words = [counted(len(self), "image"), values["mode"], values["layout"], values["dtype"]]
        if self._options.size:  # else it would have to be read
            words.append("height {}, width {}".format(*self._options.size))
        return f"<fastimg.{type(self).__name__}: {', '.join(words)}>"

    def __dask_tokenize__(self) -> tuple[Any, ...]:
        kind = type(self)
        return (
            f"{kind.__module__}.{kind.__qualname__}",
            self._sources.hashable(),
            self._options.values,
            self._crop,
            self._flip,
            getattr(self._on_error, "function", self._on_error),
            self._fallback,
            {name: value for name, value in self.__dict__.items() if name not in _ATTRIBUTES},  # a subclass's
        )

    def _with_on_error(self, on_error: Any) -> Self:
        """A view of these images with another `on_error`, which is not checked."""
        view = object.__new__(type(self))
        view.__dict__.update(self.__dict__)
        view._on_error = on_error
        return view

    @property
    def shape(self) -> tuple[int, ...]:
        raise NotImplementedError

    @property
    def dtype(self) -> np.dtype[Any]:
        raise NotImplementedError

    def _batch(self, indices: Indices, **how: Any) -> BatchDecode:
        """The decoding of some images; `how`: arguments of BatchDecode that differ from the accessor's own."""
        own = {"crop": self._crop, "flip": self._flip, **self._how()}
        return BatchDecode(self._sources, indices, self._options, **{**own, **how})

    def _how(self) -> dict[str, Any]:
        """The arguments of BatchDecode that say nothing of the pixels."""
        return {
            "num_threads": self._num_threads,
            "on_error": self._on_error,
            "reading": self._reading,
            "sizes": self._sizes,
            "fallback": self._fallback,
        }

    def _load_one(self, index: int) -> Any:
        return self._read(np.array([index], np.int64))[0]

    def _read(self, indices: Indices, out: Any = None) -> Any:
        return self._fill(self._batch(indices), out)

    def _find_size(self) -> None:
        """Finds the size of all results, if the first image says it and can be read."""

    def _knows_size(self) -> bool:
        """Whether the size of all results is known without reading a header."""
        return self._options.size is not None

    def _fill(self, batch: BatchDecode, out: Any) -> Any:
        raise NotImplementedError

    def _index_rest(self, images: Any, rest: tuple[Any, ...]) -> Any:
        raise NotImplementedError


class ObjectArrayLike(ArrayLike):
    """An array-like whose entries are no arrays of one shape."""

    ndim = 1

    @property
    def shape(self) -> tuple[int, ...]:
        """(N,)."""
        return (len(self),)

    @property
    def dtype(self) -> np.dtype[Any]:
        """Always ``dtype('O')``: every entry is an array, or a tuple of arrays."""
        return np.dtype(object)


def parse_sizes(sizes: Any, count: int) -> npt.NDArray[np.int32] | None:
    """Heights and widths of `count` images, (count, 2), int32 and contiguous; 0 for those that are not known."""
    if sizes is None:
        return None
    try:
        array = np.asarray(sizes)
    except ValueError:
        array = np.array(None)  # ragged
    if not array.ndim or (array.size and array.dtype.kind not in "iu"):
        raise TypeError(f"sizes must be None or (N, 2) integers, found {sizes!r}")
    if array.shape != (count, 2):
        raise ValueError(f"sizes must have shape ({count}, 2), heights and widths, found {array.shape}")
    if count and (array.max() > 65535 or array.min() < -1):
        raise ValueError(f"sizes must be from 0 to 65535, found {array.min()} to {array.max()}")
    return np.ascontiguousarray(np.maximum(array, 0) if count and array.min() < 0 else array, np.int32)


def check_copy(copy: bool | None) -> None:
    """Refuses ``copy=False``, with which NumPy asks for an array without a copy."""
    if copy is False:
        raise ValueError("images must be decoded first: there is no array without a copy")
