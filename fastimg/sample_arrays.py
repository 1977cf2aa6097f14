# SPDX-License-Identifier: BSD-3-Clause
"""The arrays of a data source, each made readable by position."""

from __future__ import annotations

import array as array_module
from collections.abc import Callable, Mapping, Sequence, Set
from typing import Any

import numpy as np
import numpy.typing as npt

from fastimg.array_like import ArrayLike
from fastimg.indexing import Indices

#: Integers up to this one are exact as float64.
_EXACT = 2**53

#: DLPack's device types whose memory the CPU reads: kDLCPU and kDLCUDAHost.
_CPU_DEVICES = (1, 3)


def common_length(arrays: tuple[Any, ...]) -> int:
    """The length of all arrays; ValueError if there is none, or they differ."""
    lengths = [_length(array) for array in arrays]
    if not lengths:
        raise ValueError("arrays must hold at least one array-like, found none")
    if len(set(lengths)) > 1:
        raise ValueError(f"arrays must have one length, found {', '.join(map(str, lengths))}")
    return lengths[0]


def _length(array: Any) -> int:
    return len(array) if hasattr(array, "__len__") else int(array.shape[0])  # Zarr's arrays have no len()


def by_position(array: Any, name: str) -> Any:
    """`array`, or its values as a NumPy array, so that an int64 array in brackets chooses rows by position.

    NumPy arrays and array-likes that are indexed so already are returned as they are. No library is imported: what is
    not NumPy's is known by its methods and the module of its type.

    Raises
    ------
    TypeError
        If it cannot be read so; the text begins with `name`.
    """
    if isinstance(array, np.ndarray) and array.ndim:
        return array
    if not _looks_indexed(array):
        kind = "a 0-d array" if isinstance(array, np.ndarray) else type(array).__name__
        raise TypeError(f"{name} must be an array-like, with a length and an index by position, found {kind}")
    convert = _converter(array)
    try:
        found = array if convert is None else convert(array)
        _length(found)  # which some refuse
        return found
    except MemoryError:
        raise
    except Exception as error:
        text = f"{name}, found {type(array).__name__}, cannot be read by position: {error}"
        raise TypeError(text) from error


def _looks_indexed(array: Any) -> bool:
    if isinstance(array, np.ndarray | np.generic | str | bytes | bytearray | Mapping | Set):
        return False
    has_length = hasattr(array, "__len__") or bool(getattr(array, "shape", ()))
    return has_length and hasattr(array, "__getitem__")


def _converter(array: Any) -> Callable[[Any], Any] | None:
    """What makes `array` readable by position; None if it is taken at its word."""
    kind = type(array)
    libraries = {base.__module__.partition(".")[0] for base in kind.__mro__}
    if isinstance(array, ArrayLike):
        return _check_batches if array._has_own_index() else None
    if kind.__getitem__ in (list.__getitem__, tuple.__getitem__):
        return _from_list
    if isinstance(array, range | array_module.array | memoryview):
        return _from_buffer
    if "pyarrow" in libraries:
        return _from_arrow
    if "polars" in libraries:
        return _from_polars
    # What has `loc` takes labels in its brackets, but for xarray's arrays.
    if "pandas" in libraries or (hasattr(array, "loc") and not hasattr(array, "isel")):
        return _from_pandas
    if callable(getattr(array, "numpy", None)):
        return _from_tensor
    if hasattr(array, "__dlpack_device__"):
        return _from_dlpack
    if "h5py" in libraries:
        return _Increasing
    # A sequence promises ints and slices alone.
    return _check_batches if isinstance(array, Sequence) else None


def _check_batches(array: Any) -> Any:
    """`array`, which must give a batch for an array of indices; asks for an empty one."""
    advice = (
        "give images and labels as two arrays" if isinstance(array, ArrayLike) else "convert it with list()"
    )
    try:
        batch = array[np.empty(0, np.int64)]
    except Exception as error:
        raise TypeError(f"an array of indices in its brackets raises {error!r}; {advice}") from error
    if not hasattr(batch, "__len__") or isinstance(batch, Mapping) or len(batch):
        raise TypeError(
            f"for n indices it must give an array or a list of n rows, found {type(batch).__name__}; {advice}"
        )
    return array


def _objects(values: Sequence[Any]) -> npt.NDArray[Any]:
    array = np.empty(len(values), object)
    for i, value in enumerate(values):  # a slice would try to broadcast them
        array[i] = value
    return array


def _from_list(values: Sequence[Any]) -> npt.NDArray[Any]:
    """Text, bytes, ragged lists and what NumPy would round become objects."""
    first = values[0] if values else None
    while isinstance(first, list | tuple) and first:
        first = first[0]
    if isinstance(first, str | bytes):
        return _objects(values)
    try:
        array = np.asarray(values)
    except ValueError:
        return _objects(values)
    is_text = array.dtype.kind in "US"  # of numbers and text
    is_rounded = (
        array.ndim == 1
        and array.dtype.kind in "fc"
        and any(isinstance(value, int | np.integer) and not -_EXACT <= value <= _EXACT for value in values)
    )
    return _objects(values) if is_text or is_rounded else array


def _from_buffer(values: Any) -> npt.NDArray[Any]:
    if isinstance(values, range):
        return np.arange(values.start, values.stop, values.step)
    return np.asarray(values)


def _from_arrow(values: Any) -> npt.NDArray[Any]:
    if not hasattr(values, "to_numpy"):
        raise TypeError("it has columns: give each that is needed as an array of its own")
    kind = str(values.type)
    is_rounded = values.null_count and kind.startswith(("int", "uint"))  # to floats
    # Arrow takes a missing entry of a dictionary array for the last one.
    if is_rounded or "dictionary" in kind:
        return _from_list(values.to_pylist())
    # A ChunkedArray's method has not always had the argument.
    array: npt.NDArray[Any] = values.to_numpy(
        **({} if hasattr(values, "num_chunks") else {"zero_copy_only": False})
    )
    return _from_list(list(array)) if hasattr(values.type, "list_size") else array


def _from_polars(values: Any) -> npt.NDArray[Any]:
    if hasattr(values, "get_columns"):
        return _from_table(values, values.get_columns(), _from_polars)
    if not hasattr(values, "to_numpy"):
        raise TypeError("it has no values yet: call collect()")
    kind = str(values.dtype)
    is_rounded = values.null_count() and kind.startswith(("Int", "UInt"))  # to floats
    if is_rounded or kind.startswith(("Struct", "Null")):
        return _from_list(values.to_list())
    array: npt.NDArray[Any] = values.to_numpy()
    return array


def _from_pandas(values: Any) -> npt.NDArray[Any]:
    """A Series, an Index, an extension array or a DataFrame, or what has their methods."""
    if not hasattr(values, "to_numpy"):
        raise TypeError("it is indexed by labels and has no to_numpy(): call compute()")
    if getattr(values, "ndim", 1) > 1 and hasattr(values, "iloc"):
        return _from_table(values, [values.iloc[:, i] for i in range(values.shape[1])], _from_pandas)
    values = getattr(values, "array", values)
    dtype = values.dtype
    if hasattr(dtype, "pyarrow_dtype"):
        return _from_arrow(values.__arrow_array__())
    has_missing = bool(np.asarray(values.isna()).any())
    if hasattr(dtype, "categories"):
        codes: Indices = np.asarray(values.codes)  # -1 where missing
        categories: npt.NDArray[Any] = _from_pandas(values.categories)
        if not has_missing:
            return categories[codes]
        if categories.dtype.kind not in "fM":  # these have NaN and NaT
            return _objects([*values.categories, None])[codes]
    inner = getattr(dtype, "numpy_dtype", None)  # of NumPy's and of nullable dtypes
    kind = "" if inner is None else inner.kind
    if has_missing and (kind in ("i", "u", "b") or hasattr(dtype, "storage")):  # the latter: text
        array: npt.NDArray[Any] = values.to_numpy(dtype=object, na_value=None)
    elif kind in ("i", "u", "b", "f"):  # which older versions make objects of
        array = values.to_numpy(inner, **({"na_value": np.nan} if has_missing else {}))
    else:
        array = values.to_numpy()
    return array


def _from_table(
    table: Any, columns: list[Any], convert: Callable[[Any], npt.NDArray[Any]]
) -> npt.NDArray[Any]:
    arrays = [convert(column) for column in columns]
    dtypes = {array.dtype for array in arrays}
    if len(dtypes) < 2 and not any(dtype.hasobject for dtype in dtypes):
        array: npt.NDArray[Any] = table.to_numpy()
        if array.dtype in dtypes or not dtypes:
            return array
    if all(dtype.kind in "biufc" for dtype in dtypes):
        is_rounded = np.result_type(*dtypes).kind in "fc" and any(map(_has_large_integers, arrays))
        if not is_rounded:
            return np.stack(arrays, axis=1)
    return np.stack(
        [
            array if array.dtype.hasobject else _objects(list(column))
            for array, column in zip(arrays, columns, strict=True)
        ],
        axis=1,
    )


def _has_large_integers(array: npt.NDArray[Any]) -> bool:
    return array.dtype.kind in "iu" and bool(((array > _EXACT) | (array < -_EXACT)).any())


def _from_tensor(tensor: Any) -> npt.NDArray[Any]:
    if getattr(tensor, "requires_grad", False):
        raise TypeError("it requires its gradient: call detach()")
    device = getattr(tensor, "device", None)
    if getattr(device, "type", "cpu") != "cpu":
        raise TypeError(f"it is on the device {device}, expected the CPU: call cpu()")
    return np.asarray(tensor.numpy())


def _from_dlpack(array: Any) -> npt.NDArray[Any]:
    device = array.__dlpack_device__()
    if device[0] not in _CPU_DEVICES:
        raise TypeError(f"it is on the DLPack device {tuple(map(int, device))}, expected the CPU")
    return np.asarray(array) if hasattr(array, "__array__") else np.from_dlpack(array)


class _Increasing:
    """An HDF5 dataset, which takes only increasing indices."""

    def __init__(self, dataset: Any) -> None:
        self._dataset = dataset

    def __len__(self) -> int:
        return len(self._dataset)

    def __getitem__(self, indices: Indices) -> Any:
        increasing, places = np.unique(indices, return_inverse=True)
        return self._dataset[increasing][places]
