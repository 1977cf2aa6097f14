# SPDX-License-Identifier: BSD-3-Clause
"""Which epoch it is, for the workers of PyTorch's DataLoader."""

from __future__ import annotations

import mmap
import os
import sys
import tempfile
import weakref
from collections.abc import Callable
from typing import Any

from fastimg.on_error import warn_caller
from fastimg.options import parse_integer
from fastimg.torch_errors import worker_info

_UNTOLD_WORKER = (
    "a shuffled batch_iterator in a DataLoader worker was not told the epoch: new workers repeat the order and the "
    "crops of their first one, and every worker draws all samples of its source. Use "
    "fastimg.data_source.TorchIterable, or name the epoch, by batch_iterator(epoch=...) or set_epoch, and give each "
    "worker a shard"
)

#: What fits into shared memory.
MAX_EPOCH = 2**63 - 1
_NBYTES = 8


class SharedEpoch:
    """The number of an epoch, or None, that also reaches workers which are already running.

    Workers share it with the process that starts them, whether they are forked or get it among their arguments. In all
    other processes, such as the ranks of a distributed run, and in copies by `pickle` or `copy`, it is one of its own.

    Attributes
    ----------
    local : int or None
        The number that this process set; before that, the one that its copy came with.
    """

    def __init__(self, epoch: int | None = None) -> None:
        self.local = epoch
        self._allocate()

    def _allocate(self) -> None:
        # Memory without a file needs no descriptor and no folder, but only forked processes get it.
        self._memories: list[mmap.mmap] = [mmap.mmap(-1, _NBYTES)]
        self._handle: int | str | None = None
        self._owner = os.getpid()
        self._write()

    def _write(self) -> None:
        for memory in self._memories:
            memoryview(memory).cast("Q")[0] = 0 if self.local is None else self.local + 1

    def _read(self) -> int | None:
        number: int = memoryview(self._memories[0]).cast("Q")[0]
        return number - 1 if number else None

    def _leave(self) -> None:
        """A process that is no worker must not change what the workers of others see."""
        if self._owner != os.getpid() and worker_info() is None:
            self._allocate()

    def set(self, epoch: int) -> None:
        """Sets the number.

        Raises
        ------
        ValueError, TypeError
            If `epoch` is not an integer from 0 to 2**63 - 1.
        """
        self.local = parse_integer("epoch", epoch, 0, MAX_EPOCH)
        self._leave()
        self._write()

    def get(self) -> int | None:
        """The number that was set last; in a worker, also by the process that started it."""
        if worker_info() is None:
            return self.local
        return self._read()

    def __reduce__(self) -> tuple[Callable[..., SharedEpoch], tuple[Any, ...]]:
        from multiprocessing.context import get_spawning_popen

        if get_spawning_popen() is None:
            return SharedEpoch, (self.get(),)
        self._leave()
        if self._handle is None:
            self._map(_new_handle())
            self._write()
        return _attach, (self.local, _to_send(self._handle), self._owner)

    def _map(self, handle: int | str) -> None:
        self._handle = handle
        if sys.platform == "win32":
            memory = mmap.mmap(-1, _NBYTES, tagname=str(handle))
        else:
            descriptor = int(handle)
            weakref.finalize(self, os.close, descriptor).atexit = False
            memory = mmap.mmap(descriptor, _NBYTES)
        self._memories.append(memory)


def _new_handle() -> int | str:
    """Memory that other processes can map: the descriptor of a file without a name or, on Windows, a name."""
    if sys.platform == "win32":
        return f"fastimg-{os.urandom(16).hex()}"
    with tempfile.TemporaryFile() as file:
        file.truncate(_NBYTES)
        return os.dup(file.fileno())


def _to_send(handle: Any) -> Any:
    """What a process that is being started gets in place of a handle."""
    if sys.platform == "win32":
        return handle
    else:
        from multiprocessing.reduction import DupFd

        return DupFd(handle)


def _attach(local: int | None, sent: Any, owner: int) -> SharedEpoch:
    """Shares the memory of the process that starts this one."""
    shared = object.__new__(SharedEpoch)
    shared.local, shared._owner, shared._memories = local, owner, []
    shared._map(sent if sys.platform == "win32" else sent.detach())
    # Memory that has a name alone goes with the last process that maps it. If that was the other one, this is new.
    if local is not None and shared._read() is None:
        shared._write()
    return shared


class WorkerEpochs:
    """Numbers the epochs of something that a DataLoader iterates over, the same in all its workers."""

    def __init__(self) -> None:
        self._shared = SharedEpoch()
        self._begun: tuple[int | None, int] = (None, 0)  # the seed of this worker, and its epochs

    def set(self, epoch: int) -> None:
        """As `SharedEpoch.set`."""
        self._shared.set(epoch)

    def begin(self, draw: Callable[[], int]) -> tuple[int, bool]:
        """The number of the epoch that begins, and whether it was set.

        One that was not set is numbered by the loader's seed, which a worker knows; elsewhere by what `draw` returns.
        """
        worker = worker_info()
        if worker is None:
            told = self._shared.local
            return (draw(), False) if told is None else (told, True)
        seed, count = self._begun
        if seed != worker.seed:
            count = 0
        self._begun = worker.seed, count + 1
        # All workers start with the same copy, while the number that they share may already be that of the next epoch.
        told = self._shared.local if count == 0 else self._shared.get()
        # A worker that goes on for another epoch keeps its seed.
        return (worker.seed - worker.id + count, False) if told is None else (told, True)


def warn_untold_worker() -> bool:
    """Warns in the first worker of a DataLoader, whose source was not told the epoch; returns whether it did."""
    worker = worker_info()
    if worker is None or worker.id != 0:  # one of them is enough
        return False
    warn_caller(_UNTOLD_WORKER)
    return True
