# SPDX-License-Identifier: BSD-3-Clause
"""What may stand in an accessor's brackets, turned into positions."""

from __future__ import annotations

import operator
from typing import Any, SupportsIndex, TypeAlias

import numpy as np
import numpy.typing as npt

Indices: TypeAlias = npt.NDArray[np.int64]
Index: TypeAlias = (
    "SupportsIndex | slice | range | list[int] | list[bool] | npt.NDArray[Any] | tuple[Any, ...]"
)


def resolve(index: Any, length: int) -> int | Indices:
    """``numpy.arange(length)[index]``, without the range: one position, or an array of them.

    Raises
    ------
    IndexError
        If an index is out of range, or a mask has the wrong length.
    ValueError
        If an index array does not have one dimension.
    TypeError
        If `index` is of another type.
    """
    if isinstance(index, int | np.integer) and not isinstance(index, bool):
        position = operator.index(index)
        if not -length <= position < length:
            raise IndexError(f"index {position} is out of range for {length} images")
        return position % length
    if isinstance(index, slice):
        return np.arange(*index.indices(length), dtype=np.int64)
    if not isinstance(index, list | range | np.ndarray):
        raise TypeError(
            "an index is an int, a slice, a range, a list of int, a 1-D integer array or a boolean mask, "
            f"found {type(index).__name__}"
        )
    is_empty = isinstance(index, list | range) and not index  # to NumPy, floats
    array = np.asarray(index, np.int64 if is_empty else None)
    if array.ndim != 1:
        raise ValueError(f"an index array must have one dimension, found shape {array.shape}")
    if array.dtype.kind not in "iub":
        raise TypeError(f"an index array must have an integer or boolean dtype, found {array.dtype}")
    if array.dtype == np.uint64 and len(array) and array.max() >= length:  # NumPy would wrap it around
        raise IndexError(f"index {array.max()} is out of range for {length} images")
    np.broadcast_to(False, length)[array]  # NumPy's own checks, at the cost of the batch alone
    if array.dtype == np.bool_:
        return np.flatnonzero(array).astype(np.int64, copy=False)
    return array.astype(np.int64) % length


def resolve_many(indices: Any, length: int) -> Indices:
    """Positions as by `resolve`, where a batch must be meant: TypeError for an int."""
    chosen = resolve(indices, length)
    if isinstance(chosen, int):
        raise TypeError("indices must choose a batch, found an int; use a list of one")
    return chosen
