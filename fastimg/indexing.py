# SPDX-License-Identifier: BSD-3-Clause
"""What may stand in an accessor's brackets, turned into positions."""

from __future__ import annotations

import operator
from typing import Any, SupportsIndex, TypeAlias

import numpy as np
import numpy.typing as npt

Indices: TypeAlias = npt.NDArray[np.int64]
Index: TypeAlias = "SupportsIndex | slice | list[int] | list[bool] | npt.NDArray[Any] | tuple[Any, ...]"


def _resolve_int(index: Any, length: int) -> int:
    i = operator.index(index)
    if not -length <= i < length:
        raise IndexError(f"index {i} is out of range for {length} images")
    return i + length if i < 0 else i


def _resolve_array(index: npt.NDArray[Any], length: int) -> Indices:
    if index.ndim != 1:
        raise ValueError(f"an index array must have one dimension, found shape {index.shape}")
    if index.dtype == np.bool_:
        if len(index) != length:
            raise IndexError(f"a mask must have {length} entries, found {len(index)}")
        return np.flatnonzero(index).astype(np.int64, copy=False)
    if not np.issubdtype(index.dtype, np.integer):
        raise TypeError(f"an index array must have an integer or boolean dtype, found {index.dtype}")
    if len(index) and not (-length <= int(index.min()) and int(index.max()) < length):
        wrong = next(int(i) for i in index if not -length <= int(i) < length)
        raise IndexError(f"index {wrong} is out of range for {length} images")
    resolved = index.astype(np.int64)
    resolved[resolved < 0] += length
    return resolved


def _resolve_list(index: list[Any], length: int) -> Indices:
    if not index:
        return np.empty(0, np.int64)
    for entry in index:
        if isinstance(entry, list | tuple | np.ndarray):
            raise ValueError("a list of indices must have one dimension, found a nested list")
        if not isinstance(entry, bool | np.bool_) and not hasattr(entry, "__index__"):
            raise TypeError(f"a list of indices must hold integers, found {type(entry).__name__}")
    return _resolve_array(np.array(index), length)


def resolve(index: Any, length: int) -> int | Indices:
    """One position, or an array of them, all from 0 to length - 1.

    Raises
    ------
    IndexError
        If an index is out of range, or a mask has the wrong length.
    ValueError
        If an index array does not have one dimension.
    TypeError
        If `index` is of another type.
    """
    if isinstance(index, slice):
        return np.arange(*index.indices(length), dtype=np.int64)
    if isinstance(index, list):
        return _resolve_list(index, length)
    if isinstance(index, np.ndarray):
        return _resolve_array(index, length)
    if isinstance(index, int | np.integer) and not isinstance(index, bool):
        return _resolve_int(index, length)
    raise TypeError(
        "an index is an int, a slice, a list of int, a 1-D integer array or a boolean mask, "
        f"found {type(index).__name__}"
    )


def resolve_many(indices: Any, length: int) -> Indices:
    """Positions, all from 0 to length - 1, where a batch must be meant; the errors are those of `resolve`."""
    chosen = resolve(indices, length)
    if isinstance(chosen, int):
        raise TypeError("indices must choose a batch, found an int; use a list of one")
    return chosen
