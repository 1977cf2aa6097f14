# SPDX-License-Identifier: BSD-3-Clause
"""The arrays of a data source, and how a batch is read from them."""

from __future__ import annotations

from typing import Any

import numpy as np

from fastimg.indexing import Indices
from fastimg.threads import Cancellation


class BatchReader:
    """Reads one batch from all arrays."""

    def __init__(self, arrays: tuple[Any, ...], include_indices: bool, num_threads: int | None) -> None:
        self.arrays = arrays
        self.include_indices = include_indices
        self.num_threads = num_threads

    def __call__(
        self, indices: Indices, buffers: tuple[Any, ...] | None, cancellation: Cancellation
    ) -> tuple[Any, ...]:
        outs = buffers or (None,) * len(self.arrays)
        batch = [
            self._one(array, indices, _part(out, len(indices)), cancellation)
            for array, out in zip(self.arrays, outs, strict=True)
        ]
        return (indices.copy(), *batch) if self.include_indices else tuple(batch)

    def _one(self, array: Any, indices: Indices, out: Any, cancellation: Cancellation) -> Any:
        if hasattr(array, "_read"):
            return array._read(indices, out, self.num_threads, cancellation)
        if out is None:
            return array[indices]
        return np.take(array, indices, axis=0, out=out, mode="clip")  # "raise" would need a buffer


def _part(out: Any, count: int) -> Any:
    """As much of a buffer as a batch needs; None if a sampler gave more indices than it was asked for."""
    return None if out is None or len(out) < count else out[:count]


class Buffers:
    """Makes one array per source array for a batch; None for those that give lists or are not known."""

    def __init__(self, arrays: tuple[Any, ...], batch_size: int) -> None:
        self.arrays = arrays
        self.batch_size = batch_size

    def __call__(self) -> tuple[Any, ...]:
        return tuple(self._one(array) for array in self.arrays)

    def _one(self, array: Any) -> Any:
        is_accessor = hasattr(array, "_read") and array.ndim > 1
        if not is_accessor and type(array) not in (np.ndarray, np.memmap):
            return None
        return np.empty((self.batch_size, *array.shape[1:]), array.dtype)


def common_length(arrays: tuple[Any, ...]) -> int:
    for array in arrays:
        if not hasattr(array, "__len__") or not hasattr(array, "__getitem__"):
            raise TypeError(
                f"arrays must hold array-likes, with a length and an index, found {type(array).__name__}"
            )
    lengths = [len(array) for array in arrays]
    if not lengths:
        raise ValueError("arrays must hold at least one array-like, found none")
    if len(set(lengths)) > 1:
        raise ValueError(f"arrays must have one length, found {', '.join(map(str, lengths))}")
    return lengths[0]
