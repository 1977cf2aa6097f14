# SPDX-License-Identifier: BSD-3-Clause
"""Array-likes over image files, for code that expects an array in memory."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

import fastimg._decode as _decode
from fastimg.crops import Crop, parse_crop, parse_flip
from fastimg.errors import JpegError
from fastimg.indexing import Index, Indices, resolve, resolve_many
from fastimg.options import MAX_PIXELS, PadValue, Size, Statistic, make_options
from fastimg.sources import Source, SourceList
from fastimg.task import OnError, Task, check_on_error
from fastimg.threads import Cancellation, check_num_threads

if TYPE_CHECKING:
    from fastimg.augment import KnownSizes, RandomResizedCrop


class _Accessor:
    """What both accessors share: sources, options, and the ways to index."""

    ndim: int

    def __init__(
        self,
        sources: Iterable[Source],
        *,
        mode: str = "RGB",
        layout: str = "CHW",
        size: Size | None = None,
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
        num_threads: int | None = None,
        on_error: OnError = "raise",
    ) -> None:
        check_num_threads(num_threads)
        check_on_error(on_error)
        self._sources = SourceList(sources)
        self._crop = parse_crop(crop)
        self._flip = parse_flip(flip)
        self._num_threads = num_threads
        self._on_error: OnError = on_error
        self._options: _decode.Options = make_options(
            mode, layout, size, fit, resample, reducing_gap, pad_value, orient, dtype, mean, std, strict, max_pixels
        )  # fmt: skip
        self._arguments = (
            mode, layout, self._options.size, fit, resample, reducing_gap, _plain(pad_value), orient,
            self._options.dtype.name, _plain(mean), _plain(std), strict, max_pixels,
        )  # fmt: skip

    def __len__(self) -> int:
        return len(self._sources)

    def __getitem__(self, index: Index) -> Any:
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
        """What PyTorch's DataLoader asks for: the same as ``self[list(indices)]``."""
        return self[list(indices)]

    def __iter__(self) -> Iterator[Any]:
        for i in range(len(self)):
            yield self[i]

    def __repr__(self) -> str:
        mode, layout, size, *_ = self._arguments
        words = [f"{len(self)} images", mode, layout, self._options.dtype.name]
        if size:  # else it would have to be read
            words.append(f"height {size[0]}, width {size[1]}")
        return f"<fastimg.{type(self).__name__}: {', '.join(words)}>"

    def __getstate__(self) -> dict[str, Any]:
        # What is left out can be made, or read, again.
        return {
            name: value for name, value in self.__dict__.items() if name not in ("_options", "_known_sizes")
        }

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._options = make_options(*self._arguments)

    def __dask_tokenize__(self) -> tuple[Any, ...]:
        return (
            type(self).__name__,
            self._sources.token(),
            self._arguments,
            self._crop,
            self._flip,
            self._on_error,
        )

    @property
    def shape(self) -> tuple[int, ...]:
        raise NotImplementedError

    @property
    def dtype(self) -> np.dtype[Any]:
        raise NotImplementedError

    def _task(
        self, indices: Indices, num_threads: int | None = None, cancellation: Cancellation | None = None
    ) -> Task:
        return Task(
            self._sources, indices, self._options, self._crop, self._flip, num_threads or self._num_threads,
            self._on_error, cancellation=cancellation,
        )  # fmt: skip

    def _load_one(self, index: int) -> Any:
        return self._read(np.array([index], np.int64))[0]

    def _read(
        self,
        indices: Indices,
        out: Any = None,
        num_threads: int | None = None,
        cancellation: Cancellation | None = None,
    ) -> Any:
        return self._fill(self._task(indices, num_threads, cancellation), out)

    def _fill(self, task: Task, out: Any) -> Any:
        raise NotImplementedError

    def _index_rest(self, images: Any, rest: tuple[Any, ...]) -> Any:
        raise NotImplementedError


def _plain(value: Any) -> Any:
    """Numbers as Python has them: hashable, small to pickle."""
    return tuple(np.asarray(value).tolist()) if np.ndim(value) else value


class ImageFileAccessor(_Accessor):
    """Images of one size, their own or `size`, as if they were an array (N, C, H, W).

    Parameters
    ----------
    sources : iterable of str, os.PathLike, bytes-like or FileRange
        The images. They are kept packed; nothing is read yet.
    mode, layout, size, fit, resample, reducing_gap, pad_value, crop, flip, orient, dtype, mean, std, strict, max_pixels
        As for `decode`, the same for every image.
    num_threads, on_error
        As for `load`, for every access.

    Notes
    -----
    An index is an int (one image), a slice, a list of int, a 1-D integer array or a boolean mask (a batch), or a tuple
    that begins with one of these, the rest of which indexes the result. Every access decodes into a fresh array:
    nothing is cached, and threads may share an accessor. It pickles small: paths, not pixels.

    Examples
    --------
    >>> train_X = fastimg.ImageFileAccessor(paths, size=256)
    >>> train_X[np.array([5, 2, 9])].shape
    (3, 3, 256, 256)
    """

    _size: tuple[int, int] | None = None
    _known_sizes: KnownSizes | None = None  # for random_resized_crop
    ndim = 4

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, C, H, W) or (N, H, W, C). Without `size` and `crop`, the first access reads the first image's header."""
        return (len(self), *self._options.shape(*self._image_size()))

    @property
    def dtype(self) -> np.dtype[Any]:
        """The dtype of the pixels."""
        dtype: np.dtype[Any] = self._options.dtype
        return dtype

    def _image_size(self) -> tuple[int, int]:
        if self._size is None:
            if self._options.size:
                self._size = self._options.size
            elif self._crop:
                self._size = self._crop[2:]
            elif not len(self):
                return 0, 0
            else:
                self._size = self._first_size()
        return self._size

    def _first_size(self) -> tuple[int, int]:
        # With errors tolerated, the first image that has a header decides.
        count = 1 if self._on_error == "raise" else len(self)
        for i in range(count):
            task = self._task(np.array([i], np.int64))
            height, width = task.read_sizes()[0].tolist()
            if height >= 0:
                return height, width
        raise ValueError(f"none of {len(self)} images has a readable header")

    def _size_if_known(self) -> tuple[int, int] | None:
        try:
            return self._image_size()
        except (JpegError, OSError):
            return None  # the first image is nobody's concern who asks for others

    def _fill(self, task: Task, out: Any) -> Any:
        return task.load(out, self._size_if_known())

    def _index_rest(self, images: Any, rest: tuple[Any, ...]) -> Any:
        return images[(slice(None), *rest)]

    def read_into(self, indices: Any, out: Any) -> Any:
        """Decodes a batch into `out`.

        Parameters
        ----------
        indices : slice, list of int, 1-D integer array or boolean mask
            n images.
        out : array, (n, C, H, W) or (n, H, W, C)
            As for `load`.

        Returns
        -------
        array
            `out`.

        Raises
        ------
        IndexError, ValueError, TypeError, JpegError, OSError
            As for indexing and for `load`.
        """
        return self._read(resolve_many(indices, len(self)), out)

    def random_resized_crop(
        self,
        size: Size,
        scale: tuple[float, float] = (0.08, 1.0),
        ratio: tuple[float, float] = (3 / 4, 4 / 3),
        flip: float = 0.5,
        seed: int = 0,
    ) -> RandomResizedCrop:
        """The same images, each by a random box and perhaps mirrored, anew in every epoch.

        Parameters
        ----------
        size : int or (height, width)
            Of the results, instead of the accessor's; its other options stay.
        scale, ratio : (float, float)
            As for `random_crops`.
        flip : float
            The probability, 0 to 1, that an image is mirrored left-right.
        seed : int
            At least 0, of any size.

        Returns
        -------
        RandomResizedCrop
            An accessor of these images, in epoch 0.

        Raises
        ------
        ValueError
            If the accessor has a `crop` or `flip` of its own, or a value is out of its range.
        TypeError
            If an argument has the wrong type.

        Examples
        --------
        >>> augmented = train_X.random_resized_crop(224)
        >>> for epoch in range(90):
        ...     images = augmented.with_epoch(epoch)[np.array([5, 2, 9])]
        """
        from fastimg.augment import RandomResizedCrop  # an accessor itself: that module needs this one

        return RandomResizedCrop(self, size, scale, ratio, flip, seed)

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> npt.NDArray[Any]:
        """All images, decoded. `copy=False` is a ValueError: there is no array yet that could be shared."""
        if copy is False:
            raise ValueError("images have to be decoded: an array cannot be had without a copy")
        images: npt.NDArray[Any] = self[:]
        return images if dtype is None else images.astype(dtype, copy=False)


class NonUniformImageFileAccessor(_Accessor):
    """Images of any sizes, as if they were a 1-D array of arrays (C, H, W).

    Parameters
    ----------
    sources : iterable of str, os.PathLike, bytes-like or FileRange
        The images. They are kept packed; nothing is read yet.
    mode, layout, size, fit, resample, reducing_gap, pad_value, crop, flip, orient, dtype, mean, std, strict, max_pixels
        As for `decode`, the same for every image. With `size` all images have that size.
    num_threads, on_error
        As for `load`, for every access. With errors tolerated, an image whose header cannot be read has height and
        width 0 unless `size` is given.

    Notes
    -----
    Indices are those of `ImageFileAccessor`. One index gives an array, many give a list of arrays; what follows the
    first entry of a tuple indexes each image.

    Examples
    --------
    >>> mixed_X = fastimg.NonUniformImageFileAccessor(paths)
    >>> [image.shape for image in mixed_X[10:12]]
    [(3, 375, 500), (3, 500, 333)]
    """

    ndim = 1

    @property
    def shape(self) -> tuple[int, ...]:
        """(N,)."""
        return (len(self),)

    @property
    def dtype(self) -> np.dtype[Any]:
        """dtype('O'): an entry is an array."""
        return np.dtype(object)

    def _fill(self, task: Task, out: Any) -> Any:
        return task.load_list(out)

    def _index_rest(self, images: Any, rest: tuple[Any, ...]) -> Any:
        return [image[rest] for image in images]

    def read_into(self, indices: Any, out: list[Any]) -> list[Any]:
        """Decodes images into arrays of theirs.

        Parameters
        ----------
        indices : slice, list of int, 1-D integer array or boolean mask
            n images.
        out : list of array
            One for each, of exactly its shape.

        Returns
        -------
        list of array
            `out`.

        Raises
        ------
        IndexError, ValueError, TypeError, JpegError, OSError
            As for indexing and for `load`.
        """
        images: list[Any] = self._read(resolve_many(indices, len(self)), out)
        return images

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> npt.NDArray[Any]:
        """A 1-D object array of all images, decoded. `copy=False` is a ValueError."""
        if copy is False:
            raise ValueError("images have to be decoded: an array cannot be had without a copy")
        images = np.empty(len(self), object)
        for i, image in enumerate(self[:]):
            images[i] = image
        return images if dtype is None else images.astype(dtype, copy=False)
