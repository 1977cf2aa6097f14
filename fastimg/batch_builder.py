# SPDX-License-Identifier: BSD-3-Clause
"""One batch, from its indices to what the caller gets."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from fastimg.batch_reader import BatchReader
from fastimg.indexing import Indices
from fastimg.on_error import BatchErrors
from fastimg.threads import Cancellation


class PendingBatch:
    """One batch, from its indices to what the caller gets."""

    def __init__(self) -> None:
        self.indices: Indices | None = None
        self.begun: Any = None
        self.buffers: Any = None
        self.result: Any = None
        self.error: BaseException | None = None
        self.found: BatchErrors | None = None
        self.ready = False


class BatchBuilder:
    """Makes batches, in whatever thread it is called.

    Parameters
    ----------
    read : BatchReader
        Reads a batch from the arrays, and says what failed.
    finish : callable (batch) -> batch
        Calls the caller's functions.
    new_buffers : callable () -> buffers, optional
        Makes a set of arrays for `read` to fill.
    num_threads : int
        How many threads `read` uses.
    reuse_buffers : bool
        Whether these sets are used again; otherwise each batch has one of its own.
    """

    def __init__(
        self,
        read: BatchReader,
        finish: Callable[[Any], Any],
        new_buffers: Callable[[], Any] | None,
        num_threads: int,
        reuse_buffers: bool = True,
    ) -> None:
        self.read = read
        self.finish = finish
        self.new_buffers = new_buffers
        self.num_threads = num_threads
        self.reuse_buffers = reuse_buffers and new_buffers is not None
        self.cancellation = Cancellation()
        self._buffers: deque[Any] = deque()
        self._beginning = threading.Lock()

    def add_buffers(self, count: int) -> None:
        """Makes `count` sets of buffers that are used again."""
        if self.new_buffers and self.reuse_buffers:
            self._buffers.extend(self.new_buffers() for _ in range(count))

    def recycle(self, pending: PendingBatch) -> None:
        """The caller has finished with this batch."""
        pending.result = None
        if self.reuse_buffers and pending.buffers is not None:
            self._buffers.append(pending.buffers)

    def begin(self, pending: PendingBatch) -> None:
        """Lets the files of a batch be read, if it has not begun yet.

        Batches must begin in the order in which they are decoded: readers that wait for room do so in that order.
        """
        with self._beginning:
            if pending.begun is None and pending.indices is not None:
                pending.begun = self.read.begin(pending.indices, self.cancellation)

    @property
    def reads_ahead(self) -> bool:
        """Whether reader threads are at work, so that it is worth while to begin early."""
        return self.read.readers.at_work

    def is_current(self) -> bool:
        """Whether this thread is in a reader or a fallback of the caller's that works for a batch."""
        return self.cancellation.is_current() or self.read.readers.is_current()

    def stop(self, idle: bool) -> None:
        """Ends the reader threads; `idle`: no other thread uses them any more."""
        self.cancellation.cancel()
        if idle:
            self.read.readers.stop()
        else:
            self.read.readers.end()

    def decode(self, pending: PendingBatch) -> None:
        """The first half, on all CPUs."""
        self.begin(pending)
        if self.new_buffers:
            pending.buffers = self._buffers.popleft() if self.reuse_buffers else self.new_buffers()
        assert pending.indices is not None
        pending.result, pending.found = self.read(pending.indices, pending.begun, pending.buffers)
        pending.begun = ()

    def map(self, pending: PendingBatch) -> None:
        """The second half, in this thread."""
        if pending.found is None or not pending.found.empty:
            pending.result = self.finish(pending.result)
