# SPDX-License-Identifier: BSD-3-Clause
"""How a batch is read from the arrays of a data source."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import numpy as np
import numpy.typing as npt

from fastimg.array_like import ArrayLike
from fastimg.batch_decode import BatchDecode
from fastimg.indexing import Indices
from fastimg.on_error import BatchErrors, ErrorLog
from fastimg.readers import DEFAULT, parse_reading
from fastimg.threads import Cancellation


class BatchReader:
    """Reads batches from all arrays.

    Parameters
    ----------
    arrays : tuple of array-like
    include_indices, include_mask : bool
        Whether a batch begins with its indices, and ends with a mask, True where a sample is good in all arrays.
    num_threads : int or None
    reading : (read_threads, read_ahead)
        For all accessors; None: what the first was made with.
    on_error : None, "raise", "fill", "drop" or ErrorCallback
        For all accessors; None: what each was made with.

    Attributes
    ----------
    arrays : tuple of array-like
        Accessors are views that collect their errors here.
    readers : Readers
        Read the files of all accessors, for this batch and the next ones.
    """

    def __init__(
        self,
        arrays: tuple[Any, ...],
        include_indices: bool,
        num_threads: int | None,
        reading: tuple[Any, Any] = (None, None),
        on_error: Any = None,
        include_mask: bool = False,
    ) -> None:
        self.include_indices = include_indices
        self.include_mask = bool(include_mask)
        self.num_threads = num_threads
        self._drop = on_error == "drop"
        self._logs = tuple(_log_for(array, on_error) for array in arrays)
        self.arrays = tuple(
            array if log is None or log == array._on_error else array._with_on_error(log)
            for array, log in zip(arrays, self._logs, strict=True)
        )
        accessors = [array for array in self.arrays if _is_accessor(array)]
        for array in accessors:
            array._find_size()  # if it can be known, batches are decoded as they are read
        own = accessors[0]._reading if accessors else DEFAULT
        self._reading = parse_reading(
            *(mine if given is None else given for given, mine in zip(reading, own, strict=True))
        )
        if any(not array._knows_size() for array in accessors):
            # What is too large to be kept with its header is read again, within the other half.
            self._reading = self._reading._replace(nbytes=max(1, self._reading.nbytes // 2))
        self.readers = self._reading.start(any(array._sources.readers for array in accessors))

    def begin(self, indices: Indices, cancellation: Cancellation) -> tuple[BatchDecode | None, ...]:
        """Lets the readers read the files of a batch, after those of the batches before it.

        Returns
        -------
        tuple
            For the call that decodes the batch; `end` it if there is none.
        """
        begun: list[BatchDecode | None] = []
        try:
            for array in self.arrays:
                begun.append(self._begin_one(array, indices, cancellation) if _is_accessor(array) else None)
        except BaseException:
            self.end(begun)
            raise
        return tuple(begun)

    def _begin_one(self, array: Any, indices: Indices, cancellation: Cancellation) -> BatchDecode:
        how = {"num_threads": self.num_threads} if self.num_threads else {}
        batch: BatchDecode = array._batch(
            indices, cancellation=cancellation, reading=self._reading, readers=self.readers, **how
        )
        batch.read_ahead(array._knows_size())
        return batch

    def end(self, begun: Iterable[BatchDecode | None]) -> None:
        """Ends what was begun and not decoded."""
        for batch in begun:
            if batch is not None:
                batch.close()

    def __call__(
        self,
        indices: Indices,
        begun: tuple[BatchDecode | None, ...],
        buffers: tuple[Any, ...] | None,
    ) -> tuple[tuple[Any, ...], BatchErrors]:
        """Reads a batch that has begun."""
        try:
            return self._read(indices, begun, buffers)
        finally:
            self.end(begun)

    def _read(
        self,
        indices: Indices,
        begun: tuple[BatchDecode | None, ...],
        buffers: tuple[Any, ...] | None,
    ) -> tuple[tuple[Any, ...], BatchErrors]:
        outs = buffers or (None,) * len(self.arrays)
        parts: list[Any] = [None] * len(self.arrays)
        found = BatchErrors(len(indices))
        good = np.ones(len(indices), np.bool_)

        def read(i: int, wanted: Indices) -> None:
            log = self._logs[i]
            if isinstance(log, ErrorLog):
                log.begin()
            parts[i] = self._one(self.arrays[i], wanted, begun[i], _part(outs[i], len(wanted)))
            if isinstance(log, ErrorLog):
                errors = log.take()
                found.errors += [(log.policy, each.error) for each in errors]
                good[np.isin(wanted, [each.index for each in errors])] = False
                unreadable = {each.index: each.error for each in errors if each.is_unreadable}
                positions = np.flatnonzero(np.isin(wanted, list(unreadable))).tolist()
                found.unreadable[i] = {position: unreadable[wanted[position]] for position in positions}

        # What nothing can be left out of is read for the samples that are kept.
        late = [i for i, log in enumerate(self._logs) if self._drop and log is None]
        for i in range(len(self.arrays)):
            if i not in late:
                read(i, indices)
        found.bad = int((~good).sum())
        if self._drop and found.bad:
            found.empty = not good.any()
            indices = indices[good]
            parts = [_keep(part, good, array) for part, array in zip(parts, self.arrays, strict=True)]
            good = good[good]
        if not found.empty:
            for i in late:
                read(i, indices)
        before = (indices.copy(),) if self.include_indices else ()
        return (*before, *parts, *((good,) if self.include_mask else ())), found

    def _one(self, array: Any, indices: Indices, begun: BatchDecode | None, out: Any) -> Any:
        if begun is not None:
            return array._fill(begun, out)
        if out is None:
            return array[indices]
        return np.take(array, indices, axis=0, out=out, mode="clip")  # "raise" would need a buffer


def _log_for(array: Any, on_error: Any) -> Any:
    """What collects an accessor's errors, "raise" if they are to be raised, or None if it is no accessor."""
    if not isinstance(array, ArrayLike):
        return None
    policy = array._on_error if on_error is None else on_error
    return policy if policy == "raise" else ErrorLog(policy)


def _keep(part: Any, good: npt.NDArray[np.bool_], array: Any) -> Any:
    """Leaves samples out of what `array` gave for a batch; None stays."""
    if part is None:
        return None
    if isinstance(part, tuple) and _is_accessor(array):  # one batch per view of the images
        return tuple(_keep(each, good, None) for each in part)
    if isinstance(part, list | tuple):
        return [each for each, keep in zip(part, good, strict=True) if keep]
    return part[good]


def _part(out: Any, count: int) -> Any:
    """As much of a buffer as a batch needs; None if a sampler gave more indices than it was asked for."""
    return None if out is None or len(out) < count else out[:count]


def _is_accessor(array: Any) -> bool:
    """Whether images can be decoded straight into a batch: not if a subclass does something with them first."""
    return isinstance(array, ArrayLike) and not array._has_own_index()


class Buffers:
    """Makes one array per source array for a batch; None for those that give lists or are not known.

    Parameters
    ----------
    arrays : tuple of array-like
    batch_size : int
    empty : callable (shape, dtype) -> array
    """

    def __init__(
        self, arrays: tuple[Any, ...], batch_size: int, empty: Callable[[Any, Any], npt.NDArray[Any]]
    ) -> None:
        self.arrays = arrays
        self.batch_size = batch_size
        self.empty = empty

    def __call__(self) -> tuple[Any, ...]:
        return tuple(self._one(array) for array in self.arrays)

    def _one(self, array: Any) -> Any:
        is_accessor = _is_accessor(array) and array.ndim > 1
        if not is_accessor and type(array) not in (np.ndarray, np.memmap):
            return None
        return self.empty((self.batch_size, *array.shape[1:]), array.dtype)
