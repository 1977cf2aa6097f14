# SPDX-License-Identifier: BSD-3-Clause
"""What accessors of images of one size share: that size."""

from __future__ import annotations

import contextlib
from typing import Any

import numpy as np

from fastimg.array_like import ArrayLike
from fastimg.batch_decode import BatchDecode
from fastimg.errors import ImageError
from fastimg.on_error import Streak, fault_error


class UniformArrayLike(ArrayLike):
    """An array-like whose entries are arrays of one shape."""

    _size: tuple[int, int] | None = None
    ndim = 4

    @property
    def shape(self) -> tuple[int, ...]:
        """(N, C, H, W) or (N, H, W, C). Without `size` and `crop`, the first access reads the first image's header.

        Raises
        ------
        ImageError, OSError, ValueError
            If that header cannot be read; with errors tolerated, if none can.
        """
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
                self._size = self._result_size(self._crop[2:])
            elif not len(self):
                return 0, 0
            elif self._sizes is not None and self._sizes[0].all():
                self._size = self._result_size(self._sizes[0])
            else:
                self._size = self._first_size()
        return self._size

    def _result_size(self, size: Any) -> tuple[int, int]:
        height, width = self._options.result_sizes(np.array([size], np.float64))[0].tolist()
        if height < 0:
            raise ValueError(
                f"an image of height {size[0]} and width {size[1]} would be resized to too large a size"
            )
        return height, width

    def _first_size(self) -> tuple[int, int]:
        # With errors tolerated, the first image that has a header decides.
        count = 1 if self._on_error == "raise" else len(self)
        streak = Streak()
        for i in range(count):
            batch = self._batch(np.array([i], np.int64))
            height, width = batch.read_sizes()[0].tolist()
            if height >= 0:
                return height, width
            unreadable = [failure for failure in batch.batch.failures() if failure.is_unreadable]
            if streak.add([0] * len(unreadable), 1) is not None:
                raise fault_error(unreadable[0], batch.originals[i], i)
        raise ValueError(f"none of {len(self)} images has a readable header")

    def _size_if_known(self) -> tuple[int, int] | None:
        try:
            return self._image_size()
        except (ImageError, OSError):
            return None  # of the first image, which may be none of those that were asked for

    def _fill(self, batch: BatchDecode, out: Any) -> Any:
        return batch.load(out, self._size_if_known())

    def _find_size(self) -> None:
        with contextlib.suppress(ValueError):  # there may be no image with a header
            self._size_if_known()

    def _knows_size(self) -> bool:
        return self._options.size is not None or self._size is not None or self._crop is not None

    def _index_rest(self, images: Any, rest: tuple[Any, ...]) -> Any:
        return images[(slice(None), *rest)]
