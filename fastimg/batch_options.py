# SPDX-License-Identifier: BSD-3-Clause
"""The arguments of `ArrayDataSource.batch_iterator` that say how batches are made."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from fastimg.batch_builder import BatchBuilder
from fastimg.batch_reader import BatchReader, Buffers
from fastimg.on_error import parse_on_error, warn_caller
from fastimg.options import parse_choice, parse_flag, parse_integer
from fastimg.readers import READ_AHEAD, parse_reading
from fastimg.threads import check_num_threads, default_num_threads
from fastimg.torch_errors import worker_info


class BatchOptions(NamedTuple):
    """Checked arguments of `batch_iterator`; `torch_batches` is that module for ``to="torch"``, else None."""

    batch_size: int
    prefetch: int
    num_threads: int | None
    reuse_buffers: bool
    on_error: Any
    include_mask: bool
    reading: tuple[Any, Any]
    torch_batches: Any
    pin_memory: bool

    def make_builder(
        self, arrays: tuple[Any, ...], include_indices: bool, functions: tuple[Callable[..., Any], ...]
    ) -> BatchBuilder:
        """What makes an epoch's batches.

        Parameters
        ----------
        arrays : tuple of array-like
            Those of the epoch.
        include_indices : bool
        functions : tuple of callable
            What the caller gave to `map`.
        """
        read = BatchReader(
            arrays, include_indices, self.num_threads, self.reading, self.on_error, self.include_mask
        )
        tensors = None
        if self.torch_batches is not None:
            tensors = self.torch_batches.TorchBatches(arrays, include_indices, self.pin_memory)

        def finish(batch: Any) -> Any:
            if tensors is not None:
                batch = tensors.convert_parts(batch)
            for function in functions:
                batch = function(*batch)
            return tensors.convert(batch) if functions and tensors is not None else batch

        new_buffers = None
        if self.reuse_buffers or self.pin_memory:
            empty = self.torch_batches.empty_pinned if self.pin_memory else np.empty
            new_buffers = Buffers(read.arrays, self.batch_size, empty)
        return BatchBuilder(
            read, finish, new_buffers, self.num_threads or default_num_threads(), self.reuse_buffers
        )


def parse_batch_options(
    batch_size: Any,
    *,
    prefetch: Any,
    num_threads: Any,
    reuse_buffers: Any,
    on_error: Any,
    include_mask: Any,
    read_threads: Any,
    read_ahead: Any,
    to: Any,
    pin_memory: Any,
) -> BatchOptions:
    """Checks the arguments.

    Raises
    ------
    ValueError, TypeError
        If one is out of range or of the wrong type, or they contradict each other.
    ImportError
        If tensors are asked for without PyTorch.
    """
    batch_size = parse_integer("batch_size", batch_size, 1)
    prefetch = parse_integer("prefetch", prefetch, 0)
    check_num_threads(num_threads)
    parse_reading(read_threads, READ_AHEAD if read_ahead is None else read_ahead)
    if on_error is not None:
        on_error = parse_on_error(on_error, drop=True)
    torch_batches = parse_to(to)
    return BatchOptions(
        batch_size=batch_size,
        prefetch=prefetch,
        num_threads=num_threads,
        reuse_buffers=bool(reuse_buffers),
        on_error=on_error,
        include_mask=bool(include_mask),
        reading=(read_threads, read_ahead),
        torch_batches=torch_batches,
        pin_memory=_parse_pin_memory(pin_memory, torch_batches),
    )


def parse_to(to: Any) -> Any:
    """The module that makes tensors for "torch", None for "numpy".

    Raises
    ------
    ValueError, TypeError
        If `to` is something else.
    ImportError
        If PyTorch cannot be imported.
    """
    if parse_choice("to", to, ("numpy", "torch")) == "numpy":
        return None
    try:
        import fastimg.torch_batches as torch_batches
    except ImportError as error:
        raise ImportError(f'to="torch" needs PyTorch (pip install torch): {error}') from error
    return torch_batches


def _parse_pin_memory(pin_memory: Any, torch_batches: Any) -> bool:
    if not parse_flag("pin_memory", pin_memory):
        return False
    if torch_batches is None:
        raise ValueError('pin_memory=True pins tensors: it needs to="torch"')
    if worker_info() is not None:
        raise ValueError("a DataLoader worker cannot pin memory: give pin_memory=True to the DataLoader")
    if not torch_batches.torch.cuda.is_available():
        warn_caller("pin_memory=True has no effect: PyTorch finds no CUDA device")
        return False
    return True
