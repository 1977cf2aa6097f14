# SPDX-License-Identifier: BSD-3-Clause
"""Batches of PyTorch's tensors, which share memory with the arrays. Imports PyTorch: import it only when asked to."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from fastimg.array_like import ArrayLike

#: Torch has each of these under NumPy's name, older versions without the larger unsigned ones.
_NAMES = (
    *("bool", "uint8", "int8", "int16", "int32", "int64", "uint16", "uint32", "uint64"),
    *("float16", "bfloat16", "float32", "float64", "complex64", "complex128"),
)
_DTYPES = {name: getattr(torch, name) for name in _NAMES if hasattr(torch, name)}


class TorchBatches:
    """Makes tensors of the arrays in a batch.

    Parameters
    ----------
    arrays : tuple of array-like
        The source's.
    include_indices : bool
        Whether a batch begins with its indices.
    pin_memory : bool
        Whether tensors are in page-locked memory; arrays that `empty_pinned` made are, others are copied.
    """

    def __init__(self, arrays: tuple[Any, ...], include_indices: bool, pin_memory: bool) -> None:
        self._channels_last = (*(False,) * include_indices, *map(_is_channels_last, arrays))
        self._pin = pin_memory

    def convert_parts(self, batch: tuple[Any, ...]) -> tuple[Any, ...]:
        """A batch as it was read: tensors of images are (N, C, H, W), whatever their layout in memory is."""
        flags = (*self._channels_last, *(False,) * (len(batch) - len(self._channels_last)))  # a mask
        return tuple(self.convert(part, flag) for part, flag in zip(batch, flags, strict=True))

    def convert(self, value: Any, channels_last: bool = False) -> Any:
        """`value` with tensors for its arrays, also those in tuples, lists and dicts."""
        if isinstance(value, np.ndarray):
            value = to_tensor(value)
            if channels_last and isinstance(value, torch.Tensor) and value.ndim >= 3:
                value = value.movedim(-1, -3)
        if isinstance(value, torch.Tensor):
            return value.pin_memory() if self._pin else value
        if isinstance(value, tuple) and hasattr(value, "_fields"):
            return type(value)(*(self.convert(each, channels_last) for each in value))
        if type(value) in (tuple, list):
            return type(value)(self.convert(each, channels_last) for each in value)
        if type(value) is dict:
            return {key: self.convert(each, channels_last) for key, each in value.items()}
        return value


def _is_channels_last(array: Any) -> bool:
    return (
        isinstance(array, ArrayLike)
        and not array._has_own_index()
        and array._options.values["layout"] == "HWC"
    )


def to_tensor(array: npt.NDArray[Any]) -> Any:
    """A tensor with the memory of `array`, which it keeps alive; `array` itself if PyTorch has no such dtype.

    What PyTorch cannot share is copied: read-only arrays, negative strides, foreign byte order.
    """
    name = array.dtype.name
    if name not in _DTYPES or isinstance(array, np.ma.MaskedArray):
        return array
    shareable = array.dtype.isnative and array.flags.writeable
    if not shareable or any(stride < 0 or stride % array.itemsize for stride in array.strides):
        array = np.array(array, array.dtype.newbyteorder("="), order="C")
    owner = _owner(array)
    if owner is not None:
        return owner[: array.nbytes].view(_DTYPES[name]).view(array.shape)
    if name == "bfloat16":  # of ml_dtypes
        return torch.from_numpy(array.view(np.int16)).view(torch.bfloat16)
    return torch.from_numpy(array)


def empty_pinned(shape: tuple[int, ...], dtype: npt.DTypeLike) -> npt.NDArray[Any]:
    """As `numpy.empty`, in page-locked memory if PyTorch has such a dtype."""
    dtype = np.dtype(dtype)
    if dtype.name not in _DTYPES:
        return np.empty(shape, dtype)
    nbytes = int(np.prod(shape, dtype=np.int64)) * dtype.itemsize
    memory: npt.NDArray[Any] = _allocate_pinned(nbytes).numpy()
    return memory.view(dtype).reshape(shape)


def _allocate_pinned(nbytes: int) -> Any:
    return torch.empty(nbytes, dtype=torch.uint8, pin_memory=True)


def _owner(array: npt.NDArray[Any]) -> Any:
    """The tensor of bytes of which `array` is the beginning, or None.

    PyTorch must see its own tensor: its allocator holds back pinned memory that a transfer still reads.
    """
    base: Any = array
    while isinstance(base, np.ndarray):
        base = base.base
    if not isinstance(base, torch.Tensor) or base.dtype != torch.uint8 or base.ndim != 1:
        return None
    address = array.__array_interface__["data"][0]
    is_start = base.data_ptr() == address and base.is_contiguous() and base.nbytes >= array.nbytes
    return base if is_start and array.flags.c_contiguous else None
