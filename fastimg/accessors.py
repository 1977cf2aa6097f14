# SPDX-License-Identifier: BSD-3-Clause
"""Array-likes over images of one size, for code that expects an array in memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from fastimg.array_like import check_copy
from fastimg.augment import KnownSizes, RandomBoxes, parse_probability
from fastimg.batch_decode import BatchDecode
from fastimg.crops import Boxes, parse_interval
from fastimg.epoch_views import HasEpochs
from fastimg.indexing import Indices, resolve_many
from fastimg.options import OWN_SIZE, Size, parse_integer
from fastimg.random_views import RandomViews
from fastimg.uniform_size import UniformArrayLike
from fastimg.workers import SharedEpoch


class ImageFileAccessor(UniformArrayLike):
    """Images of one size, their own or `size`, as if they were an array (N, C, H, W).

    Parameters
    ----------
    sources : iterable of str, os.PathLike, bytes-like or FileRange, or reader
        The images, as for `load`. They are kept packed; nothing is read yet.
    mode, layout, size, resize_shorter, resize_longer, center_crop, fit, resample, reducing_gap, pad_value, crop
        As for `decode`, the same for every image.
    flip, orient, dtype, mean, std, strict, max_pixels, max_scans
        As for `decode`, too.
    num_threads, on_error, read_threads, read_ahead, fallback
        As for `load`, for every access. A callable works in the process that makes the accessor; in another one, where
        what it collects would be lost, it is refused at the first error.
    sizes : (N, 2) integer array, optional
        Heights and widths of the images as `orient` makes them, before any crop; 0 where they are not known. An image
        of another size fails with a ValueError. They save reading headers for `shape` and for `boxes` of random crops.
        A `FileIndex` in place of the sources has them already.

    Raises
    ------
    ValueError, TypeError
        If a source or an option is wrong.

    Notes
    -----
    Every access decodes into a fresh array: nothing is cached, and threads may share an accessor. It pickles small:
    paths, not pixels.

    Examples
    --------
    >>> train_X = fastimg.ImageFileAccessor(fastimg.find_images("photos"), size=64)
    >>> train_X.shape, train_X.dtype
    ((72, 3, 64, 64), dtype('uint8'))
    >>> train_X[7].shape, train_X[np.array([5, 2, 9])].shape, np.asarray(train_X).shape
    ((3, 64, 64), (3, 3, 64, 64), (72, 3, 64, 64))
    """

    _known_sizes: KnownSizes | None = None  # for random_resized_crop

    def _share(self) -> dict[str, Any]:
        """The attributes that a view of these images starts with, among them the sizes that all views share."""
        if self._known_sizes is None:
            table = np.zeros((len(self), 2), np.int32) if self._sizes is None else self._sizes
            self._known_sizes = KnownSizes(table)
        return self.__dict__

    def read_into(self, indices: Any, out: Any) -> Any:
        """Decode a batch into `out`.

        Parameters
        ----------
        indices : slice, range, list of int, 1-D integer array or boolean mask
            The n images.
        out : array, (n, C, H, W) or (n, H, W, C)
            As for `load`.

        Returns
        -------
        array
            `out`.

        Raises
        ------
        IndexError, ValueError, TypeError, ImageError, OSError
            As for indexing and for `load`.

        Examples
        --------
        >>> train_X = fastimg.ImageFileAccessor(fastimg.find_images("photos"), size=64)
        >>> batch = np.empty((3, 3, 64, 64), np.uint8)
        >>> batch = train_X.read_into([5, 2, 9], batch)
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
        """The same images, each cut to a random box and perhaps mirrored, differently in every epoch.

        Parameters
        ----------
        size : int or (height, width)
            Size of the results, instead of the accessor's; its other options stay.
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
            If the accessor has a `crop` or `flip` of its own, or a value is out of range.
        TypeError
            If an argument has the wrong type, or the accessor is of a subclass with a ``__getitem__`` of its own, which
            the crops would not go through.

        Examples
        --------
        >>> train_X = fastimg.ImageFileAccessor(fastimg.find_images("photos"))
        >>> augmented = train_X.random_resized_crop(64)
        >>> for epoch in range(3):
        ...     images = augmented.with_epoch(epoch)[[5, 2, 9]]
        """
        return RandomResizedCrop(self, size, scale, ratio, flip, seed)

    def random_views(
        self,
        views: Sequence[Mapping[str, Any]],
        ratio: tuple[float, float] = (3 / 4, 4 / 3),
        flip: float = 0.5,
        seed: int = 0,
    ) -> RandomViews:
        """The same images, each cut to several random boxes in one read and one decode, as DINO does.

        Parameters
        ----------
        views : list of dict
            For each, `size` and `scale`, and if they differ from the others `ratio`, `flip`, `fit`, `resample`,
            `reducing_gap`, `dtype`, `mean`, `std`; all as for `random_resized_crop` and for `decode`.
        ratio, flip, seed
            As for `random_resized_crop`.

        Returns
        -------
        RandomViews
            An array-like of these images, in epoch 0, whose index gives a tuple of arrays, one per view.

        Raises
        ------
        ValueError, TypeError
            As for `random_resized_crop`.

        Examples
        --------
        >>> train_X = fastimg.ImageFileAccessor(fastimg.find_images("photos"))
        >>> large, small = {"size": 224, "scale": (0.4, 1.0)}, {"size": 96, "scale": (0.05, 0.4)}
        >>> crops = train_X.random_views([large] * 2 + [small] * 6)
        >>> [view.shape for view in crops.with_epoch(3)[[5, 2, 9]]][1:3]
        [(3, 3, 224, 224), (3, 3, 96, 96)]
        """
        check_accessor(self)
        return RandomViews(self, views, ratio, flip, seed)

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> npt.NDArray[Any]:
        """All images, decoded.

        Raises
        ------
        ValueError
            If `copy` is False: there is no array yet that could be shared.
        TypeError
            If a subclass gives something else than an array for a slice.
        ImageError, OSError
            As for `load`.
        """
        check_copy(copy)
        images: npt.NDArray[Any] = self[:]
        if not isinstance(images, np.ndarray):
            raise TypeError(
                f"{type(self).__name__} must give an array for a slice, found {type(images).__name__}"
            )
        return images if dtype is None else images.astype(dtype, copy=False)


class RandomResizedCrop(HasEpochs, ImageFileAccessor):
    """Images cut to random boxes, resized and perhaps mirrored, as if they were an array (N, C, H, W).

    Made by `ImageFileAccessor.random_resized_crop`. The box of image i in epoch e depends on (seed, e, i) alone, not on
    the order of access, batches, threads or processes.

    Parameters
    ----------
    accessor : ImageFileAccessor
        Its sources and its options except `size` are shared.
    size, scale, ratio, flip, seed
        As for `ImageFileAccessor.random_resized_crop`.

    Raises
    ------
    ValueError, TypeError
        As there.

    Notes
    -----
    It is indexed like an `ImageFileAccessor`. Boxes have the distribution of those of `random_crops`.

    Drawing a box takes the image's size, which is known when its file has been read: each file is opened once. The
    accessor keeps sizes for all its views, in 8 bytes each, and pickles them. If a file is replaced by an image of
    another size, its box is one of the new image.

    Examples
    --------
    >>> train_X = fastimg.ImageFileAccessor(fastimg.find_images("photos"))
    >>> augmented = train_X.random_resized_crop(64, seed=1).with_epoch(3)
    >>> augmented.epoch, augmented.shape
    (3, (72, 3, 64, 64))
    """

    _known_sizes: KnownSizes
    _random: RandomBoxes

    def __init__(
        self,
        accessor: ImageFileAccessor,
        size: Size,
        scale: tuple[float, float] = (0.08, 1.0),
        ratio: tuple[float, float] = (3 / 4, 4 / 3),
        flip: float = 0.5,
        seed: int = 0,
    ) -> None:
        check_accessor(accessor)
        if size is None:
            raise TypeError("size must be an integer or (height, width), found None")
        self.__dict__.update(accessor._share())
        self._options = self._options.replace(**{**OWN_SIZE, "size": size})
        self._size = self._options.size
        self._random = RandomBoxes(
            parse_interval("scale", scale),
            parse_interval("ratio", ratio),
            parse_probability("flip", flip),
            parse_integer("seed", seed, 0),
        )
        self._shared_epoch = SharedEpoch()

    def __repr__(self) -> str:
        return f"{super().__repr__()[:-1]}, seed {self._random.seed}, epoch {self.epoch}>"

    def __dask_tokenize__(self) -> tuple[Any, ...]:
        return (*super().__dask_tokenize__(), self._random._replace(epoch=self.epoch))

    def boxes(self, indices: Any) -> tuple[Boxes, npt.NDArray[np.bool_]]:
        """The box of each image in this epoch, and whether it is mirrored.

        Parameters
        ----------
        indices : slice, range, list of int, 1-D integer array or boolean mask
            The n images. Headers are read where the size is not known yet.

        Returns
        -------
        int64 ndarray, (n, 4)
            (top, left, height, width), as `load` takes them for `crop`. An image whose header cannot be read has a box
            that fits into no JPEG, (0, 0, 65536, 65536), and fails when it is loaded.
        bool ndarray, (n,)
            As `load` takes them for `flip`.

        Raises
        ------
        IndexError, ValueError, TypeError
            As for indexing.

        Examples
        --------
        >>> train_X = fastimg.ImageFileAccessor(fastimg.find_images("photos"))
        >>> boxes, flips = train_X.random_resized_crop(64).boxes([5, 2, 9])
        >>> boxes.shape, flips.shape
        ((3, 4), (3,))
        """
        chosen = resolve_many(indices, len(self))
        options = self._options.replace(**OWN_SIZE)
        sizes = self._known_sizes.get(
            self._sources, options, chosen, self._num_threads, self._reading, self._fallback
        )
        return self._boxes_now().draw(sizes, chosen)

    def _boxes_now(self) -> RandomBoxes:
        return self._random._replace(epoch=self.epoch)

    def _batch(self, indices: Indices, **how: Any) -> BatchDecode:
        # Each box is drawn when the file has been read, and with it the size.
        return super()._batch(indices, boxes=self._boxes_now().for_core(), **how)

    def _fill(self, batch: BatchDecode, out: Any) -> Any:
        images = super()._fill(batch, out)
        assert batch.indices is not None
        self._known_sizes.learn(batch.indices, batch.batch.seen_sizes())
        return images


def check_accessor(accessor: Any) -> None:
    """Refuses all but accessors of images as they are, as `random_resized_crop` takes them."""
    if not isinstance(accessor, ImageFileAccessor):
        raise TypeError(f"accessor must be an ImageFileAccessor, found {type(accessor).__name__}")
    if accessor._has_own_index():
        raise TypeError(
            f"{type(accessor).__name__} has a __getitem__ of its own, which random crops would not go through: "
            "take them of an ImageFileAccessor, and write the __getitem__ in a subclass of RandomResizedCrop"
        )
    found = None
    if isinstance(accessor, RandomResizedCrop):
        found = "those of a RandomResizedCrop"
    elif accessor._crop is not None:
        found = f"crop={accessor._crop}"
    elif accessor._flip:
        found = "flip=True"
    if found:
        raise ValueError(f"expected an accessor without boxes or mirror images of its own, found {found}")
