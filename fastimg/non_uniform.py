# SPDX-License-Identifier: BSD-3-Clause
"""An array-like over images of any sizes."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from fastimg.array_like import ObjectArrayLike, check_copy
from fastimg.batch_decode import BatchDecode
from fastimg.indexing import resolve_many


class NonUniformImageFileAccessor(ObjectArrayLike):
    """Images of any sizes, as if they were a 1-D array of arrays (C, H, W).

    Parameters
    ----------
    sources : iterable of str, os.PathLike, bytes-like or FileRange, or reader
        The images, as for `load`. They are kept packed; nothing is read yet.
    mode, layout, size, resize_shorter, resize_longer, center_crop, fit, resample, reducing_gap, pad_value, crop
        As for `decode`, the same for every image.
    flip, orient, dtype, mean, std, strict, max_pixels, max_scans
        As for `decode`, too. With `size` all images have that size.
    num_threads, on_error, read_threads, read_ahead, fallback
        As for `ImageFileAccessor`. With errors tolerated, an image whose header cannot be read has height and
        width 0 unless `size` is given.
    sizes : (N, 2) integer array, optional
        As for `ImageFileAccessor`.

    Raises
    ------
    ValueError, TypeError
        If a source or an option is wrong.

    Examples
    --------
    >>> mixed_X = fastimg.NonUniformImageFileAccessor(["cat.jpg", "photos/cat/000.jpg"])
    >>> mixed_X.shape, mixed_X.dtype
    ((2,), dtype('O'))
    >>> [image.shape for image in mixed_X[:]]
    [(3, 375, 500), (3, 256, 256)]
    >>> np.asarray(mixed_X).shape
    (2,)
    """

    def _fill(self, batch: BatchDecode, out: Any) -> Any:
        return batch.load_list(out)

    def _index_rest(self, images: Any, rest: tuple[Any, ...]) -> Any:
        return [image[rest] for image in images]

    def read_into(self, indices: Any, out: list[Any]) -> list[Any]:
        """Decode images, each into its own array.

        Parameters
        ----------
        indices : slice, range, list of int, 1-D integer array or boolean mask
            The n images.
        out : list of array
            One per image, of exactly its shape.

        Returns
        -------
        list of array
            `out`.

        Raises
        ------
        IndexError, ValueError, TypeError, ImageError, OSError
            As for indexing and for `load`.

        Examples
        --------
        >>> mixed_X = fastimg.NonUniformImageFileAccessor(["cat.jpg", "photos/cat/000.jpg"])
        >>> images = [np.empty((3, 375, 500), np.uint8), np.empty((3, 256, 256), np.uint8)]
        >>> images = mixed_X.read_into([0, 1], images)
        """
        images: list[Any] = self._read(resolve_many(indices, len(self)), out)
        return images

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> npt.NDArray[Any]:
        """A 1-D object array of all images, decoded.

        Raises
        ------
        ValueError
            If `copy` is False: there is no array yet that could be shared.
        ImageError, OSError
            As for `load`.
        """
        check_copy(copy)
        images = np.empty(len(self), object)
        for i, image in enumerate(self if self._has_own_index() else self[:]):
            images[i] = image
        return images if dtype is None else images.astype(dtype, copy=False)
